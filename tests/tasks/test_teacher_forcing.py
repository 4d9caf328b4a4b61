"""Schedules of teacher forcing against their formulas, and the draws they lead to."""

import itertools
import math

import pytest
import torch

from seqmodels.tasks import ConstantForcing, ExponentialForcing, InverseSigmoidForcing, LinearForcing
from seqmodels.tasks.schedules import Progress

START = Progress(step=0, epoch=0, fraction=0.0)
LATE = Progress(step=1000, epoch=10, fraction=0.8)


@pytest.mark.parametrize(("unit", "count"), [("step", 1000), ("epoch", 10), ("run", 80)])
def test_each_form_follows_its_formula_over_steps_epochs_and_the_run(unit, count):
    assert LinearForcing(start=0.9, slope=0.0005, unit=unit).ratio(LATE) == pytest.approx(0.9 - 0.0005 * count)
    assert ExponentialForcing(k=0.999, unit=unit).ratio(LATE) == pytest.approx(0.999**count)
    expected = 200 / (200 + math.exp(count / 200))
    assert InverseSigmoidForcing(k=200, unit=unit).ratio(LATE) == pytest.approx(expected)


@pytest.mark.parametrize(
    "forcing",
    [
        LinearForcing(slope=0.02),
        ExponentialForcing(k=0.9),
        InverseSigmoidForcing(k=5, unit="epoch"),
        LinearForcing(floor=0.3),
    ],
)
def test_ratios_fall_and_stay_between_the_floor_and_one(forcing):
    ratios = [forcing.ratio(Progress(10 * step, step, step / 100)) for step in range(101)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(ratios))
    assert ratios[0] > 0.8
    assert max(ratios) <= 1
    assert ratios[-1] >= forcing.floor
    assert ratios[-1] < 0.5
    assert min(ratios) >= forcing.floor


def test_a_long_run_overflows_nothing():
    assert InverseSigmoidForcing(k=1, unit="step").ratio(Progress(10**9, 0, 0.0)) == pytest.approx(0, abs=1e-300)


def test_each_token_or_each_sequence_is_drawn_as_often_as_the_ratio_says():
    torch.manual_seed(0)
    tokens = ConstantForcing(0.3, per="token").draw(2000, 5, START)
    assert tokens.dtype == torch.bool
    assert tokens.shape == (2000, 5)
    assert float(tokens.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert bool((tokens != tokens[:, :1]).any())
    sequences = ConstantForcing(0.3, per="sequence").draw(2000, 5, START)
    assert sequences.shape == (2000, 5)
    assert bool((sequences == sequences[:, :1]).all())
    assert float(sequences.float().mean()) == pytest.approx(0.3, abs=0.04)


def test_draws_come_from_the_global_generator_and_certain_ones_leave_it_alone():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = ConstantForcing(0.5).draw(8, 8, START)
    torch.set_rng_state(state)
    assert torch.equal(ConstantForcing(0.5).draw(8, 8, START), first)
    torch.set_rng_state(state)
    assert bool(ConstantForcing(1.0).draw(2, 3, START).all())
    assert not bool(ConstantForcing(0.0).draw(2, 3, START).any())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ConstantForcing(1.5), "value=1.5"),
        (lambda: ConstantForcing(0.5, per="word"), "per=word: expected one of token, sequence"),
        (lambda: LinearForcing(floor=-0.1), "floor=-0.1"),
        (lambda: LinearForcing(slope=0.0), "slope=0.0"),
        (lambda: LinearForcing(start=2.0), "start=2.0"),
        (lambda: LinearForcing(unit="minute"), "unit=minute: expected one of step, epoch, run"),
        (lambda: ExponentialForcing(k=1.0), "k=1.0"),
        (lambda: InverseSigmoidForcing(k=0.5), "k=0.5"),
    ],
)
def test_a_value_out_of_range_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()

"""Measures of generated problems and of clips, and losses in the units of the data, against hand computation."""

import math

import numpy as np
import pytest
import torch

from seqmodels.data import Example, Form, collate
from seqmodels.tasks import MAE, MSE, MSLE, ExactMatch, FrameAccuracy, Gaussian, Quantile, Solved
from seqmodels.tasks.losses import in_units


def window(*targets, each_step=True):
    examples = [Example(np.zeros((len(t) if each_step else 2, 1)), np.array(t)) for t in targets]
    return collate(examples, form=Form(targets=each_step))


def test_solved_asks_for_every_step_of_a_sequence():
    measure = Solved(tolerance=0.4)
    probabilities = torch.tensor([[[0.7, 0.3], [0.2, 0.8]], [[0.7, 0.3], [0.5, 0.5]], [[0.9, 0.1], [0.5, 0.5]]])
    measure.update({"probabilities": probabilities}, window([0, 1], [0, 0], [0]))  # the last has one step
    assert measure.compute() == {"solved": pytest.approx(2 / 3)}
    measure.clear()
    assert math.isnan(measure.compute()["solved"])


def test_solved_of_numbers_and_of_labels():
    numbers = Solved(tolerance=0.04)
    values = torch.tensor([[1.03], [0.95], [2.0]])
    numbers.update({"value": values}, window([1.0], [1.0], [np.nan], each_step=False))
    assert numbers.compute()["solved"] == pytest.approx(2 / 3)

    labels = Solved(tolerance=0.5)
    targets = [np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0]])]
    probabilities = torch.tensor([[[0.9, 0.6], [0.1, 0.1]], [[0.9, 0.6], [0.9, 0.9]]])
    labels.update({"probabilities": probabilities}, window(*targets))
    assert labels.compute()["solved"] == 0.5
    with pytest.raises(ValueError, match="tolerance=0: expected more than 0"):
        Solved(0)


def test_exact_match_of_single_classes_and_of_labels():
    classes = ExactMatch()
    classes.update({"class": torch.tensor([1, 0, 2])}, window(1, 1, 2, each_step=False))
    assert classes.compute()["exact_match"] == pytest.approx(2 / 3)

    labels = ExactMatch()
    targets = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0]])]
    described = torch.tensor([[[True, False], [True, True]], [[True, True], [True, False]]])
    labels.update({"labels": described}, window(*targets))
    assert labels.compute()["exact_match"] == 0.5


def test_frame_accuracy_of_both_factors_against_counting():
    draw = np.random.default_rng(0)
    classes = [f"{way} {digit}" for way in "ab" for digit in "xyz"]
    measure = FrameAccuracy(classes, 4, {"way": [*"ab"], "digit": [*"xyz"]})
    right = {"way": np.zeros(4), "digit": np.zeros(4)}
    count = np.zeros(4)
    for _ in range(5):
        targets = [draw.integers(6, size=draw.integers(1, 5)) for _ in range(3)]
        batch = window(*targets)
        probabilities = torch.tensor(draw.dirichlet(np.ones(6), (3, batch.targets.shape[1])))
        measure.update({"probabilities": probabilities}, batch)
        for row, target in enumerate(targets):
            for frame, wanted in enumerate(target):
                table = probabilities[row, frame].reshape(2, 3)
                count[frame] += 1
                right["way"][frame] += int(table.sum(1).argmax()) == wanted // 3
                right["digit"][frame] += int(table.sum(0).argmax()) == wanted % 3

    figures = measure.compute()
    for name in ("way", "digit"):
        assert figures[f"{name}_accuracy_from_frame_2"] == pytest.approx(right[name][1:].sum() / count[1:].sum())
        for frame in range(4):
            assert figures[f"{name}_accuracy_frame_{frame + 1}"] == pytest.approx(right[name][frame] / count[frame])
    (figure,) = measure.pictures().values()
    assert [line.get_label() for line in figure.axes[0].lines] == ["way", "digit"]


def test_frame_accuracy_without_factors_and_of_long_clips():
    measure = FrameAccuracy(["a", "b"], num_frames=2)
    probabilities = torch.tensor([[[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]])
    measure.update({"probabilities": probabilities}, window([0, 1, 1]))  # longer than the clips trained on
    assert measure.compute() == {"accuracy_from_frame_2": 0.0, "accuracy_frame_1": 1.0, "accuracy_frame_2": 0.0}
    assert list(FrameAccuracy(["a", "b"], num_frames=17).compute()) == ["accuracy_from_frame_2"]
    assert FrameAccuracy(["a", "b"], num_frames=2).pictures() == {}
    with pytest.raises(ValueError, match="do not make 3 classes"):
        FrameAccuracy(["a", "b", "c"], 2, {"way": ["a", "b"]})


TARGETS = {"kind": "numbers", "names": ["a", "b"], "means": [1000.0, -3.0], "deviations": [50.0, 0.1]}


@pytest.mark.parametrize("loss", [MSE(), MAE(), Quantile(), Gaussian()])
def test_a_loss_in_units_is_the_loss_of_standard_numbers(loss):
    torch.manual_seed(0)
    wrapped = in_units(loss.fitted(TARGETS), TARGETS)
    size = wrapped.output_size(2)
    assert size == loss.output_size(2)
    outputs, standard = torch.randn(7, size), torch.randn(7, 2)
    standard[3, 1] = torch.nan
    center, scale = torch.tensor(TARGETS["means"]), torch.tensor(TARGETS["deviations"])

    total, count = wrapped(outputs, standard * scale + center)
    expected, expected_count = loss(outputs, standard)
    torch.testing.assert_close(total, expected, rtol=1e-3, atol=1e-3)
    assert int(count) == int(expected_count) == 13
    described, plain = wrapped.describe(outputs), loss.describe(outputs)
    torch.testing.assert_close(described["value"], plain["value"] * scale + center)
    if "quantiles" in plain:
        torch.testing.assert_close(
            described["quantiles"], plain["quantiles"] * scale[:, None] + center[:, None], rtol=1e-4, atol=1e-4
        )
        assert wrapped.levels == loss.levels
    if "scale" in plain:
        torch.testing.assert_close(described["scale"], plain["scale"] * scale)


def test_losses_without_need_are_left_alone():
    assert in_units(MSE(), {"kind": "numbers", "names": ["a"], "means": [1.0]}) == MSE()
    assert in_units(MSLE(), TARGETS) == MSLE()

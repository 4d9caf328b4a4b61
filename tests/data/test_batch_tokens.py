"""Batches of pairs by tokens, and by the lengths of both sides."""

import itertools

import numpy as np
import pytest

from seqmodels.data import TBPTT, BucketedLines, Example, load_examples
from seqmodels.data.windows import WHOLE_SEQUENCES

generator = np.random.default_rng(3)
TARGETS, SOURCES = generator.integers(1, 30, 400), generator.integers(1, 40, 400)


def order(batch_tokens=200, windowing=WHOLE_SEQUENCES, seed=1):
    return BucketedLines(TARGETS, 16, windowing, seed, SOURCES, batch_tokens)


def padded(lines):
    return len(lines) * int(TARGETS[lines].max() + SOURCES[lines].max())


@pytest.mark.parametrize("seed", [1, None])
def test_a_batch_has_as_many_pairs_as_fit(seed):
    batches = sorted(
        (lines for lines, _ in order(seed=seed).keys(0, 0)), key=lambda lines: (TARGETS[lines[-1]], SOURCES[lines[-1]])
    )
    assert sorted(np.concatenate(batches).tolist()) == list(range(400))
    assert all(padded(lines) <= 200 for lines in batches)
    for lines, following in itertools.pairwise(batches):
        assert padded(np.append(lines, following[0])) > 200


def test_a_pair_with_more_tokens_is_a_batch_by_itself():
    batches = [lines for lines, _ in order(batch_tokens=30).keys(0, 0)]
    assert max(map(padded, batches)) > 30
    assert all(len(lines) == 1 or padded(lines) <= 30 for lines in batches)


def test_batches_by_sentences_go_by_both_lengths():
    batches = [lines for lines, _ in order(batch_tokens=None).keys(0, 0)]
    assert {len(lines) for lines in batches} == {16}
    one_side = BucketedLines(TARGETS, 16, WHOLE_SEQUENCES, 1)
    assert sum(map(padded, batches)) < sum(padded(lines) for lines, _ in one_side.keys(0, 0))


def test_every_epoch_has_as_many_windows_in_an_order_of_its_own():
    plans = order(windowing=TBPTT(4, 4))
    epochs = [[(tuple(lines), plan) for lines, plan in plans.keys(epoch, 0)] for epoch in range(4)]
    assert {len(epoch) for epoch in epochs} == {len(plans)}
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert epochs[2] == [(tuple(lines), plan) for lines, plan in order(windowing=TBPTT(4, 4)).keys(2, 0)]
    # Pairs that are equal in both lengths change batches.
    assert {lines for lines, _ in epochs[0]} != {lines for lines, _ in epochs[1]}


def test_an_epoch_goes_on_exactly_from_any_window():
    plans = order(windowing=TBPTT(4, 4))
    whole = [(tuple(lines), plan) for lines, plan in plans.keys(3, 0)]
    for start in range(0, len(plans), 7):
        assert [(tuple(lines), plan) for lines, plan in plans.keys(3, start)] == whole[start:]


@pytest.mark.parametrize("part", ["training", "evaluation"])
def test_examples_of_a_list_are_batched_by_both_sides(part):
    examples = [
        Example(np.zeros(target, np.int64), np.zeros(target, np.int64), np.zeros((source, 2), np.float32))
        for target, source in zip(TARGETS, SOURCES, strict=True)
    ]
    loaded = load_examples(
        {"shape": "sequence_to_sequence"}, {"train": examples}, 16, WHOLE_SEQUENCES, seed=1, batch_tokens=200
    )
    batches = loaded.training() if part == "training" else loaded.evaluation["train"]()
    windows = [batches.dataset[key] for key in batches.order.keys(0, 0)]
    assert sum(len(window.inputs) for window in windows) == 400
    assert all(len(one.inputs) * (one.inputs.shape[1] + one.context.shape[1]) <= 200 for one in windows)

"""Decoding of paths with blanks, held to what enumerating all paths says."""

import itertools
import math

import pytest
import torch

from seqmodels.decoding import collapse, likeliest_path, prefix_beam_search


def enumerated(logs, blank):
    """Returns the probability of every labelling of `(steps, labels)` log probabilities."""
    steps, labels = logs.shape
    found = {}
    for path in itertools.product(range(labels), repeat=steps):
        said = tuple(collapse(path, blank))
        found[said] = found.get(said, 0.0) + math.exp(sum(float(logs[t, label]) for t, label in enumerate(path)))
    return found


@pytest.mark.parametrize(
    ("path", "labels"),
    [([], []), ([0, 0], []), ([1, 1, 0, 1], [1, 1]), ([0, 2, 2, 1, 1, 0], [2, 1]), ([1, 0, 0, 2], [1, 2])],
)
def test_repeats_are_one_label_but_where_a_blank_parts_them(path, labels):
    assert collapse(path, blank=0) == labels


@pytest.mark.parametrize(("steps", "labels", "blank"), [(1, 2, 0), (3, 3, 2), (4, 3, 1), (5, 3, 0), (6, 2, 1)])
def test_a_beam_that_keeps_everything_finds_every_labelling_and_its_probability(steps, labels, blank):
    torch.manual_seed(steps)
    logits = 2 * torch.randn(3, steps, labels, dtype=torch.float64)
    lengths = torch.tensor([steps, max(1, steps - 2), 1])
    found = prefix_beam_search(logits, lengths, blank, beam_size=labels ** (steps + 1))
    for row, length, answers in zip(logits.log_softmax(-1), lengths.tolist(), found, strict=True):
        expected = enumerated(row[:length], blank)
        assert {tuple(answer.labels) for answer in answers} == set(expected)
        assert len(answers) == len(expected)  # none of them twice
        for answer in answers:
            assert math.exp(answer.log_probability) == pytest.approx(expected[tuple(answer.labels)])
        assert answers[0].labels == list(max(expected, key=expected.get))


def test_a_narrow_beam_finds_what_the_likeliest_path_misses():
    logits = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()  # blank blank is likeliest, but three paths say 1
    assert likeliest_path(logits, None, blank=0) == [[]]
    (best, other) = prefix_beam_search(logits, None, blank=0, beam_size=2)[0]
    assert (best.labels, other.labels) == ([1], [])
    assert math.exp(best.log_probability) == pytest.approx(0.64)


def test_a_narrow_beam_is_as_good_as_a_wide_one_where_the_model_is_sure():
    torch.manual_seed(0)
    logits = 6 * torch.randn(8, 12, 5)
    wide = prefix_beam_search(logits, None, 0, beam_size=200)
    narrow = prefix_beam_search(logits, None, 0, beam_size=8)
    assert [row[0].labels for row in narrow] == [row[0].labels for row in wide]
    assert all(len(row) == 8 for row in narrow)


def test_steps_behind_the_end_of_a_row_change_nothing():
    torch.manual_seed(1)
    logits = torch.randn(2, 7, 4)
    alone = prefix_beam_search(logits[1:, :4], None, 0, beam_size=5)[0]
    beside = prefix_beam_search(logits, torch.tensor([7, 4]), 0, beam_size=5)[1]
    assert [answer.labels for answer in beside] == [answer.labels for answer in alone]
    assert [a.log_probability for a in beside] == pytest.approx([a.log_probability for a in alone])
    assert likeliest_path(logits, torch.tensor([7, 4]), 0)[1] == likeliest_path(logits[1:, :4], None, 0)[0]


def test_a_beam_of_nothing_is_refused():
    with pytest.raises(ValueError, match="beam_size=0"):
        prefix_beam_search(torch.zeros(1, 1, 2), None, 0, beam_size=0)

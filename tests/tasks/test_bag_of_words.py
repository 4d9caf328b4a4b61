import math

import numpy as np
import pytest
import torch

from seqmodels.data import Example, Form, collate
from seqmodels.tasks import BagOfWords, SpanF1, default_measures

SPEC = {
    "shape": "many_to_one",
    "inputs": {"kind": "tokens", "vocab_size": 10},
    "targets": {"kind": "classes", "classes": ["no", "yes"]},
}


def measured(measure, examples):
    measure.clear()
    for start in range(0, len(examples), 16):
        measure.update({}, collate(examples[start : start + 16], form=Form(targets=False)))
    return measure.compute()["bag_of_words_accuracy"]


def examples(has_word):
    """Sequences of different lengths; the class is whether the word 7 occurs, or else the first of the two words 1, 2."""
    generator = np.random.default_rng(0)
    drawn = []
    for number in range(100):
        target = number % 2
        others = generator.integers(3, 6, generator.integers(1, 6))
        words = [7] if target and has_word else [6] if has_word else [1, 2] if target else [2, 1]
        drawn.append(Example(np.concatenate([others, words]), np.array(target)))
    return drawn


def test_words_are_told_and_their_order_is_not():
    measure = BagOfWords(SPEC)
    assert measured(measure, examples(has_word=True)) == 1.0
    assert measured(measure, examples(has_word=False)) < 0.65


def test_padding_is_not_the_token_of_its_number():
    # Token 0 tells the class, and how many others there are does not.
    drawn = [
        Example(np.array([3 * (number % 2)] + [3] * (1 + number // 2 % 6)), np.array(number % 2))
        for number in range(120)
    ]
    assert measured(BagOfWords(SPEC), drawn) == 1.0


def test_too_few_sequences_and_none_give_nan():
    measure = BagOfWords(SPEC)
    assert math.isnan(measure.compute()["bag_of_words_accuracy"])
    assert math.isnan(measured(measure, examples(has_word=True)[:8]))
    assert math.isnan(measured(measure, examples(has_word=True)[::2]))


def test_the_same_part_is_computed_once(monkeypatch):
    measure = BagOfWords(SPEC)
    calls = []
    monkeypatch.setattr(measure, "_cross_validated", lambda targets: calls.append(len(targets)) or 0.5)
    for _ in range(3):
        measured(measure, examples(has_word=True))
    measured(measure, examples(has_word=False))
    assert calls == [100, 100]


def test_nothing_is_told_of_data_of_another_kind():
    numbers = collate([Example(np.array([3, 4]), np.array([2.5], np.float32))], form=Form(targets=False))
    for spec in ({**SPEC, "shape": "many_to_many"}, {**SPEC, "targets": {"kind": "numbers", "names": ["a"]}}, {}):
        measure = BagOfWords(spec)
        measure.update({}, numbers)
        assert measure.compute() == {}
    with pytest.raises(ValueError, match=r"^folds=1"):
        BagOfWords(SPEC, folds=1)


def test_tags_that_mark_spans_are_measured_by_them():
    spec = {"shape": "many_to_many", "targets": {"kind": "classes", "classes": ["O", "B-A", "I-A"]}}
    assert [type(measure).__name__ for measure in default_measures(spec)] == ["Classification", "SpanF1"]
    for other in ({**spec, "shape": "many_to_one"}, {**spec, "targets": {"kind": "classes", "classes": ["NOUN", "O"]}}):
        assert [type(measure).__name__ for measure in default_measures(other)] == ["Classification"]


def test_spans_are_counted_over_windows_and_padding_is_none():
    measure = SpanF1(["O", "B-A", "I-A"])
    rows = [[1, 2, 0, 1], [1], [0, 2]]
    window = collate([Example(np.zeros(len(row)), np.array(row)) for row in rows])
    found = torch.tensor([[1, 2, 0, 0], [1, 2, 2, 2], [0, 2, 1, 1]])
    for _ in range(2):
        measure.update({"class": found}, window)
    assert measure.compute() == {"span_precision": 1.0, "span_recall": 0.75, "span_f1": pytest.approx(6 / 7)}
    measure.clear()
    assert measure.compute() == {"span_precision": 0.0, "span_recall": 0.0, "span_f1": 0.0}

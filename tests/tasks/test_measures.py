"""Measures against scikit-learn, over several windows, without what is not scored."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics

from seqmodels.data import IGNORE_INDEX, Example, Form, collate
from seqmodels.tasks import Classification, ExactMatch, Labels, Regression, default_measures


def test_classification_is_scikit_learns_over_all_windows():
    draw = np.random.default_rng(0)
    measure = Classification(["a", "b", "c", "never"])
    targets, predicted = draw.integers(0, 3, (4, 6)), draw.integers(0, 3, (4, 6))
    targets[1, 3:] = IGNORE_INDEX
    for rows in (slice(0, 1), slice(1, 4)):
        window = collate([Example(np.zeros(6), row) for row in targets[rows]])
        measure.update({"class": torch.from_numpy(predicted[rows])}, window)
    scored = targets != IGNORE_INDEX
    computed = measure.compute()
    assert computed["accuracy"] == pytest.approx(metrics.accuracy_score(targets[scored], predicted[scored]))
    assert computed["macro_f1"] == pytest.approx(metrics.f1_score(targets[scored], predicted[scored], average="macro"))
    assert set(measure.pictures()) == {"confusion_matrix"}
    measure.clear()
    assert all(math.isnan(value) for value in measure.compute().values())
    assert not measure.pictures()


def test_the_confusion_matrix_shows_the_counts():
    measure = Classification(["no", "yes"])
    window = collate([Example(np.zeros(4), np.array([0, 1, 1, 1]))])
    measure.update({"class": torch.tensor([[0, 1, 1, 0]])}, window)
    (axes,) = measure.pictures()["confusion_matrix"].axes
    assert sorted(text.get_text() for text in axes.texts) == ["1", "1", "2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no", "yes"]


def test_one_wrong_step_makes_a_sequence_wrong():
    measure = ExactMatch()
    window = collate([Example(np.zeros(3), np.array([1, 0, 1])), Example(np.zeros(2), np.array([1, 0]))])
    measure.update({"class": torch.tensor([[1, 0, 0], [1, 0, 5]])}, window)
    assert measure.compute() == {"exact_match": 0.5}


def test_labels_are_scikit_learns():
    draw = np.random.default_rng(1)
    targets, predicted = draw.integers(0, 2, (5, 7)), draw.integers(0, 2, (5, 7))
    measure = Labels()
    rows = [Example(np.zeros(1), row.astype(np.float32)) for row in targets]
    measure.update({"labels": torch.from_numpy(predicted).bool()}, collate(rows, form=Form(targets=False)))
    computed = measure.compute()
    arguments = {"y_true": targets, "y_pred": predicted, "average": "micro"}
    assert computed["f1"] == pytest.approx(metrics.f1_score(**arguments))
    assert computed["accuracy"] == pytest.approx(metrics.jaccard_score(**arguments))


def test_the_constant_predictor_is_that_of_the_training_part():
    measure = Regression([1.0, 2.0])
    window = collate([Example(np.zeros(1), np.float32([3.0, np.nan]))], form=Form(targets=False))
    measure.update({"value": torch.tensor([[2.0, 7.0]])}, window)
    assert measure.compute() == {"mse": 1.0, "mae": 1.0, "mse_constant": 4.0}
    assert "mse_constant" not in Regression().compute()


def test_data_have_the_measures_that_fit_their_targets():
    kinds = [
        {"kind": "classes", "classes": ["a"]},
        {"kind": "labels", "labels": ["a"]},
        {"kind": "numbers", "names": ["a"]},
    ]
    found = [[type(measure) for measure in default_measures({"targets": targets})] for targets in kinds]
    assert found == [[Classification], [Labels], [Regression]]
    assert default_measures({"kind": "text"}) == []

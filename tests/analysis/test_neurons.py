"""The search finds units that were planted, and nothing among random ones."""

import pytest
import torch

from seqmodels.analysis import default_features, search_units

TEXT = "".join(f"name_{n} = f('text {n % 7}', [{n}, \"more (or) less\"])  # why {n}\n" * (1 + n % 2) for n in range(60))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def features():
    return {feature.name: feature.values(TEXT) for feature in default_features()}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_unit_is_found_with_its_threshold_and_sign(features, sign):
    inside = features["inside quotes"]
    states = random(len(TEXT), 200)
    states[:, 37] = sign * (4 * inside.float() + 3) + 0.5 * states[:, 37]
    search = search_units({"layer 1": random(len(TEXT), 64, seed=1), "layer 2": states}, {"inside quotes": inside})
    first, second, _ = search.found
    assert (first.state, first.unit, first.sign, first.measure) == ("layer 2", 37, sign, "F1")
    assert search.tried == 264
    assert first.score > 0.99
    assert sign * first.threshold == pytest.approx(5, abs=0.7)
    assert second.score < first.base + 0.1


def test_the_score_is_that_of_the_second_half():
    holds = torch.arange(400) % 5 == 0
    states = random(400, 50)
    states[:200, 7] = holds[:200].float() * 9  # follows on the first half alone
    found = search_units({"h": states}, {"every fifth": holds}, best=1).found[0]
    assert found.unit == 7
    assert found.chosen_by == 1.0
    assert found.score < 0.5

    says = states[200:, 7] > found.threshold
    hits = int((says & holds[200:]).sum())
    assert found.score == pytest.approx(2 * hits / int(says.sum() + holds[200:].sum()))
    assert found.base == pytest.approx(2 * 40 / 240)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_number_is_found_by_its_correlation(features, sign):
    depth = features["bracket depth"]
    states = random(len(TEXT), 100)
    states[:, 99] = sign * depth + 0.3 * states[:, 99]
    found = search_units({"h": states}, {"depth": depth}, best=1).found[0]
    half = len(TEXT) // 2
    expected = torch.corrcoef(torch.stack([states[half:, 99], depth[half:]]))[0, 1].abs()
    assert (found.unit, found.sign, found.measure, found.threshold) == (99, sign, "correlation", None)
    assert found.score == pytest.approx(float(expected), abs=1e-5)
    assert found.score > 0.8


def test_among_random_units_luck_on_the_first_half_does_not_last(features):
    luck = {"coin": random(len(TEXT), seed=3) > 1, "number": random(len(TEXT), seed=4)}
    search = search_units({"h": random(len(TEXT), 2000)}, {**features, **luck})
    assert len(search.found) >= 30
    for found in search.found:
        assert found.score < max(found.base, 0.0) + 0.08, found
        assert found.chosen_by > found.score, found


def test_best_threshold_is_that_of_all_there_are():
    states, holds = random(60, 9).mul(2).round(), random(60, seed=5) > 0.3  # rounded: many ties
    found = search_units({"h": states}, {"feature": holds}, best=9).found
    for row in found:
        unit, half = states[:30, row.unit], holds[:30]
        scores = [0.0]
        for threshold in unit.unique()[:-1]:
            for says in (unit > threshold, unit <= threshold):
                scores.append(2 * int((says & half).sum()) / int(says.sum() + half.sum()))
        assert row.chosen_by == pytest.approx(max(scores))
    assert [row.chosen_by for row in found] == sorted((row.chosen_by for row in found), reverse=True)


def test_units_that_are_constant_or_not_finite_are_never_found():
    holds = torch.arange(100) % 3 == 0
    states = torch.zeros(100, 4)
    states[:, 1] = holds.float()
    states[5, 1] = float("nan")
    states[:, 2] = float("inf")
    features = {"truth": holds, "number": torch.arange(100.0)}
    assert search_units({"h": states}, features).found == ()

    states[:, 3] = holds.float()
    found = {row.feature: row for row in search_units({"h": states}, {"truth": holds}).found}
    assert (found["truth"].unit, found["truth"].score) == (3, 1.0)


def test_a_feature_that_is_the_same_throughout_a_half_is_left_out():
    features = {
        "never": torch.zeros(40, dtype=torch.bool),
        "late": torch.arange(40) > 30,
        "early": torch.arange(40.0).clamp(max=10),
        "broken": torch.full((40,), float("nan")),
    }
    search = search_units({"h": random(40, 3)}, features)
    assert search.found == ()
    assert search.left_out == {
        "never": "is the same throughout the first half",
        "late": "is the same throughout the first half",
        "early": "is the same throughout the second half",
        "broken": "is not a finite number everywhere",
    }


@pytest.mark.parametrize(
    "states, features, best, told",
    [
        ({}, {}, 1, "states={}: expected at least one"),
        ({"h": torch.zeros(19, 2)}, {}, 1, "states: 19 steps; expected at least 20"),
        ({"h": torch.zeros(30, 2, 2)}, {}, 1, "states: h has shape"),
        ({"h": torch.zeros(30, 2), "c": torch.zeros(31, 2)}, {}, 1, r"c has shape \(31, 2\); expected .* 30 steps"),
        ({"h": torch.zeros(30, 2)}, {"f": torch.zeros(29)}, 1, r"features: f has shape \(29,\); expected \(30,\)"),
        ({"h": torch.zeros(30, 2)}, {}, 0, "best=0: expected an integer of at least 1"),
    ],
)
def test_what_does_not_fit_is_told(states, features, best, told):
    with pytest.raises(ValueError, match=told):
        search_units(states, features, best)


def test_units_are_the_same_however_many_are_sorted_at_once(features, monkeypatch):
    states = {"h": random(len(TEXT), 10), "c": random(len(TEXT), 7, seed=8)}
    together = search_units(states, features)
    monkeypatch.setattr("seqmodels.analysis.neurons.UNITS_AT_ONCE", 3)
    apart = search_units(states, features)
    assert [(row.state, row.unit) for row in apart.found] == [(row.state, row.unit) for row in together.found]
    assert [row.score for row in apart.found] == pytest.approx([row.score for row in together.found], abs=1e-5)

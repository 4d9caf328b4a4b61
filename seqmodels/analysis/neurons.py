"""Search: which units of a network follow something that can be told of its input."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

LEAST_STEPS = 20
"""Steps that a search needs, half of them to choose by and half to report on."""

UNITS_AT_ONCE = 128
"""Units that are sorted at once: 5 MB for each array of 10,000 steps."""


class Found(NamedTuple):
    """A unit that follows a feature.

    Attributes:
        feature: The feature's name.
        measure: "F1" of the steps at which a unit is beyond a threshold, "correlation" with a number.
        state: The name of the states.
        unit: Its number there.
        score: On the second half of the steps, which nothing was chosen by. Where a correlation has the other sign
            than on the first half, it is negative.
        chosen_by: The score on the first half.
        base: What "always" would score on the second half; 0 for a correlation.
        sign: 1 where the unit is high where the feature holds or grows, -1 where it is low.
        threshold: Beyond which the unit says yes; `None` for a correlation.
    """

    feature: str
    measure: Literal["F1", "correlation"]
    state: str
    unit: int
    score: float
    chosen_by: float
    base: float
    sign: int
    threshold: float | None

    @property
    def gain(self) -> float:
        """The score beyond what "always" would score, as a share of what there is to gain; of a correlation itself."""
        return (self.score - self.base) / (1 - self.base)


class Search(NamedTuple):
    """What a search found.

    Attributes:
        found: The units of each feature, in the features' order, the one that was best on the first half first.
        tried: How many units each feature was held against.
        left_out: Why a feature was not searched for, by its name.
    """

    found: tuple[Found, ...]
    tried: int
    left_out: dict[str, str]


class _Best(NamedTuple):
    """Each unit's best on the first half: score, sign, threshold, `(units,)` each."""

    score: Tensor
    sign: Tensor
    threshold: Tensor


def search_units(states: Mapping[str, Tensor], features: Mapping[str, Tensor], best: int = 3) -> Search:
    """Holds every unit against every feature, chooses on the first half of the steps and reports on the second.

    A truth value is told by the threshold and the sign with the best F1, a number by the correlation of largest
    magnitude (Pearson's). Unit, sign and threshold are chosen on the first half alone, so that of thousands of units
    the one that was lucky there is seen to fail on the second. A unit that is constant or not finite is tried, and
    never found.

    Args:
        states: Activations by name, `(time, units)` each, with the same steps.
        features: By name, of each step `(time,)`: bool, or numbers.
        best: Units listed for each feature.

    Raises:
        ValueError: There is no state, too few steps, or they do not agree.

    Example:
        >>> on = torch.arange(40) % 4 == 0
        >>> noise = torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
        >>> noise[:, 3] = noise[:, 3] / 2 - on.float()
        >>> unit = search_units({"h": noise}, {"every fourth": on}).found[0]
        >>> unit.unit, unit.score, unit.sign
        (3, 1.0, -1)
    """
    steps = _check(states, features, best)
    half = steps // 2
    problems = {name: _problem(values, half) for name, values in features.items()}
    wanted = {name: values for name, values in features.items() if problems[name] is None}
    ranked: dict[str, list[Found]] = {name: [] for name in wanted}
    for state, start, units in _parts(states):
        first, second = units[:, :half], units[:, half:]
        finite = units.isfinite().all(1)
        ordered = first.sort(1)
        for name, values in wanted.items():
            values = values.to(units.device)
            chosen = _by_threshold(*ordered, values[:half]) if _is_truth(values) else _by_number(first, values[:half])
            score = chosen.score.masked_fill(~(finite & chosen.score.isfinite()), -1.0)
            for place in score.topk(min(best, len(score))).indices.tolist():
                if score[place] > 0:
                    ranked[name].append(_report(name, state, start, place, chosen, second[place], values[half:]))
            ranked[name] = sorted(ranked[name], key=lambda found: -found.chosen_by)[:best]
    return Search(
        tuple(found for name in wanted for found in ranked[name]),
        sum(values.shape[1] for values in states.values()),
        {name: problem for name, problem in problems.items() if problem is not None},
    )


def _check(states: Mapping[str, Tensor], features: Mapping[str, Tensor], best: int) -> int:
    if not states:
        raise ValueError("states={}: expected at least one")
    if best < 1:
        raise ValueError(f"best={best}: expected an integer of at least 1")
    steps = len(next(iter(states.values())))
    for name, values in states.items():
        if values.dim() != 2 or len(values) != steps:
            raise ValueError(f"states: {name} has shape {tuple(values.shape)}; expected (time, units), {steps} steps")
    for name, values in features.items():
        if values.shape != (steps,):
            raise ValueError(f"features: {name} has shape {tuple(values.shape)}; expected ({steps},)")
    if steps < LEAST_STEPS:
        raise ValueError(f"states: {steps} steps; expected at least {LEAST_STEPS}, as units are chosen on half of them")
    return steps


def _problem(values: Tensor, half: int) -> str | None:
    """Returns why a feature cannot be scored, if it cannot."""
    if not _is_truth(values) and not bool(values.isfinite().all()):
        return "is not a finite number everywhere"
    for part, name in ((values[:half], "first"), (values[half:], "second")):
        if bool((part == part[0]).all()):
            return f"is the same throughout the {name} half"
    return None


def _is_truth(values: Tensor) -> bool:
    return values.dtype == torch.bool


def _parts(states: Mapping[str, Tensor]) -> Iterator[tuple[str, int, Tensor]]:
    """Yields a few units at a time, `(units, time)`, with the name of their state and the number of the first."""
    for name, values in states.items():
        for start in range(0, values.shape[1], UNITS_AT_ONCE):
            yield name, start, values[:, start : start + UNITS_AT_ONCE].detach().float().T.contiguous()


def _by_threshold(ordered: Tensor, order: Tensor, holds: Tensor) -> _Best:
    """Finds the best F1 of each unit over all thresholds between two of its values.

    Args:
        ordered: Activations from the lowest to the highest `(units, time)`.
        order: The steps that they stand at.
        holds: The feature `(time,)`.
    """
    T = ordered.shape[1]
    positives = holds.sum()
    below = torch.arange(1, T, device=ordered.device)  # steps under each threshold
    hits_below = holds.float()[order].cumsum(1)[:, :-1]  # exact: they are whole numbers under 2^24
    f1_low = 2 * hits_below / (below + positives)
    f1_high = 2 * (positives - hits_below) / (T - below + positives)
    sign = torch.where(f1_high >= f1_low, 1, -1)
    no_threshold = ordered[:, 1:] <= ordered[:, :-1]
    score, place = torch.maximum(f1_high, f1_low).masked_fill(no_threshold, -1.0).max(1)
    threshold = (ordered.gather(1, place[:, None]) + ordered.gather(1, place[:, None] + 1))[:, 0] / 2
    return _Best(score, sign.gather(1, place[:, None])[:, 0], threshold)


def _by_number(units: Tensor, values: Tensor) -> _Best:
    correlation = _correlation(units, values)
    return _Best(correlation.abs(), torch.where(correlation >= 0, 1, -1), torch.zeros_like(correlation))


def _correlation(units: Tensor, values: Tensor) -> Tensor:
    """Returns Pearson's of each row of `(units, time)` with `(time,)`; 0 where a row is constant."""
    values = values.float()
    values = values - values.mean()
    centred = units - units.mean(1, keepdim=True)
    norms = centred.norm(dim=1) * values.norm()
    varies = units.amax(1) > units.amin(1)
    return torch.where(varies & (norms > 0), centred @ values / norms, 0.0)


def _report(feature: str, state: str, start: int, place: int, chosen: _Best, unit: Tensor, values: Tensor) -> Found:
    """Scores one unit on the second half, with the sign and the threshold of the first."""
    sign, threshold = int(chosen.sign[place]), float(chosen.threshold[place])
    by, unit_number = float(chosen.score[place]), start + place
    if not _is_truth(values):
        score = sign * float(_correlation(unit[None], values))
        return Found(feature, "correlation", state, unit_number, score, by, 0.0, sign, None)
    says = unit > threshold if sign > 0 else unit <= threshold
    positives = int(values.sum())
    score = 2 * int((says & values).sum()) / (int(says.sum()) + positives)
    base = 2 * positives / (len(values) + positives)
    return Found(feature, "F1", state, unit_number, score, by, base, sign, threshold)

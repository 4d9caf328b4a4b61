"""Windows of context and horizon, cut so that nothing of the future reaches what is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from seqmodels.data.examples import Example

Gaps = Literal["interpolate", "mask"]


class Footing(NamedTuple):
    """What the numbers of a window stand on, and what simple forecasts make of its past.

    Each an array or a tensor, in the units of the data, those of `center` and `scale` after the transform.

    Attributes:
        center: Taken off the targets `(..., targets)`.
        scale: What they were then divided by `(..., targets)`.
        naive_error: Of the seasonal-naive forecast over the training part `(..., targets)`.
        last: The last observed value `(..., targets)`.
        seasonal: The values of the season before, repeated `(..., horizon, targets)`.
        truth: What a forecast is measured against, as the file has it `(..., horizon, targets)`; NaN where nothing was
            observed. Scaled to single precision and back, a 0 would no longer be one.
    """

    center: np.ndarray
    scale: np.ndarray
    naive_error: np.ndarray
    last: np.ndarray
    seasonal: np.ndarray
    truth: np.ndarray

    def packed(self) -> np.ndarray:
        """Returns all of it in one vector, as the context of an example."""
        return np.concatenate([part.ravel() for part in self])


class FootingTensors(NamedTuple):
    """The same for a batch."""

    center: Tensor
    scale: Tensor
    naive_error: Tensor
    last: Tensor
    seasonal: Tensor
    truth: Tensor


def unpack_footing(context: Tensor, num_targets: int) -> FootingTensors:
    """Takes apart what `Footing.packed` made.

    Args:
        context: `(batch, (4 + 2 * horizon) * targets)`.
        num_targets: Targets.
    """
    rest = context.shape[-1] - 4 * num_targets
    center, scale, error, last, seasonal, truth = context.split([num_targets] * 4 + [rest // 2] * 2, dim=-1)
    seasonal, truth = (part.unflatten(-1, (-1, num_targets)) for part in (seasonal, truth))
    return FootingTensors(center, scale, error, last, seasonal, truth)


@dataclass(frozen=True)
class PreparedSeries:
    """A series with what was fitted on its training part.

    Attributes:
        raw: Targets in the units of the data `(rows, targets)`, NaN where missing.
        targets: The same, transformed and scaled.
        covariates: Scaled `(rows, covariates)`.
        known: Scaled `(rows + future rows, known covariates)`.
        center: See `Footing`.
        scale: See `Footing`.
        naive_error: See `Footing`.
    """

    raw: np.ndarray
    targets: np.ndarray
    covariates: np.ndarray
    known: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    naive_error: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class WindowShape:
    """What a window is.

    Args:
        context: Steps read before the origin.
        horizon: Steps forecast from the origin on.
        season: Steps of a season, for the seasonal-naive forecast.
        gaps: What is read where a value is missing: a line between the values around it that the window has read by
            then, or zero with a column of marks beside it.
        relative: Whether targets are told relative to the last value before the origin, so that a trend does not lead
            out of what was trained on.
    """

    context: int
    horizon: int
    season: int
    gaps: Gaps = "interpolate"
    relative: bool = False

    def origins(self, begin: int, end: int, stride: int = 1) -> range:
        """Returns the first forecast steps of all windows whose horizon lies in `[begin, end)`.

        Example:
            >>> list(WindowShape(context=4, horizon=3, season=1).origins(begin=2, end=10, stride=2))
            [4, 6]
        """
        return range(max(begin, self.context), end - self.horizon + 1, stride)

    def cut(self, series: PreparedSeries, origin: int) -> Example:
        """Cuts one window.

        Step i of it reads the targets and covariates of one row and the known covariates of the next, whose targets it
        is to predict; the first row is `origin - context`. From the origin on targets are not there to be read (zeros),
        and covariates stay as they were last seen.

        Args:
            series: The series.
            origin: The first row that is forecast; the end of the series for a forecast of what is yet to come.

        Returns:
            Inputs `(context + horizon - 1, features)` in the order targets, marks (where `gaps` is "mask"), covariates,
            known covariates; targets of the same steps, NaN where none was observed; the footing as context.
        """
        begin, end = origin - self.context, origin + self.horizon
        steps = self.context + self.horizon - 1
        past = series.targets[begin:origin]
        anchor = last_observed(past) if self.relative else np.zeros(past.shape[1])
        past = past - anchor
        read = [_extended(self._filled(past), steps)]
        if self.gaps == "mask":
            read.append(_extended((~np.isnan(past)).astype(np.float64), steps))
        read.append(_extended(self._filled(series.covariates[begin:origin]), steps, stay=True))
        read.append(_extended(self._filled(series.known[begin + 1 : end]), steps))
        targets = np.full((steps, past.shape[1]), np.nan)
        observed = series.targets[begin + 1 : end]
        targets[: len(observed)] = observed - anchor
        return Example(
            np.concatenate(read, axis=1).astype(np.float32),
            targets.astype(np.float32),
            self._footing(series, origin, anchor).packed(),
        )

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """Returns values with those that are missing made up; of these alone, as nothing else may be known."""
        missing = np.isnan(values)
        if not missing.any():
            return values
        filled = np.where(missing, 0.0, values)
        if self.gaps == "interpolate":
            rows = np.arange(len(values))
            for column in np.flatnonzero(missing.any(0) & ~missing.all(0)):
                seen = ~missing[:, column]
                filled[:, column] = np.interp(rows, rows[seen], values[seen, column])
        return filled

    def _footing(self, series: PreparedSeries, origin: int, anchor: np.ndarray) -> Footing:
        past = series.raw[:origin]
        last = last_observed(past)
        seasonal = np.tile(_last_season(past, self.season, last), (-(-self.horizon // self.season), 1))
        center = series.center + series.scale * anchor
        truth = np.full((self.horizon, past.shape[1]), np.nan)
        observed = series.raw[origin : origin + self.horizon]
        truth[: len(observed)] = observed
        return Footing(center, series.scale, series.naive_error, last, seasonal[: self.horizon], truth)


def last_observed(values: np.ndarray) -> np.ndarray:
    """Returns the last value of each column `(columns,)` that is not missing, 0 where all are."""
    if len(values) and not np.isnan(values[-1]).any():
        return values[-1]
    last = np.zeros(values.shape[1])
    for column, numbers in enumerate(values.T):
        seen = np.flatnonzero(~np.isnan(numbers))
        last[column] = numbers[seen[-1]] if len(seen) else 0.0
    return last


def _last_season(past: np.ndarray, season: int, last: np.ndarray) -> np.ndarray:
    """Returns the last value of each phase of the season `(season, columns)`, `last` where a phase has none."""
    values = np.full((season, past.shape[1]), np.nan)
    end = len(past)
    while np.isnan(values).any() and end > 0:
        rows = past[max(0, end - season) : end]
        tail = values[season - len(rows) :]
        tail[:] = np.where(np.isnan(tail), rows, tail)
        end -= season
    return np.where(np.isnan(values), last, values)


def _extended(values: np.ndarray, steps: int, stay: bool = False) -> np.ndarray:
    """Returns values with rows added up to `steps`: zeros, or the last row again."""
    rows = np.zeros((steps - len(values), values.shape[1]))
    return np.concatenate([values, rows + values[-1] if stay else rows])


class SeriesWindows:
    """All windows of a part of the data, cut when they are asked for.

    Args:
        series: The series.
        origins: Those of each series.
        shape: What a window is.
    """

    def __init__(self, series: Sequence[PreparedSeries], origins: Sequence[range], shape: WindowShape):
        self.series = series
        self.origins = origins
        self.shape = shape
        self.ends = np.cumsum([len(one) for one in origins])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def any_observed(self) -> bool:
        """Returns whether there is anything to score a forecast by."""
        horizon = self.shape.horizon
        return any(
            not np.isnan(one.raw[origin : origin + horizon]).all()
            for one, origins in zip(self.series, self.origins, strict=True)
            for origin in origins
        )

    def __getitem__(self, index: int) -> Example:
        number = int(np.searchsorted(self.ends, index, side="right"))
        before = self.ends[number] - len(self.origins[number])
        return self.shape.cut(self.series[number], self.origins[number][index - before])

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each window `(windows,)`."""
        return np.full(len(self), self.shape.context + self.shape.horizon - 1, np.int64)

"""The equally spaced times that a series stands on, found in its time column, and what comes after its last."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from seqmodels.data.forecasting.calendars import check_extent, is_written_as_numbers, no_frequency, place_on_calendar
from seqmodels.errors import UserError

Times = Sequence[Any]
"""Cells of a time column: text, numbers, or dates."""


class Grid(Protocol):
    """Equally spaced times, counted from the first time of a file."""

    @property
    def frequency(self) -> str | float | None:
        """The space between two; kept in the spec, and given back as `data.frequency`."""

    def label(self, step: int) -> str:
        """Returns the time of a step as the file writes times."""

    def season(self) -> int:
        """Returns how many steps a season has by custom, 1 where there is no custom."""


@dataclass(frozen=True)
class RowGrid:
    """A step in each row, where no column tells the time."""

    frequency: None = None

    def label(self, step: int) -> str:
        """Returns the number of the row, from 1."""
        return str(step + 1)

    def season(self) -> int:
        """Returns 1."""
        return 1


@dataclass(frozen=True)
class NumberGrid:
    """Times that are numbers, such as years.

    Args:
        first: The first time.
        frequency: The space between two.
        custom: Steps of a season.

    Example:
        >>> NumberGrid(1700.0, 1.0).label(309)
        '2009'
    """

    first: float
    frequency: float
    custom: int = 1

    def label(self, step: int) -> str:
        """Returns `first + step * frequency`."""
        return f"{self.first + step * self.frequency:.12g}"

    def season(self) -> int:
        """Returns the one it was made with."""
        return self.custom


def place_on_grid(
    times: Times, groups: Sequence[Sequence[int]], places: Sequence[str], key: str, frequency: str | float | None
) -> tuple[Grid, np.ndarray]:
    """Finds the grid that the times of a file stand on, and the step of each.

    Args:
        times: Cells of the time column `(rows,)`.
        groups: The rows of each series.
        places: Where each row stands, such as "series.csv line 7".
        key: The time column, such as "data.time_column=Month", for messages.
        frequency: The space between two times; found where left out: an alias of pandas for dates, else a number.
            Whole numbers that all are a date such as 20260131 or a month such as 202601 are taken as that, unless it
            is a number.

    Returns:
        The grid and the steps `(rows,)`, int64, from 0 for the earliest.

    Raises:
        UserError: A cell is no time, or stands on no grid with the others.

    Example:
        >>> grid, steps = place_on_grid(["1749-01", "1749-02", "1749-04"], [[0, 1, 2]], ["a", "b", "c"], "", "MS")
        >>> steps.tolist(), grid.label(4), grid.season()
        ([0, 1, 3], '1749-05', 12)
    """
    numbers = [_number(time) for time in times]
    if None in numbers:
        return place_on_calendar(times, groups, places, key, frequency)
    values = np.array(numbers, np.float64)
    # A number for the space between times, as in the spec of a run on numbers, says that they are no dates.
    if (frequency is None or isinstance(frequency, str)) and is_written_as_numbers(values):
        return place_on_calendar([f"{value:.0f}" for value in values], groups, places, key, frequency)
    return _on_numbers(values, groups, places, key, frequency)


def _number(time: Any) -> float | None:
    try:
        number = float(time)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _on_numbers(
    times: np.ndarray,
    groups: Sequence[Sequence[int]],
    places: Sequence[str],
    key: str,
    frequency: str | float | None,
) -> tuple[Grid, np.ndarray]:
    if isinstance(frequency, str):
        raise UserError(f"data.frequency={frequency}: the times are numbers ({key}); expected a number, or null")
    gaps = np.concatenate([np.diff(np.sort(times[list(rows)])) for rows in groups])
    gaps = gaps[gaps > 0]
    if frequency is None:
        if not len(gaps):
            raise no_frequency(key)
        values, counts = np.unique(gaps.round(9), return_counts=True)
        frequency = float(values[counts.argmax()])
    if frequency <= 0:
        raise UserError(f"data.frequency={frequency}: expected a number above 0")
    exact = (times - times.min()) / frequency
    steps = np.rint(exact).astype(np.int64)
    check_extent(exact.max(), len(times), places[int(times.argmax())], f"{key}: {times.max():.12g}")
    for place, time, distance in zip(places, times, np.abs(exact - steps), strict=True):
        if distance > 1e-3:
            raise UserError(
                f"{place}: {key}: {time:.12g} stands between two steps of {frequency:g} from {times.min():.12g} on; "
                "data.frequency= sets another space, data.time_column=false takes each row as a step"
            )
    return NumberGrid(float(times.min()), float(frequency)), steps

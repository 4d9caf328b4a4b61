"""Grids of dates and times of day: how a file writes them, how far they stand apart."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from seqmodels.errors import UserError

_SEASONS = {"h": 24, "B": 5, "D": 7, "W": 52, "M": 12, "BM": 12, "SM": 24, "Q": 4, "BQ": 4}
"""Steps of a season by the name of a frequency of pandas."""
_FORMS_OF_DIGITS = {8: "%Y%m%d", 6: "%Y%m"}
"""Dates that are written as numbers, by their length."""


@dataclass(frozen=True)
class CalendarGrid:
    """Dates and times of day.

    Args:
        first: The first time, as a `pandas.Timestamp`; with `shift` taken off.
        frequency: An alias of pandas, such as "D", "MS" or "15min".
        form: How the file writes times, as for `strftime`; ISO where left out.
        shift: What lies between a month's or quarter's beginning and the file's time in it, a `pandas.Timedelta`.
    """

    first: Any
    frequency: str
    form: str | None = None
    shift: Any = field(default=None, compare=False)

    def label(self, step: int) -> str:
        """Returns the time `step` frequencies after the first."""
        import pandas as pd

        time = self.first + step * pd.tseries.frequencies.to_offset(self.frequency)
        time = time if self.shift is None else time + self.shift
        return str(time.strftime(self.form)) if self.form else str(time.isoformat())

    def season(self) -> int:
        """Returns 12 for months, 4 for quarters, 7 for days, 5 for working days, 24 for hours and so on."""
        import pandas as pd

        offset = pd.tseries.frequencies.to_offset(self.frequency)
        unit = offset.rule_code.partition("-")[0]
        if unit in ("min", "s"):
            day = pd.Timedelta(days=1) / pd.Timedelta(self.frequency if offset.n > 1 else f"1{unit}")
            return int(day) if day == int(day) else 1
        units = _SEASONS.get(unit) or _SEASONS.get(unit.removesuffix("S").removesuffix("E"), 1)
        return units // offset.n if units % offset.n == 0 else 1


def place_on_calendar(
    cells: Sequence[Any],
    groups: Sequence[Sequence[int]],
    places: Sequence[str],
    key: str,
    frequency: str | float | None,
) -> tuple[CalendarGrid, np.ndarray]:
    """Does what `place_on_grid` does, for dates and times of day."""
    times, form = _parse(cells, places, key)
    longest = max((times[list(rows)].unique().sort_values() for rows in groups), key=len)
    shift = None
    if frequency is None and (frequency := _frequency_of(longest)) is None:
        shift = _shift_within_month(times)
        frequency = None if shift is None else _frequency_of(longest - shift)
    if frequency is None:
        raise no_frequency(key)
    offset = _offset(frequency, key)
    if not offset.is_on_offset(times.min()):
        shift = _shift_within_month(times)
    times = times if shift is None else times - shift
    first, last = times.min(), int(times.argmax())
    check_extent((times[last] - first) / ((first + offset) - first), len(times), places[last], f"{key}: {cells[last]}")
    for row, step in enumerate(steps := _steps(times, offset)):
        if step < 0:
            raise UserError(
                f"{places[row]}: {key}: {cells[row]} is not among the times of frequency {frequency} that the others "
                "keep; data.frequency= sets another, data.time_column=false takes each row as a step"
            )
    return CalendarGrid(first, str(frequency), form, shift), steps


def is_written_as_numbers(numbers: np.ndarray) -> bool:
    """Returns whether numbers are dates without anything between year, month and day, of the years 1000 to 2999.

    Args:
        numbers: Finite ones `(rows,)`.

    Example:
        >>> is_written_as_numbers(np.array([20260131, 20260201])), is_written_as_numbers(np.array([202612, 202613]))
        (True, False)
    """
    import pandas as pd

    for digits, form in _FORMS_OF_DIGITS.items():
        year = 10 ** (digits - 4)
        if bool(((numbers >= 1000 * year) & (numbers < 3000 * year) & (numbers == np.rint(numbers))).all()):
            texts = [f"{number:.0f}" for number in numbers]
            return not pd.to_datetime(texts, format=form, errors="coerce").isna().any()
    return False


def _offset(frequency: str | float, key: str) -> Any:
    import pandas as pd

    try:
        return pd.tseries.frequencies.to_offset(frequency)
    except (TypeError, ValueError) as error:
        valid = "an alias of pandas, such as D, B, W, MS, ME, h, 15min"
        raise UserError(f"data.frequency={frequency}: the times are dates ({key}); expected {valid}") from error


def _parse(cells: Sequence[Any], places: Sequence[str], key: str) -> tuple[Any, str | None]:
    """Returns the times as a `DatetimeIndex`, and the form that all of them are written in, for text."""
    import pandas as pd

    if all(isinstance(cell, date) for cell in cells):
        return pd.DatetimeIndex(pd.to_datetime(list(cells))), None
    texts = [str(cell).strip() for cell in cells]
    guessed = (_guess_form(texts[0], dayfirst) for dayfirst in (False, True))
    forms = dict.fromkeys((_FORMS_OF_DIGITS.get(len(texts[0])) if texts[0].isdigit() else None, *guessed))
    best: tuple[Any, str | None] | None = None
    for form in forms:
        if form is None:
            continue
        times = pd.DatetimeIndex(pd.to_datetime(texts, format=form, errors="coerce", utc="%z" in form or None))
        if best is None or times.isna().sum() < best[0].isna().sum():
            best = times, form
    if best is None:
        raise UserError(
            f"{places[0]}: {key}: {texts[0]!r} is no time; expected one such as 2026-01-31 or 2026-01-31 14:30"
        )
    for place, text, missing in zip(places, texts, best[0].isna(), strict=True):
        if missing:
            raise UserError(f"{place}: {key}: {text!r} is no time like the first, {texts[0]!r}")
    return best


def _guess_form(text: str, dayfirst: bool) -> str | None:
    from pandas.tseries.api import guess_datetime_format

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a day above 12 where a month was expected: what we ask it for
        return guess_datetime_format(text, dayfirst=dayfirst)


def _shift_within_month(times: Any) -> Any:
    """Returns the time from the beginning of a month to each of `times`, where that is the same for all."""
    if times.tz is not None:
        return None
    shifts = (times - times.to_period("M").to_timestamp()).unique()
    return shifts[0] if len(shifts) == 1 else None


def _frequency_of(times: Any) -> str | None:
    """Returns the frequency of sorted times; where there are gaps, that of most three times in a row."""
    import pandas as pd

    def infer(part: Any) -> str | None:
        if len(part) < 3:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the type of what it returns is about to change
            found = pd.infer_freq(part)
        return None if found is None else str(getattr(found, "freqstr", found))

    if found := infer(times):
        return found
    votes = Counter(infer(times[start : start + 3]) for start in range(min(len(times) - 2, 200)))
    del votes[None]
    return votes.most_common(1)[0][0] if votes else None


def _steps(times: Any, offset: Any) -> np.ndarray:
    """Returns the step of each time, -1 for one that stands between two."""
    import pandas as pd

    grid = pd.date_range(times.min(), times.max(), freq=offset)
    return np.asarray(grid.get_indexer(times), np.int64)


def no_frequency(key: str) -> UserError:
    """Says that the times do not tell how far they stand apart."""
    return UserError(
        f"{key}: no space between times is found in so few rows; data.frequency= sets it, such as D, MS, h, 15min"
    )


def check_extent(steps: float, num_rows: int, place: str, time: str) -> None:
    """Refuses a grid of nothing but gaps, as one mistyped year makes it, before it fills the memory."""
    if steps > 1000 * (num_rows + 100):
        raise UserError(
            f"{place}: {time} lies {steps:,.0f} steps after the earliest time, in a file of {num_rows} rows"
        )

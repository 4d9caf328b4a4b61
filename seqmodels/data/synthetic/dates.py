"""Dates as many languages write them, to be written as one of them or ISO 8601 does."""

import datetime
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.synthetic.date_layouts import FIRST_YEAR, LAST_YEAR, DateLayout, date_layouts, long_layout
from seqmodels.data.synthetic.pair_problem import PairProblem, part_of

T = TypeVar("T")

ISO = "iso"
_IDENTIFIERS = """
    af ar be bg ca cs cy da de el en en_GB es et eu fa fi fr ga gl he hi hr hu hy id is it ja ka ko lt lv mk ms nb nl pl
    pt ro ru sk sl sq sr sv sw th tr uk vi zh
"""
LANGUAGES = tuple(_IDENTIFIERS.split())
"""Of these no text means two dates."""


@dataclass(frozen=True)
class Dates(PairProblem):
    """Dates from 1900 to 2099 in the layouts of many languages, to be written as year, month and day.

    The layouts are those of the Unicode CLDR, through Babel: see `date_layouts`. A date is of one part alone, whatever
    the language, so that none that is tested was trained on. Criterion: the whole date right.

    Args:
        languages: The languages that are read, by their identifiers, such as "de" or "pt_BR"; those of `LANGUAGES`
            where left out. Others may have texts that mean two dates.
        target: What is written: "iso", or a language, in its long layout; or several of them, and then each source
            begins with the one that is asked for, as in "de: 3/14/2005".

    Raises:
        ValueError: Where a language is unknown, or there is none.

    Example:
        >>> problem = Dates(languages=["de", "sv"])
        >>> pair = problem.write(np.random.default_rng(0), "train")
        >>> pair.source, pair.target
        ('25 feb. 2070', '2070-02-25')
    """

    languages: list[str] | None = None
    target: str | list[str] = ISO

    def __post_init__(self) -> None:
        if not self.layouts:
            raise ValueError(f"languages={self.languages}: expected some of which a date can be told, such as [de,fr]")
        if not self.written:
            raise ValueError(f"target={self.target}: expected {ISO}, a language, or several")

    @functools.cached_property
    def layouts(self) -> list[DateLayout]:
        """All layouts that are read."""
        chosen = LANGUAGES if self.languages is None else self.languages
        return [layout for language in dict.fromkeys(chosen) for layout in _known("languages", language, date_layouts)]

    @functools.cached_property
    def written(self) -> dict[str, DateLayout | None]:
        """The layout of each target, `None` for ISO 8601."""
        targets = [self.target] if isinstance(self.target, str) else self.target
        return {target: None if target == ISO else _known("target", target, long_layout) for target in targets}

    @property
    def max_target_length(self) -> int:
        """Characters of the longest target."""
        return max(len("2000-01-01") if layout is None else layout.max_length for layout in self.written.values())

    def covering(self) -> Iterable[TextPair]:
        """Returns dates of all months, all days of the week and all digits, in every layout and every target."""
        first = datetime.date(2058, 1, 1)
        for date in (first + datetime.timedelta(32 * place) for place in range(12)):
            for target in self.written:
                yield self._pair(date, self.layouts[0], target)
            for layout in self.layouts[1:]:
                yield self._pair(date, layout, next(iter(self.written)))

    def write(self, generator: np.random.Generator, part: str) -> TextPair:
        """Draws a date of a part in a layout, and what is to be made of it."""
        dates = dates_of(part)
        date = dates[int(generator.integers(len(dates)))]
        layout = self.layouts[int(generator.integers(len(self.layouts)))]
        targets = list(self.written)
        return self._pair(date, layout, targets[int(generator.integers(len(targets)))])

    def _pair(self, date: datetime.date, layout: DateLayout, target: str) -> TextPair:
        source, wanted = layout.write(date), self.written[target]
        answer = date.isoformat() if wanted is None else wanted.write(date)
        return TextPair(f"{target}: {source}" if len(self.written) > 1 else source, answer)


def _known(key: str, language: str, read: Callable[[str], T]) -> T:
    try:
        return read(language)
    except ValueError as error:
        raise ValueError(f"{key}={error}") from error


@functools.cache
def dates_of(part: str) -> tuple[datetime.date, ...]:
    """Returns the dates of "train", "val" or "test".

    Example:
        >>> [len(dates_of(part)) for part in ("train", "val", "test")]
        [58352, 7379, 7318]
    """
    first, last = datetime.date(FIRST_YEAR, 1, 1).toordinal(), datetime.date(LAST_YEAR, 12, 31).toordinal()
    dates = map(datetime.date.fromordinal, range(first, last + 1))
    return tuple(date for date in dates if part_of(date.isoformat()) == part)

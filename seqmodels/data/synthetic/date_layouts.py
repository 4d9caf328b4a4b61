"""How languages write dates: layouts of the Unicode CLDR as tables of names, so that a date is written at once."""

import datetime
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FIRST_YEAR, LAST_YEAR = 1900, 2099

_CONSTANT, _YEAR, _MONTH, _DAY, _WEEKDAY = range(5)
_FIELDS = {"y": _YEAR, "M": _MONTH, "L": _MONTH, "d": _DAY, "E": _WEEKDAY, "c": _WEEKDAY, "G": _CONSTANT}
_STYLES = ("short", "medium", "long", "full")
_OTHER_ORDERS = ([_MONTH, _DAY, _YEAR], [_YEAR, _DAY, _MONTH])


@dataclass(frozen=True)
class DateLayout:
    """One way of a language to write dates.

    Attributes:
        language: Its identifier, such as "de".
        pattern: In the letters of the Unicode CLDR, such as "d. MMMM y".
        pieces: What is written one after the other: a field of a date, and the text for each value of it.

    Example:
        >>> layout = date_layouts("de")[2]
        >>> layout.pattern, layout.write(datetime.date(2005, 3, 14))
        ('EEEE, d. MMMM y', 'Montag, 14. März 2005')
    """

    language: str
    pattern: str
    pieces: Sequence[tuple[int, tuple[str, ...]]]

    @property
    def max_length(self) -> int:
        """Characters of its longest text."""
        return sum(max(map(len, texts)) for _, texts in self.pieces)

    def write(self, date: datetime.date) -> str:
        """Returns the text of a date from `FIRST_YEAR` to `LAST_YEAR`."""
        fields = (0, date.year - FIRST_YEAR, date.month - 1, date.day - 1, date.weekday())
        return "".join([texts[fields[field]] for field, texts in self.pieces])


@functools.cache
def date_layouts(language: str) -> tuple[DateLayout, ...]:
    """Returns the layouts of a language from which a date can be told: each once, of the CLDR through Babel.

    They are its short, medium, long and full one, and those for days, months and years by themselves with or without
    the day of the week. Those with two digits for the year are left out, and of those all in digits those that have the
    month before the day with the year last, or the day before the month with the year first: so 3/4/2005 is in April,
    and 2005/3/4 in March, whatever the language.

    Args:
        language: The identifier of a locale that Babel knows, such as "de" or "pt_BR".

    Raises:
        ValueError: Where it knows none of this name, or no names of months in it.
    """
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language)
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(f"{language}: Babel knows no such locale; expected one such as pt_BR") from error
    styles = [locale.date_formats[style].pattern for style in _STYLES]
    skeletons = locale.datetime_skeletons
    more = [skeletons[name].pattern for name in sorted(skeletons) if {"y", "M", "d"} <= set(name) <= set("yMdE")]
    made = (_layout(language, locale, pattern) for pattern in dict.fromkeys(styles + more))
    return tuple(layout for layout in made if layout is not None)


def long_layout(language: str) -> DateLayout:
    """Returns the long layout of a language, such as that of "14. März 2005".

    Raises:
        ValueError: As in `date_layouts`; and where a date cannot be told from it.
    """
    layouts = {layout.pattern: layout for layout in date_layouts(language)}
    from babel import Locale

    pattern = Locale.parse(language).date_formats["long"].pattern
    if pattern not in layouts:
        raise ValueError(f"{language}: no date can be told from its long layout, {pattern}")
    return layouts[pattern]


def _layout(language: str, locale: Any, pattern: str) -> DateLayout | None:
    """Reads a pattern; `None` where a date cannot be told from it."""
    from babel.dates import tokenize_pattern

    pieces: list[tuple[int, tuple[str, ...]]] = []
    for _, value in tokenize_pattern(pattern):
        if isinstance(value, str):
            pieces.append((_CONSTANT, (value,)))
            continue
        letter, count = value
        if letter not in _FIELDS or (letter, count) == ("y", 2):
            return None
        texts = _texts(letter, count, locale)
        if letter in "ML" and texts[0].startswith("M0"):
            # Numbers of the CLDR's root, which Babel, once it was asked for them, may give to other languages as well.
            raise ValueError(
                f"{language}: Babel knows no names of months in it; expected a language such as de or pt_BR"
            )
        pieces.append((_FIELDS[letter], texts))
    order = [field for field, _ in pieces if field in (_YEAR, _MONTH, _DAY)]
    in_digits = all(text.isdigit() for field, texts in pieces if field == _MONTH for text in texts)
    if sorted(order) != [_YEAR, _MONTH, _DAY] or (in_digits and order in _OTHER_ORDERS):
        return None
    return DateLayout(language, pattern, tuple(pieces))


def _texts(letter: str, count: int, locale: Any) -> tuple[str, ...]:
    """Returns what Babel writes for each value of a field."""
    from babel.dates import DateTimeFormat

    dates = {
        _CONSTANT: [datetime.date(2000, 1, 1)],
        _YEAR: [datetime.date(year, 1, 1) for year in range(FIRST_YEAR, LAST_YEAR + 1)],
        _MONTH: [datetime.date(2000, month, 1) for month in range(1, 13)],
        _DAY: [datetime.date(2000, 1, day) for day in range(1, 32)],
        _WEEKDAY: [datetime.date(2001, 1, day) for day in range(1, 8)],  # the first is a Monday
    }[_FIELDS[letter]]
    return tuple(DateTimeFormat(date, locale)[letter * count] for date in dates)

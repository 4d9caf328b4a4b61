"""Dates in many languages: the tables write what Babel does, and no text means two dates."""

import datetime

import numpy as np
import pytest

from seqmodels.data import Dates
from seqmodels.data.synthetic import date_layouts as module
from seqmodels.data.synthetic.date_layouts import date_layouts, long_layout
from seqmodels.data.synthetic.dates import LANGUAGES, dates_of

LAYOUTS = Dates().layouts


def test_tables_write_what_babel_does():
    from babel.dates import format_date

    generator = np.random.default_rng(0)
    dates = dates_of("train")
    for layout in LAYOUTS:
        date = dates[generator.integers(len(dates))]
        assert layout.write(date) == format_date(date, layout.pattern, layout.language), layout
        assert len(layout.write(date)) <= layout.max_length
    assert long_layout("de").write(datetime.date(2005, 3, 14)) == format_date(datetime.date(2005, 3, 14), "long", "de")


def test_no_text_means_two_dates():
    # The twelve first days of a month are those that could be months; years of all beginnings, leap years too.
    days = (*range(1, 13), 25)
    dates = [datetime.date(year, month, day) for year in (1999, 2004, 2009) for month in range(1, 13) for day in days]
    meaning: dict[str, datetime.date] = {}
    for layout in LAYOUTS:
        for date in dates:
            assert meaning.setdefault(layout.write(date), date) == date, layout
    assert len(meaning) > 20_000


def test_dates_all_in_digits_are_read_in_one_way_everywhere():
    date = datetime.date(2005, 4, 3)
    numbers = [[int(part) for part in "".join(c if c.isdigit() else " " for c in text).split()] for text in (
        layout.write(date) for layout in LAYOUTS
    )]  # fmt: skip
    assert {tuple(found) for found in numbers if len(found) == 3} == {(3, 4, 2005), (2005, 4, 3)}
    assert not any("yy" in layout.pattern.replace("yyyy", "") for layout in LAYOUTS)
    assert not any("M/d" in layout.pattern and layout.pattern.endswith("y") for layout in date_layouts("en"))


def test_a_language_without_names_of_months_is_refused(monkeypatch):
    # Not one of Babel's own: once it is asked for such months it has them in other languages too.
    texts = module._texts
    monkeypatch.setattr(module, "_texts", lambda *of: ("M01", "M02") if of[:2] == ("M", 3) else texts(*of))
    with pytest.raises(ValueError, match=r"^sv: Babel knows no names of months in it"):
        date_layouts.__wrapped__("sv")
    assert not any("M0" in layout.write(datetime.date(2005, 3, 14)) for layout in LAYOUTS)


def test_there_are_many_languages_and_layouts():
    assert {layout.language for layout in LAYOUTS} == set(LANGUAGES)
    assert len(LANGUAGES) == 52
    assert len(LAYOUTS) > 250
    assert len({(layout.language, layout.pattern) for layout in LAYOUTS}) == len(LAYOUTS)


def test_no_date_is_of_two_parts():
    parts = [set(dates_of(part)) for part in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 73049
    problem = Dates(["sv"])
    for part in ("train", "val", "test"):
        generator = np.random.default_rng(1)
        drawn = [problem.write(generator, part).target for _ in range(50)]
        assert {datetime.date.fromisoformat(text) for text in drawn} <= set(dates_of(part))


def test_answers_are_those_of_the_date_that_was_written():
    problem = Dates(["de", "fr", "sv"], target=["iso", "en", "de"])
    meaning = {(tag, long_layout(tag).write(date)): date for tag in ("en", "de") for date in dates_of("train")}
    generator = np.random.default_rng(2)
    seen = set()
    for _ in range(200):
        pair = problem.write(generator, "train")
        tag, _, text = pair.source.partition(": ")
        date = datetime.date.fromisoformat(pair.target) if tag == "iso" else meaning[tag, pair.target]
        assert text in {layout.write(date) for layout in problem.layouts}
        assert len(pair.target) <= problem.max_target_length
        seen.add(tag)
    assert seen == {"iso", "en", "de"}


def test_every_symbol_is_shown_beforehand():
    problem = Dates(target=["iso", "tr", "ja"])
    sources, targets = (set("".join(texts)) for texts in zip(*problem.covering(), strict=True) if any(texts))
    generator = np.random.default_rng(3)
    for _ in range(3000):
        pair = problem.write(generator, "test")
        assert set(pair.source) <= sources
        assert set(pair.target) <= targets


@pytest.mark.parametrize(
    "arguments, told",
    [
        ({"languages": ["de", "xx"]}, "languages=xx: Babel knows no such locale"),
        ({"languages": []}, r"languages=\[\]: expected some"),
        ({"target": "xx"}, "target=xx: Babel knows no such locale"),
        ({"target": []}, r"target=\[\]: expected iso, a language, or several"),
    ],
)
def test_values_out_of_range_are_told(arguments, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        Dates(**arguments)

"""Generated tunes: what they are held to by readers of their own."""

import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from seqmodels.data.formats.abc import Tune, problems_of
from seqmodels.data.synthetic.tunes import LETTERS, RHYTHMS, TONICS, compose_tune

TUNES = [compose_tune(np.random.default_rng([5, number])) for number in range(300)]


def eighths(bar):
    """How long a bar lasts, note by note: pairs of > share four eighths of half the length, a triplet takes two."""
    total = Fraction(0)
    bar = bar.replace(" ", "")
    for triplet, dotted, _, length in re.findall(r"(\(3[A-Ga-g]{3})|([A-Ga-g]>[A-Ga-g])|([A-Ga-gz])(\d*)", bar):
        total += 2 if triplet or dotted else int(length or 1)
    return total


@pytest.mark.parametrize("rhythm, tune", TUNES[:60])
def test_tunes_parse(rhythm, tune):
    assert problems_of(tune) == []
    assert Tune(1, tune).fields["R"] == rhythm


def test_each_bar_is_as_long_as_the_metre_says():
    for rhythm, tune in TUNES:
        expected = Fraction(RHYTHMS[rhythm].metre) * 8
        parts = Tune(1, tune).body.split("\n")
        assert [len(part.strip("|:").split("|")) for part in parts] == [4, 4]
        for part in parts:
            assert {eighths(bar) for bar in part.strip("|:").split("|")} == {expected}, tune


def test_parts_end_on_the_tonic_and_melodies_walk():
    for _, tune in TUNES:
        tonic = LETTERS[TONICS[Tune(1, tune).fields["K"]]]
        for part in Tune(1, tune).body.split("\n"):
            notes = re.findall("[A-Ga-g]", part)
            assert notes[-1] == tonic
            inner = [LETTERS.index(note) for note in re.findall("[A-Ga-g]", part.split("|")[1])]
            assert np.abs(np.diff(inner)).max(initial=0) <= 3


def test_tunes_differ_and_are_a_function_of_the_generator():
    assert len({tune for _, tune in TUNES}) > 295
    assert compose_tune(np.random.default_rng([5, 17])) == TUNES[17]
    assert min(Counter(rhythm for rhythm, _ in TUNES).values()) > 40

"""Tunes of four rhythms in ABC notation."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

LETTERS = "CDEFGABcdefgab"
"""Two octaves of note names, without sharps and flats: those are the key's."""


class Rhythm(NamedTuple):
    """What bars of a rhythm look like.

    Attributes:
        metre: The field `M:`.
        bars: Bars with `N` where a note's name goes, of which a tune takes its own.
        cadences: Bars that end a part; their last `N` is the tonic.
    """

    metre: str
    bars: tuple[str, ...]
    cadences: tuple[str, ...]


RHYTHMS = {
    "hornpipe": Rhythm(
        "4/4",
        ("N>NN>N N>NN>N", "N>NN>N (3NNNN>N", "(3NNNN>N N>NN>N", "N2N>N N>NN>N", "N>NN>N N2N>N"),
        ("N>NN2 N2N2", "N>NN>N N2N2"),
    ),
    "jig": Rhythm("6/8", ("NNN NNN", "N2N NNN", "NNN N2N", "N2N N2N"), ("NNN N3", "N2N N3")),
    "reel": Rhythm("4/4", ("NNNN NNNN", "N2NN NNNN", "NNNN N2NN", "N3N NNNN"), ("NNNN N4", "N2NN N4")),
    "waltz": Rhythm("3/4", ("N2 N2 N2", "N4 N2", "N3 N N2", "N2 NN N2", "N2 N2 NN"), ("N6", "N2 N4")),
}
TONICS = {"D": 1, "G": 4, "A": 5, "C": 7, "Em": 2, "Am": 5, "Bm": 6}
"""Keys, and where in `LETTERS` the tonic is."""
MAX_LENGTH = 200
"""No tune has more characters."""


def compose_tune(generator: np.random.Generator) -> tuple[str, str]:
    """Makes a tune up: two parts of four bars, each a bar, its answer, the bar again and a cadence on the tonic.

    The melody walks over the key's scale, by steps more often than by leaps, within two octaves.

    Args:
        generator: All choices are drawn from it.

    Returns:
        The name of the rhythm, one of `RHYTHMS`, and the tune with the fields X, R, M, L and K.

    Example:
        >>> rhythm, tune = compose_tune(np.random.default_rng(1))
        >>> print(tune)
        X:1
        R:jig
        M:6/8
        L:1/8
        K:C
        |:c2A d2c|B2A B2F|c2A d2c|A2B c3:|
        |:e2f edB|AGA GGc|e2f edB|e2d c3:|
    """
    name = list(RHYTHMS)[int(generator.integers(len(RHYTHMS)))]
    key = list(TONICS)[int(generator.integers(len(TONICS)))]
    melody = _Melody(generator.random(256).tolist(), TONICS[key])
    parts = "\n".join(melody.part(RHYTHMS[name], above) for above in (0, 2))
    return name, f"X:1\nR:{name}\nM:{RHYTHMS[name].metre}\nL:1/8\nK:{key}\n{parts}"


class _Melody:
    """Draws bars of one key.

    Args:
        chances: Numbers from 0 to 1, more than a tune needs.
        tonic: A place in `LETTERS`.
    """

    STEPS = (-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3)

    def __init__(self, chances: list[float], tonic: int):
        self.chances: Iterator[float] = iter(chances)
        self.tonic = tonic
        self.place = tonic

    def part(self, rhythm: Rhythm, above: int) -> str:
        """Returns a repeated part that starts at the tonic, or some notes of the scale above it."""
        self.place = self.tonic + above
        first, answer = self._bar(self._choice(rhythm.bars)), self._bar(self._choice(rhythm.bars))
        return f"|:{first}|{answer}|{first}|{self._cadence(self._choice(rhythm.cadences))}:|"

    def _choice(self, options: tuple[str, ...]) -> str:
        return options[int(next(self.chances) * len(options))]

    def _bar(self, pattern: str) -> str:
        return "".join(self._next() if symbol == "N" else symbol for symbol in pattern)

    def _next(self) -> str:
        letter = LETTERS[self.place]
        place = self.place + self.STEPS[int(next(self.chances) * len(self.STEPS))]
        self.place = place if 0 <= place < len(LETTERS) else 2 * self.place - place
        return letter

    def _cadence(self, pattern: str) -> str:
        """Comes to the tonic from the side that the melody is on, one note of the scale after another."""
        count = pattern.count("N")
        side = 1 if self.place > self.tonic or self.tonic < count else -1
        places = iter(range(self.tonic + side * (count - 1), self.tonic - side, -side))
        return "".join(LETTERS[next(places)] if symbol == "N" else symbol for symbol in pattern)

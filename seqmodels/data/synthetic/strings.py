"""Strings that are reversed, and numbers in decimal strings that are added."""

import string
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.synthetic.pair_problem import PairProblem, part_of
from seqmodels.data.synthetic.problem import check_at_least

_ENOUGH = 1000
"""Of so many texts there are some in each part."""
_TRIES = 200


@dataclass(frozen=True)
class Reversal(PairProblem):
    """Strings of letters, to be written backwards.

    Lengths are drawn evenly, in every part; a string is of one part alone, so that none that is tested was trained on,
    however short. Criterion: the whole string right.

    Args:
        letters: Those that strings are made of.
        longest: Letters of the longest string.
        shortest: Letters of the shortest.

    Raises:
        ValueError: Where a letter stands there twice, a length is out of range, or there are too few strings to have
            some for each part.

    Example:
        >>> pair = Reversal(longest=8).write(np.random.default_rng(0), "test")
        >>> pair.source, pair.target
        ('ryqvrsk', 'ksrvqyr')
    """

    letters: str = string.ascii_lowercase
    longest: int = 25
    shortest: int = 1

    def __post_init__(self) -> None:
        if len(self.letters) < 2 or sorted(self.letters) != sorted(set("".join(self.letters.split()))):
            raise ValueError(f"letters={self.letters}: expected different letters, at least two")
        check_at_least("shortest", self.shortest, 1)
        check_at_least("longest", self.longest, self.shortest)
        if len(self.letters) ** self.longest < _ENOUGH:
            raise ValueError(
                f"longest={self.longest}: expected so many that {len(self.letters)} letters make {_ENOUGH} strings"
            )

    @property
    def max_target_length(self) -> int:
        """Letters of the longest string."""
        return self.longest

    def covering(self) -> Iterable[TextPair]:
        """Returns all letters."""
        return [TextPair(self.letters, self.letters[::-1])]

    def write(self, generator: np.random.Generator, part: str) -> TextPair:
        """Draws a string of a part and its reverse."""
        while True:
            length = int(generator.integers(self.shortest, self.longest + 1))
            for _ in range(_TRIES):  # a part may have no string of a length that has few
                text = "".join([self.letters[place] for place in generator.integers(len(self.letters), size=length)])
                if part_of(text) == part:
                    return TextPair(text, text[::-1])


@dataclass(frozen=True)
class DecimalAddition(PairProblem):
    """Two numbers in decimal digits, and their sum: "123+45" to "168".

    Numbers are drawn evenly from 0 to the largest. Two numbers are of one part alone, whichever of them comes first.
    Zaremba and Sutskever 2014, "Learning to execute", have it among their tasks, and reversed digits too. Criterion:
    the whole sum right.

    Args:
        digits: Those of the largest number.
        reverse_answer: Whether the sum's lowest digit comes first, as it is computed: "123+45" to "861".

    Raises:
        ValueError: Where `digits` is out of range.

    Example:
        >>> pair = DecimalAddition(digits=3).write(np.random.default_rng(0), "train")
        >>> pair.source, pair.target
        ('850+636', '1486')
    """

    digits: int = 3
    reverse_answer: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= 18:  # what 64 bits hold
            raise ValueError(f"digits={self.digits}: expected 1 to 18")

    @property
    def max_target_length(self) -> int:
        """Digits of the largest sum."""
        return self.digits + 1

    def covering(self) -> Iterable[TextPair]:
        """Returns all digits and the sign."""
        return [TextPair("0123456789+", "0123456789")]

    def write(self, generator: np.random.Generator, part: str) -> TextPair:
        """Draws two numbers of a part and their sum."""
        while True:
            first, second = generator.integers(10**self.digits, size=2).tolist()
            if part_of(f"{min(first, second)}+{max(first, second)}") == part:
                answer = str(first + second)
                return TextPair(f"{first}+{second}", answer[::-1] if self.reverse_answer else answer)

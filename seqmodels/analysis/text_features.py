"""What can be told of each character of a text: what a unit of a network is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.analysis.quotes import MARKS, scan
from seqmodels.errors import UserError

TAB = 8
"""Columns from one tab stop to the next, as Python counts indentation."""


@dataclass(frozen=True)
class Feature:
    """A name, and a function that tells something of each character of a text.

    The function takes the text and returns one value for each character: truth values (a list, an array or a tensor
    of bool), or numbers. Any function of the user's own is one: `Feature.of(function)`. What it tells of a character
    should follow from the text up to and with it, as a state that has just read the character knows no more. Scores
    of truth values are F1, those of numbers correlations.

    Args:
        name: What it is called in a table.
        function: Takes a text and returns as many values as it has characters.
        is_event: Whether it tells of the character alone, so that it holds for a token of several characters if it
            holds for any of them; otherwise a token has the value of its last character.
        is_literal: Whether it goes by marks and spaces just as they were written. Of a text that is put together from
            words, where an apostrophe may stand alone, it tells nothing.

    Example:
        >>> def vowel(text):
        ...     return [character in "aeiou" for character in text]
        >>> feature = Feature.of(vowel)
        >>> feature.name, feature.values("bee").tolist()
        ('vowel', [False, True, True])
    """

    name: str
    function: Callable[[str], Any]
    is_event: bool = False
    is_literal: bool = False

    @classmethod
    def of(cls, function: "Feature | Callable[[str], Any]") -> "Feature":
        """Makes one of a function, by its own name; a `Feature` stays what it is."""
        if isinstance(function, Feature):
            return function
        name = getattr(function, "__name__", type(function).__name__)
        return cls(name.replace("_", " ").strip(), function)

    def values(self, text: str) -> Tensor:
        """Returns the value of each character `(characters,)`, bool or float32.

        Raises:
            UserError: Where the function gives something else than a value for each character.
        """
        try:
            values = np.asarray(self.function(text))
            if values.dtype.kind == "c":
                raise TypeError("they are complex")
            values = values if values.dtype == np.bool_ else values.astype(np.float32)
        except (TypeError, ValueError) as error:
            raise UserError(f"features: {self.name} gave no truth values or numbers: {error}") from error
        if values.shape != (len(text),):
            raise UserError(
                f"features: {self.name} gave values of shape {values.shape} for a text of {len(text)} characters; "
                "expected one for each"
            )
        return torch.from_numpy(values)

    def token_values(self, tokens: Sequence[str]) -> Tensor:
        """Returns the value of each token `(tokens,)`; a token without characters has that of the one before it.

        Args:
            tokens: Pieces that make the text when they are joined.

        Raises:
            UserError: Where the function gives something else than a value for each character.

        Example:
            >>> feature = Feature("upper case", lambda text: [c.isupper() for c in text], is_event=True)
            >>> feature.token_values(["An", " ", "", "owl"]).tolist()
            [True, False, False, False]
        """
        values = self.values("".join(tokens))
        if not len(values):
            return values.new_zeros(len(tokens))
        lengths = torch.tensor([len(token) for token in tokens])
        stops = lengths.cumsum(0)
        if not (self.is_event and values.dtype == torch.bool):
            return values[(stops - 1).clamp(min=0)]
        counts = torch.cat([torch.zeros(1, dtype=torch.long), values.long().cumsum(0)])
        return counts[stops] > counts[stops - lengths]


def time_since(character: str) -> Feature:
    """Makes the feature that counts the characters since one was last read; before the first, since the beginning.

    Args:
        character: The one.

    Raises:
        ValueError: Where it is not one character.

    Example:
        >>> time_since("a").values("..a..a").tolist()
        [1.0, 2.0, 0.0, 1.0, 2.0, 0.0]
    """
    if len(character) != 1:
        raise ValueError(f"character={character!r}: expected one character")
    names = {" ": "a space", "\n": "a newline", "\t": "a tab"}
    return Feature(f"time since {names.get(character, character)}", partial(_since, character))


def position_in_line(text: str) -> np.ndarray:
    """Returns how many characters of its line were read, with this one but without the indentation.

    Example:
        >>> position_in_line("  ab\\nc").tolist()
        [0, 0, 1, 2, 0, 1]
    """
    positions = np.zeros(len(text), np.int64)
    position = 0
    for place, character in enumerate(text):
        position = 0 if character == "\n" else position + (position > 0 or not character.isspace())
        positions[place] = position
    return positions


def indentation(text: str) -> np.ndarray:
    """Returns the columns of white space that the line begins with, as far as it was read.

    Example:
        >>> indentation("  a b\\n c").tolist()
        [1, 2, 2, 2, 2, 0, 1, 1]
    """
    columns = np.zeros(len(text), np.int64)
    column, in_margin = 0, True
    for place, character in enumerate(text):
        if character == "\n":
            column, in_margin = 0, True
        elif in_margin and character in " \t":
            column = column + 1 if character == " " else (column // TAB + 1) * TAB
        else:
            in_margin = False
        columns[place] = column
    return columns


def bracket_depth(text: str) -> np.ndarray:
    """Returns how many brackets are open, see `seqmodels.analysis.quotes.scan`.

    Example:
        >>> bracket_depth("f(a[0])").tolist()
        [0, 1, 1, 2, 2, 1, 0]
    """
    return np.array(scan(text).depths, np.int64)


def inside_brackets(text: str) -> np.ndarray:
    """Tells whether a bracket is open."""
    return bracket_depth(text) > 0


def inside_comment(text: str) -> np.ndarray:
    """Tells what stands in a comment as Python has them, from `#` to the end of the line."""
    return _inside(("#",), text)


def word_start(text: str) -> np.ndarray:
    """Tells the first character of each word: a letter, digit or underscore after something else.

    Example:
        >>> word_start("a_b, c").tolist()
        [True, False, False, False, False, True]
    """
    in_word = _each(lambda character: character.isalnum() or character == "_", text)
    before = np.concatenate([[False], in_word[:-1]])
    return in_word & ~before[: len(in_word)]


def default_features() -> list[Feature]:
    """Makes the features that units are held against where nobody asks for others.

    Example:
        >>> [feature.name for feature in default_features()][:3]
        ['inside quotes', 'inside single quotes', 'inside double quotes']
    """
    literal = partial(Feature, is_literal=True)
    return [
        literal("inside quotes", partial(_inside, tuple(mark for marks in MARKS.values() for mark in marks))),
        *(literal(f"inside {kind} quotes", partial(_inside, marks)) for kind, marks in MARKS.items()),
        literal("inside brackets", inside_brackets),  # as comments, not those that stand in quotes
        literal("inside a comment", inside_comment),
        Feature("word start", word_start, is_event=True),
        Feature("digit", partial(_each, str.isdigit), is_event=True),
        Feature("upper case", partial(_each, str.isupper), is_event=True),
        literal("bracket depth", bracket_depth),
        literal("indentation", indentation),
        Feature("position in line", position_in_line),
        Feature("distance since newline", partial(_since, "\n")),
        time_since(" "),
    ]


def _since(character: str, text: str) -> np.ndarray:
    places = np.arange(len(text))
    last = np.maximum.accumulate(np.where(_each(character.__eq__, text), places, -1)) if text else places
    return places - last


def _inside(marks: tuple[str, ...], text: str) -> np.ndarray:
    return _each(marks.__contains__, scan(text).marks)


def _each(test: Callable[[str], bool], parts: Sequence[str]) -> np.ndarray:
    return np.fromiter(map(test, parts), np.bool_, len(parts))

"""What the generated problems share whose examples are pairs of texts."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np

from seqmodels.data.formats.pairs import TextPair

_PARTS = ("val", "test", *["train"] * 8)


class PairProblem(ABC):
    """A task whose examples are texts, each with what is to be made of it."""

    @property
    @abstractmethod
    def max_target_length(self) -> int:
        """Characters of the longest target."""

    @abstractmethod
    def covering(self) -> Iterable[TextPair]:
        """Returns pairs that show every symbol there is."""

    @abstractmethod
    def write(self, generator: np.random.Generator, part: str) -> TextPair:
        """Draws a pair of "train", "val" or "test"; a pure function of its arguments. No part has a pair of another."""


def part_of(text: str) -> str:
    """Tells which part a text is for: eight tenths are for training, one for validation and one for the test.

    Example:
        >>> [part_of(text) for text in ("1+1", "1+2", "1+3", "1+4")]
        ['val', 'train', 'train', 'train']
    """
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return _PARTS[int.from_bytes(digest, "little") % len(_PARTS)]

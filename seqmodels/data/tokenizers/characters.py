"""Characters and bytes as tokens."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from seqmodels.data.tokenizers.base import UNKNOWN_CHARACTER, Tokenizer, check_at_least, first_of_each


class CharTokenizer(Tokenizer):
    """One token for each character of the training text, sorted; id 0 is `<unk>`, which no training text produces.

    Args:
        min_count: Characters that are rarer in the training text become `<unk>`.

    Example:
        >>> tokenizer = CharTokenizer()
        >>> tokenizer.fit(["hello ", "world"])
        >>> tokenizer.encode("hold!").tolist(), tokenizer.decode([4, 6, 5, 2]), tokenizer.unknown("hold!")
        ([4, 6, 5, 2, 0], 'hold', ['!'])
    """

    kind = "char"
    unknown_id = 0

    def __init__(self, min_count: int = 1):
        super().__init__()
        check_at_least("tokenizer.min_count", min_count, 1)
        self.min_count = min_count
        self.characters: list[str] | None = None
        self._table = np.zeros(1, np.uint32)

    @property
    def fitted(self) -> bool:
        """Whether the vocabulary is known."""
        return self.characters is not None

    @property
    def _num_text_tokens(self) -> int:
        return 1 + len(self.characters or ())

    def fit(self, chunks: Iterable[str]) -> None:
        """Takes the characters of the training text."""
        counts: Counter[int] = Counter()
        for chunk in chunks:
            by_code = np.bincount(_codes(chunk))
            present = np.flatnonzero(by_code)
            counts.update(dict(zip(present.tolist(), by_code[present].tolist(), strict=True)))
        self._set([chr(code) for code in sorted(counts) if counts[code] >= self.min_count])

    def _set(self, characters: list[str]) -> None:
        self.characters = characters
        # One entry for each code point up to the largest, and one more that all above it are mapped to.
        self._table = np.zeros(max(map(ord, characters), default=0) + 2, np.uint32)
        self._table[[ord(character) for character in characters]] = np.arange(1, len(characters) + 1)

    def encode(self, text: str) -> np.ndarray:
        """Returns the id of each character."""
        return self._table[np.minimum(_codes(text), len(self._table) - 1)]

    def _decode_text(self, ids: list[int]) -> str:
        alphabet = [UNKNOWN_CHARACTER, *(self.characters or ())]
        return "".join(alphabet[token] for token in ids)

    def unknown(self, text: str) -> list[str]:
        """Returns the characters that the vocabulary lacks."""
        known = set(self.characters or ())
        return first_of_each([character for character in text if character not in known])

    def to_spec(self) -> dict[str, Any]:
        """Returns plain JSON; the characters as code points."""
        codes = None if self.characters is None else [ord(character) for character in self.characters]
        return {"kind": self.kind, "min_count": self.min_count, "special": self.special_tokens, "codes": codes}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "CharTokenizer":
        """Rebuilds what `to_spec` described."""
        tokenizer = cls(spec["min_count"])
        if spec["codes"] is not None:
            if not all(type(code) is int for code in spec["codes"]):
                raise ValueError(f"codes={spec['codes']}: expected the numbers of characters")
            characters = [chr(code) for code in spec["codes"]]
            "".join(characters).encode()  # refuses halves of characters
            tokenizer._set(characters)
        return tokenizer


class ByteTokenizer(Tokenizer):
    """The 256 bytes of UTF-8 as tokens: loses nothing, knows every text, has nothing to fit.

    Example:
        >>> tokenizer = ByteTokenizer()
        >>> tokenizer.encode("né").tolist(), tokenizer.decode([110, 195, 169]), tokenizer.decode([110, 195])
        ([110, 195, 169], 'né', 'n\ufffd')
    """

    kind = "byte"

    @property
    def fitted(self) -> bool:
        """Always."""
        return True

    @property
    def _num_text_tokens(self) -> int:
        return 256

    def fit(self, chunks: Iterable[str]) -> None:
        """Does nothing."""

    def encode(self, text: str) -> np.ndarray:
        """Returns the bytes."""
        return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)

    def _decode_text(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    def unknown(self, text: str) -> list[str]:
        """Returns an empty list."""
        return []

    def to_spec(self) -> dict[str, Any]:
        """Returns plain JSON."""
        return {"kind": self.kind, "special": self.special_tokens}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "ByteTokenizer":
        """Rebuilds what `to_spec` described."""
        return cls()


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)

"""What every tokenizer can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqmodels.errors import UserError

UNKNOWN_CHARACTER = "\ufffd"
"""Stands where decoding has no character: bytes that are no UTF-8, or `<unk>`."""


class Tokenizer(ABC):
    """Turns text into token ids and back.

    Ids are 0 to `vocab_size - 1`. Tokens that are no text, such as `<bos>`, come after all others and decode to
    nothing. A subclass gives `fit`, `encode`, `unknown`, `to_spec`, `_num_text_tokens` and `_decode_text`.

    Attributes:
        beyond: What it knows beyond its vocabulary, by ids from `vocab_size` on; see `extended`.
    """

    kind: str
    unknown_id: int | None = None
    beyond: Sequence[str] = ()

    def __init__(self) -> None:
        self.special_tokens: list[str] = []

    @property
    @abstractmethod
    def fitted(self) -> bool:
        """Whether the vocabulary is known."""

    @property
    @abstractmethod
    def _num_text_tokens(self) -> int:
        """How many tokens stand for text."""

    @abstractmethod
    def fit(self, chunks: Iterable[str]) -> None:
        """Takes the vocabulary from training text, given in pieces."""

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Returns the ids of a text, `(tokens,)` of an integer type."""

    @abstractmethod
    def _decode_text(self, ids: list[int]) -> str:
        """Returns the text of ids that are all text."""

    @abstractmethod
    def unknown(self, text: str) -> list[str]:
        """Returns what of a text the vocabulary lacks, each once, in order of appearance."""

    @abstractmethod
    def to_spec(self) -> dict[str, Any]:
        """Returns settings and vocabulary as plain JSON, for `tokenizer_from_spec`."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        return self._num_text_tokens + len(self.special_tokens)

    def add_special_tokens(self, names: Iterable[str]) -> None:
        """Gives ids to tokens that are no text; those that have one keep it."""
        self.special_tokens += [name for name in names if name not in self.special_tokens]

    def special_id(self, name: str) -> int | None:
        """Returns the id of `<bos>` or another special token, `None` where there is none of this name."""
        if name not in self.special_tokens:
            return None
        return self._num_text_tokens + self.special_tokens.index(name)

    def extended(self, words: Sequence[str]) -> "Tokenizer":
        """Returns a tokenizer that knows these words too, by ids from `vocab_size` on; words can be added to words.

        Raises:
            TypeError: Where its tokens are something else, and there are words.
        """
        if words:
            raise TypeError(f"{self.kind}: these tokens are no words")
        return self

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of token ids; special tokens are left out."""
        texts, first = self._num_text_tokens, self.vocab_size
        last = first + len(self.beyond)
        return self._decode_text([int(token) for token in ids if token < texts or first <= token < last])


class IncrementalDecoder:
    """Decodes a growing sequence and gives only what is new, for text that is shown as it is made.

    A character whose bytes are spread over several tokens appears once it is whole.

    Args:
        tokenizer: Decodes.

    Example:
        >>> from seqmodels.data import ByteTokenizer
        >>> decoder = IncrementalDecoder(ByteTokenizer())
        >>> [decoder.push(byte) for byte in "né".encode()], decoder.flush()
        (['n', '', 'é'], '')
    """

    # A character has at most 4 bytes; a model that is not trained yet may never complete one.
    MAX_PENDING = 4

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._shown: list[int] = []
        self._pending: list[int] = []

    def push(self, token: int) -> str:
        """Takes the next token and returns the text that it completes, which may be none."""
        self._pending.append(int(token))
        text = self._new_text()
        if text.endswith(UNKNOWN_CHARACTER) and len(self._pending) < self.MAX_PENDING:
            return ""
        return self._show(text)

    def flush(self) -> str:
        """Returns what was kept back, at the end of the text."""
        return self._show(self._new_text())

    def _new_text(self) -> str:
        # With the tokens before, as spaces between words depend on them.
        before = self.tokenizer.decode(self._shown)
        return self.tokenizer.decode(self._shown + self._pending)[len(before) :]

    def _show(self, text: str) -> str:
        if text:
            self._shown, self._pending = self._pending, []
        return text


def check_at_least(key: str, value: int, minimum: int) -> None:
    """Refuses a number that is too small, by the key that it has in the configuration."""
    if value < minimum:
        raise UserError(f"{key}={value}: expected an integer of at least {minimum}")


def first_of_each(items: Sequence[str]) -> list[str]:
    """Returns each item once, in order of appearance."""
    return list(dict.fromkeys(items))

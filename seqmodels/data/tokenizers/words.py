"""Words as tokens."""

import copy
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqmodels.data.tokenizers.base import Tokenizer, check_at_least, first_of_each

_TOKEN = re.compile(r"\w+|[^\w\s]|\n")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%\n")
_NO_SPACE_AFTER = frozenset("([{\n")


class WordTokenizer(Tokenizer):
    """Words, punctuation marks and line ends as tokens, the most frequent first; id 0 is `<unk>`.

    It does not keep everything: spaces are dropped, and decoding puts one between tokens but for those before closing
    and after opening punctuation and around line ends.

    Args:
        min_count: Tokens that are rarer in the training text become `<unk>`.
        pretokenized: Whether text has its tokens between spaces already: it is split there and nowhere else, and
            decoding puts a space between all tokens. Line ends count as spaces.

    Example:
        >>> tokenizer = WordTokenizer()
        >>> tokenizer.fit(["Yes, yes."])
        >>> tokenizer.decode(tokenizer.encode("yes ,  Yes . No ."))
        'yes, Yes. <unk>.'
        >>> as_given = WordTokenizer(pretokenized=True)
        >>> as_given.fit(["a dog 's life ."])
        >>> as_given.decode(as_given.encode("a dog 's life ."))
        "a dog 's life ."
    """

    kind = "word"
    unknown_id = 0

    def __init__(self, min_count: int = 1, pretokenized: bool = False):
        super().__init__()
        check_at_least("tokenizer.min_count", min_count, 1)
        self.min_count = min_count
        self.pretokenized = pretokenized
        self.words: list[str] | None = None
        self._ids: dict[str, int] = {}

    @property
    def fitted(self) -> bool:
        """Whether the vocabulary is known."""
        return self.words is not None

    @property
    def _num_text_tokens(self) -> int:
        return 1 + len(self.words or ())

    def fit(self, chunks: Iterable[str]) -> None:
        """Takes the words of the training text."""
        counts: Counter[str] = Counter()
        for chunk in chunks:
            counts.update(self._split(chunk))
        frequent = [word for word, count in counts.items() if count >= self.min_count]
        self._set(sorted(frequent, key=lambda word: (-counts[word], word)))

    def _split(self, text: str) -> list[str]:
        return text.split() if self.pretokenized else _TOKEN.findall(text)

    def _set(self, words: list[str]) -> None:
        self.words = words
        self._ids = {word: index for index, word in enumerate(words, start=1)}

    def encode(self, text: str) -> np.ndarray:
        """Returns the id of each word, mark and line end."""
        beyond = {word: self.vocab_size + place for place, word in enumerate(self.beyond)}
        return np.array([self._ids.get(word) or beyond.get(word, 0) for word in self._split(text)], np.uint32)

    def extended(self, words: Sequence[str]) -> "WordTokenizer":
        """Returns a tokenizer that knows these words too, by ids from `vocab_size` on.

        Args:
            words: Those that the vocabulary lacks.

        Example:
            >>> tokenizer = WordTokenizer()
            >>> tokenizer.fit(["hello"])
            >>> extended = tokenizer.extended(["Ada"])
            >>> extended.encode("hello Ada Eve").tolist(), extended.decode([1, 2]), extended.vocab_size
            ([1, 2, 0], 'hello Ada', 2)
        """
        if not words:
            return self
        made = copy.copy(self)
        made.beyond = list(words)
        return made

    def _decode_text(self, ids: list[int]) -> str:
        vocabulary = ["<unk>", *(self.words or ()), *self.special_tokens, *self.beyond]
        if self.pretokenized:
            return " ".join(vocabulary[token] for token in ids)
        pieces: list[str] = []
        for word in (vocabulary[token] for token in ids):
            if pieces and word not in _NO_SPACE_BEFORE and pieces[-1] not in _NO_SPACE_AFTER:
                pieces.append(" ")
            pieces.append(word)
        return "".join(pieces)

    def unknown(self, text: str) -> list[str]:
        """Returns the words that the vocabulary lacks."""
        return first_of_each([word for word in self._split(text) if word not in self._ids and word not in self.beyond])

    def to_spec(self) -> dict[str, Any]:
        """Returns plain JSON."""
        return {
            "kind": self.kind,
            "min_count": self.min_count,
            "pretokenized": self.pretokenized,
            "special": self.special_tokens,
            "words": self.words,
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "WordTokenizer":
        """Rebuilds what `to_spec` described."""
        tokenizer = cls(spec["min_count"], spec.get("pretokenized", False))  # runs from before it had no such key
        if spec["words"] is not None:
            tokenizer._set(list(spec["words"]))
        return tokenizer

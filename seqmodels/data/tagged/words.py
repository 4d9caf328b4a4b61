"""Words with their characters, as numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqmodels.data.tokenizers import CharTokenizer


class WordEncoder:
    """Gives each word a number, and one to each of its characters.

    Words are numbered without regard to case, which their characters still show; 0 is a word that training has not
    seen. Among characters 0 is none, past the end of the word, and 1 is one that training has not seen.

    Args:
        words: Those that are known, numbered from 1.
        characters: Numbers the characters.
        max_characters: Characters that are kept of a word: of a longer one its beginning and its end.

    Example:
        >>> encoder = WordEncoder.fitted([["Go", "go", "on"]], min_count=2, max_characters=4)
        >>> encoder.encode(["going", "Go"]).tolist()
        [[0, 3, 5, 4, 3], [1, 2, 5, 0, 0]]
    """

    def __init__(self, words: Sequence[str], characters: CharTokenizer, max_characters: int):
        self.words = words
        self.characters = characters
        self.max_characters = max_characters
        self._numbers = {word: number for number, word in enumerate(words, start=1)}

    @classmethod
    def fitted(cls, sentences: Iterable[Sequence[str]], min_count: int, max_characters: int) -> "WordEncoder":
        """Takes words and characters from training sentences.

        Args:
            sentences: The words of each.
            min_count: Words that are rarer count as unseen.
            max_characters: See the class.
        """
        counts: Counter[str] = Counter()
        characters = CharTokenizer()
        written = [word for sentence in sentences for word in sentence]
        counts.update(word.lower() for word in written)
        characters.fit(written)
        frequent = [word for word, count in counts.items() if count >= min_count]
        return cls(sorted(frequent, key=lambda word: (-counts[word], word)), characters, max_characters)

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers there are: "num_words" of words, "num_characters" of characters."""
        return {"num_words": 1 + len(self.words), "num_characters": 1 + self.characters.vocab_size}

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """Returns the number of each word and those of its characters `(words, 1 + max_characters)`, int64."""
        encoded = np.zeros((len(words), 1 + self.max_characters), np.int64)
        encoded[:, 0] = [self._numbers.get(word.lower(), 0) for word in words]
        for row, word in zip(encoded, words, strict=True):
            characters = self._kept(word)
            row[1 : 1 + len(characters)] = self.characters.encode(characters) + 1
        return encoded

    def _kept(self, word: str) -> str:
        if len(word) <= self.max_characters:
            return word
        end = self.max_characters // 2
        return word[: self.max_characters - end] + word[len(word) - end :]

    def to_spec(self) -> dict[str, Any]:
        """Returns all of it as plain JSON."""
        characters = self.characters.to_spec()
        return {"words": list(self.words), "characters": characters, "max_characters": self.max_characters}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "WordEncoder":
        """Makes it again of what `to_spec` returned."""
        return cls(spec["words"], CharTokenizer.from_spec(spec["characters"]), spec["max_characters"])

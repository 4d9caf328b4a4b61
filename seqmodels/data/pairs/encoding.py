"""Pairs of texts as examples of an encoder and a decoder."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqmodels.data.corpus import BOS, EOS
from seqmodels.data.examples import Example
from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.tokenizers import Tokenizer, tokenizer_from_spec
from seqmodels.data.windows import IGNORE_INDEX
from seqmodels.errors import UserError


@dataclass(frozen=True)
class PairTokenizers:
    """The tokenizers of sources and of targets.

    A source ends in `<eos>` and has no other special token, as in Sutskever et al. 2014, "Sequence to sequence learning
    with neural networks"; a target is read from `<bos>` and to be continued up to `<eos>`.

    Args:
        source: Makes tokens of sources.
        target: Makes tokens of targets; the same object where both have one vocabulary.
        copy_unknown: Whether words of a source that the vocabulary lacks have ids too, from `vocab_size` on in order of
            appearance, in its target as well (See, Liu and Manning 2017, "Get to the point", section 2.2). Both sides
            need one vocabulary of words.

    Example:
        >>> from seqmodels.data import CharTokenizer
        >>> both = PairTokenizers.fitted([TextPair("ab", "ba")], CharTokenizer(), joint=True)
        >>> example = both.encode(TextPair("ab", "ba"))
        >>> example.context.tolist(), example.inputs.tolist(), example.targets.tolist()
        ([1, 2, 4], [3, 2, 1], [2, 1, 4])
    """

    source: Tokenizer
    target: Tokenizer
    copy_unknown: bool = False

    @classmethod
    def fitted(
        cls,
        pairs: Sequence[TextPair],
        target: Tokenizer,
        source: Tokenizer | None = None,
        joint: bool = False,
        copy_unknown: bool = False,
    ) -> "PairTokenizers":
        """Takes vocabularies from training pairs; the tokenizers that are given are not changed.

        Args:
            pairs: The training pairs.
            target: Makes tokens of targets.
            source: Makes tokens of sources; one like that of targets where left out.
            joint: Whether there is one vocabulary, taken from both sides.
            copy_unknown: See above.
        """
        of_target, of_source = copy.deepcopy(target), copy.deepcopy(source or target)
        if joint:
            of_source = of_target
            _fit(of_target, (text for pair in pairs for text in (pair.source, pair.target)))
        else:
            _fit(of_source, (pair.source for pair in pairs))
            _fit(of_target, (pair.target for pair in pairs))
        of_target.add_special_tokens([BOS, EOS])
        of_source.add_special_tokens([EOS])
        return cls(of_source, of_target, copy_unknown)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "PairTokenizers":
        """Makes those of a run again.

        Raises:
            UserError: Where its data were no pairs of texts.
        """
        if spec.get("shape") != "sequence_to_sequence" or spec["context"].get("kind") != "tokens":
            raise UserError("data: these are pairs of texts, and the run was trained on something else")
        target, context = tokenizer_from_spec(spec["tokenizer"]), spec["context"]
        source = target if context["joint"] else tokenizer_from_spec(context["tokenizer"])
        return cls(source, target, context.get("copied_unk") is not None)

    def words_beyond(self, text: str) -> tuple[str, ...] | None:
        """Returns what a source has beyond the vocabulary, in order of appearance; `None` where it has no ids."""
        return tuple(self.source.unknown(text)) if self.copy_unknown else None

    def source_ids(self, text: str) -> np.ndarray:
        """Returns the tokens of a source with `<eos>` `(steps,)`, int64."""
        tokenizer = self.source.extended(self.words_beyond(text) or ())
        return np.array([*tokenizer.encode(text).tolist(), tokenizer.special_id(EOS)], np.int64)

    def target_ids(self, text: str, words: Sequence[str] | None = None) -> np.ndarray:
        """Returns the tokens of a target between `<bos>` and `<eos>` `(steps + 1,)`, int64.

        Args:
            text: The target.
            words: What its source has beyond the vocabulary.
        """
        tokenizer = self.target.extended(words or ())
        ids = tokenizer.encode(text).tolist()
        return np.array([tokenizer.special_id(BOS), *ids, tokenizer.special_id(EOS)], np.int64)

    def encode(self, pair: TextPair) -> Example:
        """Makes an example of a pair: its context is the source."""
        words = self.words_beyond(pair.source)
        ids = self.target_ids(pair.target, words)
        return Example(ids[:-1], ids[1:], self.source_ids(pair.source), pair.target, words)

    def request(self, text: str) -> Example:
        """Makes an example whose target is to be written: nothing of it but `<bos>`."""
        begin, unscored = np.array([self.target.special_id(BOS)]), np.array([IGNORE_INDEX])
        return Example(begin, unscored, self.source_ids(text), words=self.words_beyond(text))

    def spec(self, parts: Mapping[str, Sequence[TextPair]]) -> dict[str, Any]:
        """Returns what a model has to know, plain JSON.

        Args:
            parts: Pairs of each part, or some of them, to count the characters of a target token.
        """
        characters = {part: sum(len(pair.target) + 1 for pair in pairs) for part, pairs in parts.items()}
        sizes = {part: [len(self.target.encode(pair.target)) + 1 for pair in pairs] for part, pairs in parts.items()}
        return {
            "kind": "text",
            "form": "lines",
            "shape": "sequence_to_sequence",
            "tokenizer": self.target.to_spec(),
            "vocab_size": self.target.vocab_size,
            "unk": self.target.unknown_id,
            "bos": self.target.special_id(BOS),
            "eos": self.target.special_id(EOS),
            "characters_per_token": {part: characters[part] / sum(sizes[part]) for part in parts},
            "longest_target": max(max(sizes[part]) for part in parts),
            "context": {
                "kind": "tokens",
                "tokenizer": self.source.to_spec(),
                "source_vocab_size": self.source.vocab_size,
                "unk": self.source.unknown_id,
                "eos": self.source.special_id(EOS),
                "joint": self.source is self.target,
                # Only where it is asked for: a model that is built for these data takes what has its name.
                **({"copied_unk": self.target.unknown_id} if self.copy_unknown else {}),
            },
        }


def _fit(tokenizer: Tokenizer, texts: Iterable[str]) -> None:
    if not tokenizer.fitted:
        tokenizer.fit(texts)


class EncodedPairs:
    """Examples of pairs, kept as two flat arrays.

    Args:
        sources: The tokens of each source, with `<eos>`.
        targets: The tokens of each target, between `<bos>` and `<eos>`.
        references: The text of each target.
        words: What each source has beyond the vocabulary, `None` where that has no ids.

    Attributes:
        lengths: Steps of each target `(pairs,)`.
        context_lengths: Steps of each source `(pairs,)`.
    """

    def __init__(
        self,
        sources: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        references: Sequence[str],
        words: Sequence[tuple[str, ...] | None],
    ):
        self._references, self._words = references, words
        self._sources, self._source_bounds = _flat(sources)
        self._targets, self._target_bounds = _flat(targets)
        self.lengths = np.diff(self._target_bounds) - 1
        self.context_lengths = np.diff(self._source_bounds)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        source = self._sources[self._source_bounds[index] : self._source_bounds[index + 1]].astype(np.int64)
        target = self._targets[self._target_bounds[index] : self._target_bounds[index + 1]].astype(np.int64)
        return Example(target[:-1], target[1:], source, self._references[index], self._words[index])


def _flat(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return np.concatenate(rows).astype(np.int32), bounds

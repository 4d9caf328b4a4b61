"""Limits to the lengths of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.pairs.encoding import EncodedPairs, PairTokenizers
from seqmodels.errors import UserError

TooLong = Literal["error", "skip", "cut"]


@dataclass(frozen=True)
class LengthLimits:
    """How long texts may be, and what becomes of longer ones.

    Args:
        source: Tokens of the longest source, without `<eos>`; `None` for any number.
        target: Tokens of the longest target, likewise.
        too_long: "error" refuses a longer one; "skip" leaves its pair out of training and "cut" takes its beginning,
            in training alone: pairs that are measured on stay as they are.

    Raises:
        UserError: Where a limit is below 1.
    """

    source: int | None = None
    target: int | None = None
    too_long: TooLong = "error"

    def __post_init__(self) -> None:
        for name, limit in (("source", self.source), ("target", self.target)):
            if limit is not None and limit < 1:
                raise UserError(f"data.max_{name}_length={limit}: expected an integer of at least 1, or null")

    def encode(self, pairs: Sequence[TextPair], tokenizers: PairTokenizers, training: bool) -> EncodedPairs:
        """Makes examples of pairs.

        Raises:
            UserError: Where one is too long, with file and line; or all are, and none is left.
        """
        sources, targets, references, beyond = [], [], [], []
        for pair in pairs:
            words = tokenizers.words_beyond(pair.source)
            source, target = tokenizers.source_ids(pair.source), tokenizers.target_ids(pair.target, words)
            of_source = self.problem(source, "source")
            problem = of_source or self.problem(target[1:], "target")
            if problem and self.too_long == "error":
                place = (of_source and pair.source_place) or pair.place
                raise UserError(f"{place}: {problem}; data.too_long=skip or cut trains without the rest")
            if problem and training:
                if self.too_long == "skip":
                    continue
                source, target = _cut(source, self.source, 0), _cut(target, self.target, 1)
                if words:  # the target may have words that were cut away, and so cannot be copied
                    last = max(tokenizers.target.vocab_size - 1, source.max())
                    target[target > last] = tokenizers.target.unknown_id
            sources.append(source)
            targets.append(target)
            references.append(pair.target)
            beyond.append(words)
        if not sources:
            raise UserError(
                f"data.max_source_length={_shown(self.source)}, data.max_target_length={_shown(self.target)}: "
                "no pair of the training part is that short"
            )
        return EncodedPairs(sources, targets, references, beyond)

    def problem(self, ids: np.ndarray, side: Literal["source", "target"]) -> str | None:
        """Tells that a text is too long, in words; `None` where it is not.

        Args:
            ids: Its tokens, with `<eos>`.
            side: Which side it is on.
        """
        limit, length = (self.source if side == "source" else self.target), len(ids) - 1
        if limit is None or length <= limit:
            return None
        return f"the {side} has {length} tokens, more than data.max_{side}_length={limit}"


def _cut(ids: np.ndarray, limit: int | None, before: int) -> np.ndarray:
    """Cuts a text but keeps what ends it; `before` special tokens stand at its beginning."""
    if limit is None or len(ids) - 1 - before <= limit:
        return ids
    return np.append(ids[: limit + before], ids[-1])


def _shown(limit: int | None) -> str:
    return "null" if limit is None else str(limit)

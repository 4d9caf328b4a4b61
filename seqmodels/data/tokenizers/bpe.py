"""Byte-pair encoding through the `tokenizers` library."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, pre_tokenizers, trainers

from seqmodels.data.tokenizers.base import Tokenizer, check_at_least


class BPETokenizer(Tokenizer):
    """Frequent byte sequences as tokens: loses nothing and knows every text.

    Sennrich et al. 2016, "Neural machine translation of rare words with subword units", over bytes as in Radford et al.
    2019, "Language models are unsupervised multitask learners".

    Args:
        vocab_size: Tokens to learn, the 256 bytes included; a small text may give fewer.
    """

    kind = "bpe"

    def __init__(self, vocab_size: int = 2048):
        super().__init__()
        check_at_least("tokenizer.vocab_size", vocab_size, 256)
        self.requested_size = vocab_size
        self._engine: Engine | None = None

    @property
    def fitted(self) -> bool:
        """Whether the vocabulary is known."""
        return self._engine is not None

    @property
    def _num_text_tokens(self) -> int:
        return self._engine.get_vocab_size() if self._engine else 0

    def fit(self, chunks: Iterable[str]) -> None:
        """Learns the merges from the training text."""
        engine = _engine(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=self.requested_size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[],
            show_progress=False,
        )
        engine.train_from_iterator(chunks, trainer)
        self._engine = engine

    def encode(self, text: str) -> np.ndarray:
        """Returns the ids of the byte sequences."""
        if self._engine is None:
            raise RuntimeError("this tokenizer has not been fitted")
        return np.array(self._engine.encode(text, add_special_tokens=False).ids, np.uint32)

    def _decode_text(self, ids: list[int]) -> str:
        if self._engine is None:
            raise RuntimeError("this tokenizer has not been fitted")
        return self._engine.decode(ids, skip_special_tokens=False)

    def unknown(self, text: str) -> list[str]:
        """Returns an empty list."""
        return []

    def to_spec(self) -> dict[str, Any]:
        """Returns plain JSON: the tokens by id, and the merges in order."""
        spec: dict[str, Any] = {"kind": self.kind, "vocab_size": self.requested_size, "special": self.special_tokens}
        if self._engine is None:
            return spec | {"tokens": None, "merges": None}
        model = json.loads(self._engine.to_str())["model"]
        return spec | {"tokens": sorted(model["vocab"], key=model["vocab"].get), "merges": model["merges"]}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "BPETokenizer":
        """Rebuilds what `to_spec` described."""
        tokenizer = cls(spec["vocab_size"])
        if spec["tokens"] is not None:
            vocabulary = {token: index for index, token in enumerate(spec["tokens"])}
            merges = [(first, second) for first, second in spec["merges"]]
            try:
                tokenizer._engine = _engine(models.BPE(vocab=vocabulary, merges=merges))
            except Exception as error:  # the library raises no other class
                raise ValueError(str(error)) from error
        return tokenizer


def _engine(model: Any) -> Engine:
    engine = Engine(model)
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    return engine

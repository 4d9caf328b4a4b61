"""Language modelling: predict each next token."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.decoding import Sampling, TextWriter
from seqmodels.models import LanguageModel
from seqmodels.tasks.losses import CrossEntropy
from seqmodels.tasks.measures import Measure
from seqmodels.tasks.reporting import Row
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.sequence_task import SequenceTask

LONGEST_TEXT = 1000
"""Tokens of a text that is written for a context at most."""


class LanguageModelling(SequenceTask):
    """Cross-entropy of each next token, in nats, over windows of a stream or over padded sequences.

    Args:
        model: The language model.
        optimizer: Makes the optimizer from parameter groups.
        schedule: Factor on the learning rate.
        characters_per_token: Of each part of the data, so that losses compare between tokenizers; 1 where left out.
        measures: See `SequenceTask`.
        activation_penalty: See `SequenceTask`.
        temporal_activation_penalty: See `SequenceTask`.

    Raises:
        ValueError: A factor is negative.
    """

    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        schedule: Schedule | None = None,
        characters_per_token: dict[str, float] | None = None,
        measures: Sequence[Measure] = (),
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
    ):
        super().__init__(
            model, optimizer, CrossEntropy(), schedule, measures, activation_penalty, temporal_activation_penalty
        )
        self.characters_per_token = characters_per_token or {}

    def metrics(self, loss: float, split: str) -> dict[str, float]:
        """Returns loss (nats a token), bits per token and per character, and perplexity per token."""
        bits = loss / math.log(2)
        return {
            "loss": loss,
            "bits_per_token": bits,
            "bits_per_character": bits / self.characters_per_token.get(split, 1.0),
            "perplexity": math.exp(min(loss, 700.0)),
        }

    def predict_rows(self, window: Window, spec: Mapping[str, Any]) -> list[list[Row]]:
        """Returns the likeliest text of each context; without contexts, how likely each text is.

        A text is written step by step, each time the likeliest token, up to its end or `LONGEST_TEXT` tokens.
        """
        if window.context is not None:
            writer = TextWriter.from_spec(self.model, spec)
            count = len(window.context)
            texts = writer.write(None, LONGEST_TEXT, Sampling(temperature=0), count, contexts=window.context)
            return [[{"prediction": text}] for text in texts]
        logits = self.model(window.inputs)[0].float()
        losses = cross_entropy(logits.flatten(0, 1), window.targets.flatten(), reduction="none")
        totals = losses.view(window.targets.shape).sum(1)
        counts = (window.targets != IGNORE_INDEX).sum(1)
        return [
            [{"nats": float(f"{total:.6g}"), "tokens": count, "perplexity": float(f"{math.exp(total / count):.6g}")}]
            for total, count in zip(totals.tolist(), counts.tolist(), strict=True)
        ]

    def lengths_of(self, window: Window) -> Tensor | None:
        """Returns none: read from left to right, what stands behind the end of a row changes nothing before it."""
        return None

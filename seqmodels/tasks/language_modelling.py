"""Language modelling: predict each next token."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.decoding import BeamSearch, FoundText, Sampling, TextWriter
from seqmodels.models import EncoderDecoder, LanguageModel
from seqmodels.nn import State
from seqmodels.tasks.free_running import Feed, check_feed, run_freely
from seqmodels.tasks.losses import CrossEntropy
from seqmodels.tasks.measures import Measure
from seqmodels.tasks.reporting import Row
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.sequence_task import SequenceTask
from seqmodels.tasks.teacher_forcing import ConstantForcing, TeacherForcing
from seqmodels.tasks.truncation import run_window

LONGEST_TEXT = 1000
"""Tokens of a text that is written for a context at most."""


def longest_target(spec: Mapping[str, Any]) -> int:
    """Returns how many tokens a text has at most: twice those of the longest that was there to learn from."""
    return min(LONGEST_TEXT, 2 * int(spec.get("longest_target", LONGEST_TEXT)))


class LanguageModelling(SequenceTask):
    """Cross-entropy of each next token, in nats, over windows of a stream or over padded sequences.

    While training, a step reads the true token or, as often as teacher forcing leaves it to, what the model itself
    predicted. Where it always reads the truth, a window is run in one call. Evaluation always reads the truth, but for
    the measures that say otherwise.

    Args:
        model: The language model.
        optimizer: Makes the optimizer from parameter groups.
        schedule: Factor on the learning rate.
        characters_per_token: Of each part of the data, so that losses compare between tokenizers; 1 where left out.
        measures: See `SequenceTask`.
        activation_penalty: See `SequenceTask`.
        temporal_activation_penalty: See `SequenceTask`.
        teacher_forcing: How often the truth is read while training; always where left out.
        feed: What is read instead: "argmax", "sample" or "mixed", see `run_freely`.

    Raises:
        ValueError: A factor is negative, or the feed is unknown.
    """

    model: LanguageModel | EncoderDecoder
    teacher_forcing: TeacherForcing
    search: BeamSearch | None = None  # how `predict_rows` finds texts

    def __init__(
        self,
        model: LanguageModel | EncoderDecoder,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        schedule: Schedule | None = None,
        characters_per_token: dict[str, float] | None = None,
        measures: Sequence[Measure] = (),
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
        teacher_forcing: TeacherForcing | None = None,
        feed: Feed = "argmax",
    ):
        super().__init__(
            model, optimizer, CrossEntropy(), schedule, measures, activation_penalty, temporal_activation_penalty
        )
        self.characters_per_token = characters_per_token or {}
        check_feed(feed)
        self.teacher_forcing = teacher_forcing or ConstantForcing()
        self.feed: Feed = feed

    def run(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """Runs a window as `SequenceTask` does, or step by step where not every token is the true one.

        The first step of a window, and the one at which the state is handed on, always read the truth.
        """
        forced = self.draw_forced(window) if self.training else None
        if forced is None or bool(forced[:, 1:].all()):
            return super().run(window, state)
        memory = self.model.remember(window.context, window.context_lengths)

        def part(marked: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
            ids, read = marked.unbind(-1)
            hidden, logits, state = run_freely(self.model, ids, read.bool(), self.feed, state, memory)
            return torch.cat([hidden, logits], -1), state

        found, state = run_window(
            part,
            torch.stack([window.inputs, forced.to(window.inputs.dtype)], -1),
            state,
            num_scored=window.targets.shape[1],
            num_without_gradient=window.num_without_gradient,
            handoff=window.handoff,
        )
        return found[..., : -self.model.vocab_size], found[..., -self.model.vocab_size :], state

    def draw_forced(self, window: Window) -> Tensor | None:
        """Draws where a training step reads the truth `(batch, time)`; `None` where everywhere."""
        if self.teacher_forcing.always:
            return None
        batch, steps = window.inputs.shape
        return self.teacher_forcing.draw(batch, steps, self.progress, window.inputs.device)

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

        A text is written step by step, each time the likeliest token, or by `search` where there is one, up to its end
        or `longest_target` tokens. A search gives its score too, and of several texts their ranks.
        """
        if window.context is not None:
            writer = TextWriter.from_spec(self.model, spec)
            count = len(window.context)
            longest, greedy, lengths = longest_target(spec), Sampling(temperature=0), window.context_lengths
            if self.search is not None:
                found = writer.search(None, longest, self.search, count, window.context, lengths)
                return [_ranked(texts, self.search.n_best) for texts in found]
            texts = writer.write(None, longest, greedy, count, contexts=window.context, context_lengths=lengths)
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


def _ranked(texts: list[FoundText], count: int) -> list[Row]:
    """Returns the rows of texts that were found for one context, with their ranks where several were asked for."""
    return [
        {**({"rank": rank} if count > 1 else {}), "prediction": text.text, "score": float(f"{text.score:.6g}")}
        for rank, text in enumerate(texts, 1)
    ]

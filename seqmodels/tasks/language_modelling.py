"""Language modelling: predict each next token."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.decoding import FoundText, Sampling, TextWriter, Writing
from seqmodels.errors import UserError
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
    writing: Writing = Writing()  # how `predict_rows` finds texts, and what they keep to

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
        width = self.model.vocab_size  # copied words may make it more

        def part(marked: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
            nonlocal width
            ids, read = marked.unbind(-1)
            hidden, logits, state = run_freely(self.model, ids, read.bool(), self.feed, state, memory)
            width = logits.shape[-1]
            return torch.cat([hidden, logits], -1), state

        found, state = run_window(
            part,
            torch.stack([window.inputs, forced.to(window.inputs.dtype)], -1),
            state,
            num_scored=window.targets.shape[1],
            num_without_gradient=window.num_without_gradient,
            handoff=window.handoff,
        )
        return found[..., :-width], found[..., -width:], state

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

        A text is written as `writing` says: step by step, each time the likeliest token, or by a search, up to its end
        or `longest_target` tokens. A search gives its score too, and of several texts their ranks.

        Raises:
            UserError: Where the vocabulary does not have what is asked for, or no text can be as is asked.
        """
        if window.context is not None:
            return self._write_rows(window.context, window.context_lengths, spec, window.words)
        logits = self.model(window.inputs)[0].float()
        losses = cross_entropy(logits.flatten(0, 1), window.targets.flatten(), reduction="none")
        totals = losses.view(window.targets.shape).sum(1)
        counts = (window.targets != IGNORE_INDEX).sum(1)
        return [
            [{"nats": float(f"{total:.6g}"), "tokens": count, "perplexity": float(f"{math.exp(total / count):.6g}")}]
            for total, count in zip(totals.tolist(), counts.tolist(), strict=True)
        ]

    def _write_rows(
        self,
        contexts: Tensor,
        lengths: Tensor | None,
        spec: Mapping[str, Any],
        words: Sequence[Sequence[str]] | None,
    ) -> list[list[Row]]:
        """Returns the rows of the texts that are written for each context."""
        writer, writing, count = TextWriter.from_spec(self.model, spec).knowing(words), self.writing, len(contexts)
        longest, rules = writing.longest(longest_target(spec)), writing.constraints
        if writing.search is None:
            greedy = Sampling(temperature=0)
            texts = writer.write(None, longest, greedy, count, None, contexts, lengths, rules)
            return [[{"prediction": text}] for text in texts]
        required, lacking = _required(writer, writing.required, count, words is not None)
        if writing.required:
            rules = replace(rules, required=required)
        found = writer.search(None, longest, writing.search, count, contexts, lengths, rules)
        nothing = f"no text of at most {longest} tokens was found that does all that is asked"
        ranked = [[] if row in lacking else _ranked(texts, writing.search.n_best) for row, texts in enumerate(found)]
        return [rows or [{"problem": lacking.get(row, nothing)}] for row, rows in enumerate(ranked)]

    def lengths_of(self, window: Window) -> Tensor | None:
        """Returns none: read from left to right, what stands behind the end of a row changes nothing before it."""
        return None


def _required(
    writer: TextWriter, texts: Sequence[str], count: int, copies: bool
) -> tuple[list[list[list[int]]], dict[int, str]]:
    """Returns the ids that must appear in each of so many rows, and what those rows lack whose source has a text not.

    Raises:
        UserError: Where the vocabulary lacks a part of a text, of a model that copies none.
    """
    required: list[list[list[int]]] = []
    lacking = {}
    for row in range(count):
        try:
            required.append(writer.required_of(row, texts))
        except UserError as error:
            if not copies:
                raise
            required.append([])
            lacking[row] = f"{error}, and so does this source"
    return required, lacking


def _ranked(texts: list[FoundText], count: int) -> list[Row]:
    """Returns the rows of texts that were found for one context, with their ranks where several were asked for."""
    return [
        {**({"rank": rank} if count > 1 else {}), "prediction": text.text, "score": float(f"{text.score:.6g}")}
        for rank, text in enumerate(texts, 1)
    ]

"""Text out of a language model: a prompt in, characters out as they are made."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.data import IncrementalDecoder, Tokenizer, tokenizer_from_spec
from seqmodels.decoding.beam import BeamSearch, FoundText, Hypotheses
from seqmodels.decoding.condition import Condition
from seqmodels.decoding.constraints import Constraints
from seqmodels.decoding.sampling import Sampling, StepModel, generate
from seqmodels.decoding.search import beam_search
from seqmodels.errors import UserError
from seqmodels.nn import State


class TextWriter:
    """Writes text with a language model and its tokenizer.

    Args:
        model: The language model; it is put into evaluation mode while it writes.
        tokenizer: Turns text into ids and back.
        start: Id that begins a sequence, for models of separate lines.
        stop: Id that ends one.
        forbidden: Ids that are never written, such as the one for unknown tokens.
        condition: What its texts are conditioned on; `None` where on nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        start: int | None = None,
        stop: int | None = None,
        forbidden: list[int] | None = None,
        condition: Condition | None = None,
    ):
        self.model: Any = model  # it has `remember`, `hidden` and `outputs`
        self.tokenizer = tokenizer
        self.start = start
        self.stop = stop
        self.forbidden = forbidden or []
        self.condition = condition
        self._own: list[Tokenizer] = []  # of each row, where rows differ, see `tokenizer_of`

    @classmethod
    def from_spec(cls, model: nn.Module, spec: Mapping[str, Any]) -> "TextWriter":
        """Makes the writer of a language model of data with this spec.

        Raises:
            UserError: Where the spec is damaged.
        """
        try:
            tokenizer = tokenizer_from_spec(spec["tokenizer"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"spec.json: its tokenizer cannot be read: {type(error).__name__}: {error}") from error
        forbidden = [spec[name] for name in ("unk", "bos") if spec.get(name) is not None]
        condition = Condition.from_spec(spec)
        return cls(model, tokenizer, spec.get("bos"), spec.get("eos"), forbidden, condition)

    def knowing(self, words: Sequence[Sequence[str]] | None) -> "TextWriter":
        """Returns a writer that can write what sources have beyond the vocabulary, of a model that copies.

        Args:
            words: Of each row's source, see `seqmodels.data.Example`; one such list serves all rows, and texts that are
                given may have its words too.
        """
        if not words:
            return self
        made = copy.copy(self)
        if len(words) == 1:
            made.tokenizer = self.tokenizer.extended(words[0])
        else:
            made._own = [self.tokenizer.extended(row) for row in words]
        return made

    def tokenizer_of(self, row: int) -> Tokenizer:
        """Returns what turns the text of a row into ids and back: one for all rows, or one of its own."""
        return self._own[row] if self._own else self.tokenizer

    def stream(
        self,
        prompt: str | None,
        length: int,
        sampling: Sampling,
        seed: int | None = None,
        context: Tensor | None = None,
        constraints: Constraints | None = None,
    ) -> Iterator[str]:
        """Yields pieces of one text as they are made; a character that spans tokens comes when it is whole.

        The text is conditioned on `context`, as `Condition` gives it, and keeps to the constraints.
        """
        decoder = IncrementalDecoder(self.tokenizer)
        for token in self.encode_prompt(prompt):  # what stands between words depends on the one before
            decoder.push(token)
        contexts = None if context is None else context[None]
        for (token,) in self._steps(prompt, length, 1, sampling, seed, contexts, None, constraints):
            if token != self.stop:
                yield decoder.push(token)
        yield decoder.flush()

    def write(
        self,
        prompt: str | None,
        length: int,
        decoding: Sampling | BeamSearch,
        num_samples: int = 1,
        seed: int | None = None,
        contexts: Tensor | None = None,
        context_lengths: Tensor | None = None,
        constraints: Constraints | None = None,
    ) -> list[str]:
        """Returns several continuations of one prompt, made side by side in one batch; each ends before its stop id.

        Each is conditioned on its row of `contexts` `(num_samples, ...)`, of `context_lengths` where these are
        sequences. They are drawn, or the best that a beam search finds.
        """
        if isinstance(decoding, BeamSearch):
            found = self.search(prompt, length, decoding, num_samples, contexts, context_lengths, constraints)
            return [texts[0].text if texts else "" for texts in found]
        steps = list(self._steps(prompt, length, num_samples, decoding, seed, contexts, context_lengths, constraints))
        rows = zip(*steps, strict=True) if steps else [()] * num_samples
        return self._texts(prompt, [[i for i in row if i != self.stop] for row in rows], range(num_samples))

    def search(
        self,
        prompt: str | None,
        length: int,
        search: BeamSearch,
        num_texts: int = 1,
        contexts: Tensor | None = None,
        context_lengths: Tensor | None = None,
        constraints: Constraints | None = None,
    ) -> list[list[FoundText]]:
        """Returns the best continuations of one prompt that a beam search finds, for each row of contexts.

        There are `search.n_best` of each, from the best to the worst, or as many as there are. Contexts are those of
        `write`.

        Raises:
            UserError: Where the beam is wider than the vocabulary.
        """
        if search.beam_size > self.tokenizer.vocab_size:
            raise UserError(
                f"beam_size={search.beam_size}: expected at most {self.tokenizer.vocab_size}, the size of the "
                "vocabulary of this run"
            )
        ids = self._prompts(prompt, num_texts)
        allowed = self._allowed(constraints)
        with self._evaluating():
            model = self._bound(contexts, context_lengths, search.beam_size)
            steps = self._attended_steps(context_lengths)
            found = beam_search(model, ids, length, search, self.stop, allowed, steps)
        return [self._found(prompt, found, row, None if steps is None else int(steps[row])) for row in range(num_texts)]

    def _attended_steps(self, context_lengths: Tensor | None) -> Tensor | None:
        """Returns how many steps of each source attention looks at; an encoder may have made them fewer."""
        encoder = getattr(self.model, "encoder", None)
        return (
            context_lengths if encoder is None or context_lengths is None else encoder.frontend.lengths(context_lengths)
        )

    def default_prompt(self) -> str:
        """What to begin with where nothing is given: a new sequence, or a new line, or whatever there is."""
        if self.start is not None:
            return ""
        for text in ("\n", " "):
            if not self.tokenizer.unknown(text):
                return text
        return self.tokenizer.decode([next(i for i in range(self.tokenizer.vocab_size) if i not in self.forbidden)])

    def encode_prompt(self, prompt: str | None) -> list[int]:
        """Returns the ids of a prompt.

        Raises:
            UserError: Where the vocabulary lacks a part of it, or it is empty and no id starts a sequence.
        """
        prompt = self.default_prompt() if prompt is None else prompt
        ids = self._encode("prompt", prompt, self.tokenizer)
        if self.start is not None:
            ids = [self.start, *ids]
        if not ids:
            raise UserError("prompt='': expected at least one character to start from")
        return ids

    def requiring(self, texts: list[str], constraints: Constraints | None = None) -> Constraints:
        """Returns constraints by which these texts must appear.

        Raises:
            UserError: Where the vocabulary lacks a part of one.
        """
        groups = self.required_of(0, texts)
        return replace(constraints or Constraints(), required=[groups] if groups else [])

    def required_of(self, row: int, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text that must appear in a row, see `Constraints`.

        Raises:
            UserError: Where the vocabulary lacks a part of one and, where a model copies, the row's source does too.
        """
        return [self._encode("required", text, self.tokenizer_of(row)) for text in texts]

    def _encode(self, key: str, text: str, tokenizer: Tokenizer) -> list[int]:
        unknown = tokenizer.unknown(text)
        if unknown:
            listed = ", ".join(repr(part) for part in unknown[:10]) + (", ..." if len(unknown) > 10 else "")
            raise UserError(f"{key}={text!r}: the vocabulary of this run lacks {listed}")
        return [int(i) for i in tokenizer.encode(text)]

    def _bound(self, contexts: Tensor | None, context_lengths: Tensor | None, beam_size: int = 1) -> StepModel:
        """Returns the model with what its texts are conditioned on, which is read once for each.

        There is a row of both for each text; the rows of a beam are neighbours.
        """
        device = next(self.model.parameters()).device
        given = [None if tensor is None else tensor.to(device) for tensor in (contexts, context_lengths)]
        with torch.no_grad():
            memory = self.model.repeat(self.model.remember(*given), beam_size)
        split = getattr(self.model, "split", None)  # of models with attention

        def step(ids: Tensor, state: State | None = None) -> tuple[Tensor, State, Tensor | None]:
            hidden, state = self.model.hidden(ids, state, memory=memory)
            weights = None if split is None else split(hidden)[1]
            return self.model.outputs(hidden[:, -1:], memory=memory), state, weights

        return step

    def _prompts(self, prompt: str | None, rows: int) -> Tensor:
        """Returns the ids of a prompt, for so many rows."""
        return torch.tensor([self.encode_prompt(prompt)] * rows, device=next(self.model.parameters()).device)

    def _texts(self, prompt: str | None, texts: list[list[int]], rows: Sequence[int]) -> list[str]:
        """Returns what ids say that continue a prompt, each in its row; what stands between words depends on it."""
        begin = self.encode_prompt(prompt)
        prompt_length = len(self.tokenizer.decode(begin))
        pairs = zip(rows, texts, strict=True)
        return [self.tokenizer_of(row).decode([*begin, *ids])[prompt_length:] for row, ids in pairs]

    def _found(self, prompt: str | None, found: Hypotheses, row: int, source: int | None) -> list[FoundText]:
        """Returns the texts of a row, whose source has so many steps."""
        count = int(found.scores[row].isfinite().sum())
        sizes = found.lengths[row, :count].tolist()
        ids = [found.ids[row, place, :size].tolist() for place, size in enumerate(sizes)]
        texts = self._texts(prompt, ids, [row] * count)
        seen: list[Tensor | None] = [None] * count
        if found.attention is not None:
            seen = [found.attention[row, place, : size + 1, :source] for place, size in enumerate(sizes)]
        scores, totals = found.scores[row, :count].tolist(), found.log_probabilities[row, :count].tolist()
        return [FoundText(*one) for one in zip(texts, scores, totals, seen, strict=True)]

    def _allowed(self, constraints: Constraints | None) -> Constraints:
        constraints = constraints or Constraints()
        return replace(constraints, forbidden=[*constraints.forbidden, *self.forbidden])

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(was_training)

    def _steps(
        self,
        prompt: str | None,
        length: int,
        num_samples: int,
        sampling: Sampling,
        seed: int | None,
        contexts: Tensor | None,
        context_lengths: Tensor | None,
        constraints: Constraints | None,
    ) -> Iterator[list[int]]:
        """Yields, step by step, the next id of each row."""
        ids, allowed = self._prompts(prompt, num_samples), self._allowed(constraints)
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        with self._evaluating():
            model = self._bound(contexts, context_lengths)
            for step in generate(model, ids, length, sampling, self.stop, generator, allowed):
                yield step.tolist()

"""Text out of a language model: a prompt in, characters out as they are made."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.data import IncrementalDecoder, Tokenizer, tokenizer_from_spec
from seqmodels.decoding.condition import Condition
from seqmodels.decoding.sampling import Sampling, StepModel, generate
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

    def stream(
        self,
        prompt: str | None,
        length: int,
        sampling: Sampling,
        seed: int | None = None,
        context: Tensor | None = None,
    ) -> Iterator[str]:
        """Yields pieces of one text as they are made; a character that spans tokens comes when it is whole.

        The text is conditioned on `context`, as `Condition` gives it.
        """
        decoder = IncrementalDecoder(self.tokenizer)
        for token in self.encode_prompt(prompt):  # what stands between words depends on the one before
            decoder.push(token)
        contexts = None if context is None else context[None]
        for (token,) in self._steps(prompt, length, 1, sampling, seed, contexts, None):
            if token != self.stop:
                yield decoder.push(token)
        yield decoder.flush()

    def write(
        self,
        prompt: str | None,
        length: int,
        sampling: Sampling,
        num_samples: int = 1,
        seed: int | None = None,
        contexts: Tensor | None = None,
        context_lengths: Tensor | None = None,
    ) -> list[str]:
        """Returns several continuations of one prompt, made side by side in one batch; each ends before its stop id.

        Each is conditioned on its row of `contexts` `(num_samples, ...)`, of `context_lengths` where these are
        sequences.
        """
        steps = list(self._steps(prompt, length, num_samples, sampling, seed, contexts, context_lengths))
        rows = zip(*steps, strict=True) if steps else [()] * num_samples
        begin = self.encode_prompt(prompt)
        prompt_length = len(self.tokenizer.decode(begin))
        return [self.tokenizer.decode([*begin, *(i for i in row if i != self.stop)])[prompt_length:] for row in rows]

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
        unknown = self.tokenizer.unknown(prompt)
        if unknown:
            listed = ", ".join(repr(part) for part in unknown[:10]) + (", ..." if len(unknown) > 10 else "")
            raise UserError(f"prompt={prompt!r}: the vocabulary of this run lacks {listed}")
        ids = [int(i) for i in self.tokenizer.encode(prompt)]
        if self.start is not None:
            ids = [self.start, *ids]
        if not ids:
            raise UserError("prompt='': expected at least one character to start from")
        return ids

    def _bound(self, contexts: Tensor | None, context_lengths: Tensor | None = None) -> StepModel:
        """Returns the model with what its texts are conditioned on, which is read once; a row of both for each text."""
        device = next(self.model.parameters()).device
        with torch.no_grad():
            memory = self.model.remember(*(None if t is None else t.to(device) for t in (contexts, context_lengths)))

        def step(ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
            hidden, state = self.model.hidden(ids, state, memory=memory)
            return self.model.outputs(hidden[:, -1:], memory=memory), state

        return step

    def _steps(
        self,
        prompt: str | None,
        length: int,
        num_samples: int,
        sampling: Sampling,
        seed: int | None,
        contexts: Tensor | None,
        context_lengths: Tensor | None,
    ) -> Iterator[list[int]]:
        """Yields, step by step, the next id of each row."""
        device = next(self.model.parameters()).device
        ids = torch.tensor([self.encode_prompt(prompt)] * num_samples, device=device)
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        allowed = replace(sampling, forbidden=[*sampling.forbidden, *self.forbidden])
        was_training = self.model.training
        self.model.eval()
        try:
            model = self._bound(contexts, context_lengths)
            for step in generate(model, ids, length, allowed, self.stop, generator):
                yield step.tolist()
        finally:
            self.model.train(was_training)

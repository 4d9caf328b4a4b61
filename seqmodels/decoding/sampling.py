"""Sampling: a warm start on the prompt, then one token at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from seqmodels.decoding.constraints import NOTHING, Constraints, check_logits
from seqmodels.nn import State


class StepModel(Protocol):
    """What decoding asks of a model: read `(batch, time)` ids from a state, score what comes after each, or the last.

    Tensors of the state have the batch at dimension 1.
    """

    def __call__(
        self, ids: Tensor, state: State | None = None
    ) -> tuple[Tensor, State] | tuple[Tensor, State, Tensor | None]:
        """Returns logits `(batch, time, vocab_size)` and the state after the last id.

        A third value is what attention saw of the source at each step `(batch, time, source)`.
        """


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn from the logits.

    Args:
        temperature: Divides the logits; below 1 sharpens, above 1 flattens, 0 takes the most likely token (greedy).
        top_k: Draws from the `k` most likely tokens alone.
        top_p: Draws from the smallest set of tokens whose probabilities sum to at least `p` (nucleus sampling, Holtzman
            et al. 2020, "The curious case of neural text degeneration").

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> logits = torch.tensor([[0.0, 2.0, 1.0]])
        >>> Sampling(temperature=0).draw(logits)
        tensor([1])
        >>> Sampling(top_k=2).filter(logits)
        tensor([[-inf, 2., 1.]])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature}: expected a number of at least 0 (0 is greedy)")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k={self.top_k}: expected at least 1, or null for all")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: expected 0 < p <= 1, or null for all")

    def filter(self, logits: Tensor) -> Tensor:
        """Scales the logits `(batch, vocab_size)` and sets those that may not be drawn to minus infinity."""
        if self.temperature not in (0, 1):
            # The largest becomes zero first: a tiny temperature then overflows to minus infinity, never to NaN.
            logits = (logits - logits.amax(dim=-1, keepdim=True)) / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            kth = logits.topk(self.top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < kth, -torch.inf)
        if self.top_p is not None and self.top_p < 1:
            ordered, order = logits.sort(dim=-1, descending=True)
            probabilities = ordered.softmax(dim=-1)
            # A token goes where the more likely ones before it already hold `top_p`; the first always stays.
            surplus = probabilities.cumsum(dim=-1) - probabilities >= self.top_p
            logits = logits.masked_fill(surplus.gather(-1, order.argsort(dim=-1)), -torch.inf)
        return logits

    def draw(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws one id a row: logits `(batch, vocab_size)` to ids `(batch,)`."""
        logits = self.filter(logits.float())
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        # Drawn on the CPU, so that a seed gives the same text whatever the device.
        probabilities = logits.softmax(dim=-1).cpu()
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(1).to(logits.device)


@torch.no_grad()
def generate(
    model: StepModel,
    prompt: Tensor,
    length: int,
    sampling: Sampling | None = None,
    stop: int | None = None,
    generator: torch.Generator | None = None,
    constraints: Constraints | None = None,
) -> Iterator[Tensor]:
    """Continues a prompt, handing out each step's ids as soon as they are drawn.

    Args:
        model: The model, in evaluation mode.
        prompt: Ids `(batch, time)` with at least one step; the state is warmed up on all of them in one call.
        length: Steps to make at most.
        sampling: How ids are drawn; plain sampling at temperature 1 where it is left out.
        stop: An id that ends a row; the row repeats it from then on, and all stop once every row has ended.
        generator: Source of randomness on the CPU; the global one where it is left out.
        constraints: What may be written; anything where they are left out.

    Yields:
        Ids `(batch,)`, one tensor a step.

    Raises:
        ValueError: Where the prompt is empty, the length negative, or ids are required.
        UserError: Where logits are NaN, or nothing may come next.

    Example:
        >>> cycle = lambda ids, state=None: (torch.nn.functional.one_hot((ids + 1) % 4, 4).float(), ())
        >>> [ids.item() for ids in generate(cycle, torch.tensor([[1]]), 5, Sampling(temperature=0))]
        [2, 3, 0, 1, 2]
    """
    constraints = constraints or Constraints()
    check_prompt(prompt)
    if length < 0:
        raise ValueError(f"length={length}: expected at least 0")
    if constraints.required:
        raise ValueError("required: sampling cannot promise ids; expected a beam search")
    sampling = sampling or Sampling()
    forced = constraints.forced(len(prompt), prompt.device)
    ended = torch.zeros(prompt.shape[0], dtype=torch.bool, device=prompt.device)
    text = prompt
    logits, state = model(prompt)[:2]
    for step in range(length):
        scores = constraints.penalise(logits[:, -1].float(), text)
        scores = constraints.permit(scores, text, step, stop)
        check_logits(scores.amax(1))
        ids = sampling.draw(scores, generator)
        if step < forced.shape[1]:
            ids = torch.where(forced[:, step] == NOTHING, ids, forced[:, step])
        if stop is not None:
            ids = ids.masked_fill(ended, stop)
            ended = ended | (ids == stop)
        yield ids
        if bool(ended.all()) or step == length - 1:
            return
        if constraints.reads_text:
            text = torch.cat([text, ids[:, None]], 1)
        logits, state = model(ids[:, None], state)[:2]


def check_prompt(prompt: Tensor) -> None:
    """Refuses a prompt that there is nothing to begin with in.

    Raises:
        ValueError: Where it is not `(batch, time)` with at least one step.
    """
    if prompt.ndim != 2 or prompt.shape[1] == 0:
        raise ValueError(f"prompt: expected ids (batch, time) with at least one step, got {tuple(prompt.shape)}")

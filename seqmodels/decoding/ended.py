"""Hypotheses of a beam that have ended, and which of them are the best."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Ended(NamedTuple):
    """Hypotheses that have ended; each tensor is `(rows, count)`.

    Attributes:
        scores: What they are ranked by.
        totals: Log-probabilities.
        steps: How many ids, the stop id counted.
        parents: The place in the beam of what the last id continued.
        last: That id.
    """

    scores: Tensor
    totals: Tensor
    steps: Tensor
    parents: Tensor
    last: Tensor


def best_of(several: list[Ended], count: int) -> Ended:
    """Returns so many of the highest score."""
    together = [torch.cat(parts, 1) for parts in zip(*several, strict=True)]
    places = together[0].topk(count, 1).indices
    return Ended(*(tensor.gather(1, places) for tensor in together))


def different_of(groups: list[Ended], ids: Tensor, count: int) -> Ended:
    """Returns so many different hypotheses, of the highest score among the best of each group.

    Each group gives an equal share: its best that no group before it gave. Where these are too few, the best of what is
    left join them; where there are no more, scores are minus infinity.

    Args:
        groups: Each with as many hypotheses as the others, from the best to the worst.
        ids: Of all, those of the first group first `(rows, hypotheses, time)`.
        count: How many are returned.

    Example:
        >>> score, other = torch.tensor([[-1.0, -3.0]]), torch.zeros(1, 2, dtype=torch.long)
        >>> groups = [Ended(score, score, other + 1, other, other)] * 2
        >>> different_of(groups, torch.tensor([[[4], [5], [4], [6]]]), 2).scores  # [4] of one, [6] of the other
        tensor([[-1., -3.]])
    """
    together = Ended(*(torch.cat(parts, 1) for parts in zip(*groups, strict=True)))
    size, share = groups[0].scores.shape[1], -(-count // len(groups))
    alive = together.scores > -torch.inf
    # A number for each text; where none has ended there are no steps, which `unique` does not take.
    numbers = pad(ids, (1, 0)).flatten(0, 1).unique(dim=0, return_inverse=True)[1].view(alive.shape)
    same = numbers[:, :, None] == numbers[:, None]
    given = torch.zeros_like(alive)
    for first in range(0, alive.shape[1], size):
        part = slice(first, first + size)
        fresh = alive[:, part] & ~(same[:, part] & given[:, None]).any(2)
        given[:, part] = fresh & (fresh.cumsum(1) <= share)
    left = alive & ~(same & (given[:, None] | (alive[:, None] & torch.ones_like(same).tril(-1)))).any(2)
    turns = torch.where(given, 0, torch.where(left, 1, 2))
    order = together.scores.argsort(dim=1, descending=True, stable=True)
    order = order.gather(1, turns.gather(1, order).argsort(dim=1, stable=True))[:, :count]
    out = turns.gather(1, order) == 2
    chosen = Ended(*(tensor.gather(1, order) for tensor in together))
    scores, totals = (tensor.masked_fill(out, -torch.inf) for tensor in chosen[:2])
    return best_of([chosen._replace(scores=scores, totals=totals, steps=chosen.steps.masked_fill(out, 0))], count)

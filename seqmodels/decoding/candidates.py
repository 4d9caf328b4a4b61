"""What a beam may go on with: the likeliest next ids of its hypotheses, in the order in which they are taken."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.decoding.constraints import NOTHING


class Candidates(NamedTuple):
    """Hypotheses with one more id, from the best to the worst; each tensor is `(rows, candidates)`.

    Attributes:
        parents: Which hypothesis of the beam is continued.
        ids: By which id.
        totals: Log-probability of the whole.
        ranks: What they are ordered by: that, or less for ids that other groups took.
    """

    parents: Tensor
    ids: Tensor
    totals: Tensor
    ranks: Tensor

    def take(self, places: Tensor) -> "Candidates":
        """Returns those at these places `(rows, count)`."""
        return Candidates(*(tensor.gather(1, places) for tensor in self))


def propose(base: Tensor, scores: Tensor, lowered: Tensor, wanted: Tensor | None, first: int) -> Candidates:
    """Returns the likeliest continuations of hypotheses, and those that required ids ask for.

    A beam of `size` hypotheses takes at most `size` that go on and the stop id besides, so that the `size + 1`
    likeliest ids of each hypothesis are enough; and so many more as are wanted, which may be among the likeliest.

    Args:
        base: What is added to scores to make log-probabilities of the whole `(rows, size)`.
        scores: Scores of what comes next `(rows, size, vocab_size)`.
        lowered: The same, less what is subtracted for ids that other groups took.
        wanted: Ids that are candidates however unlikely `(rows, size, count)`, `NOTHING` for none.
        first: The place of the first of these hypotheses in the whole beam.
    """
    rows, size, vocab_size = scores.shape
    number = size + 1 + (0 if wanted is None else wanted.shape[2])
    values, ids = lowered.topk(min(number, vocab_size), 2)
    if wanted is not None:
        ids = torch.cat([ids, wanted], 2)
        twice = (wanted[..., None] == ids[:, :, None]).tril(values.shape[2] - 1).any(3)
        ids = ids.clamp(min=0)
        extra = lowered.gather(2, ids[..., values.shape[2] :])
        values = torch.cat([values, extra.masked_fill(twice | (wanted == NOTHING), -torch.inf)], 2)
    totals = torch.where(values == -torch.inf, values, scores.gather(2, ids)) + base[..., None]
    parents = torch.arange(first, first + size, device=ids.device)[:, None].expand_as(ids)
    ranks = values + base[..., None]
    return Candidates(*(tensor.reshape(rows, -1) for tensor in (parents, ids, totals, ranks)))


def places_within(banks: Tensor) -> Tensor:
    """Numbers the members of each bank from 0, in the order in which they stand.

    Args:
        banks: The bank of each candidate `(rows, candidates)`.

    Returns:
        `(rows, candidates)`.

    Example:
        >>> places_within(torch.tensor([[2, 0, 2, 2, 0]]))
        tensor([[0, 0, 1, 2, 1]])
    """
    ordered, order = banks.sort(dim=1, stable=True)
    numbers = torch.arange(banks.shape[1], device=banks.device).expand_as(banks)
    begins = torch.cat([torch.ones_like(ordered[:, :1], dtype=torch.bool), ordered[:, 1:] != ordered[:, :-1]], 1)
    start = numbers.masked_fill(~begins, 0).cummax(1).values
    return torch.empty_like(banks).scatter_(1, order, numbers - start)

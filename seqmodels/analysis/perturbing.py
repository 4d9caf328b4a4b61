"""Variants of one sequence of vectors as rows of a batch: several scores at once, by gradient and by occlusion."""

from collections.abc import Callable

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""Makes scores of sequences of vectors `(rows, time, ...)`: one for each row `(rows,)`, or several `(rows, scores)`."""

ROWS = 32
"""Variants that are run at once: enough to be fast, few enough for the memory of a backward pass."""


def gradients(scores: Score, vectors: Tensor, count: int) -> Tensor:
    """How fast each of several scores changes with each number that was read, in one run with a row for each score.

    Args:
        scores: Makes `(rows, count)` of `(rows, time, ...)`.
        vectors: One sequence `(time, ...)`.
        count: How many scores there are.

    Returns:
        `(count, time, ...)`.

    Example:
        >>> gradients(lambda x: x[..., 0].cumsum(1), torch.tensor([[2.0], [3.0]]), 2)[..., 0]
        tensor([[1., 0.],
                [1., 1.]])
    """
    with torch.enable_grad():
        rows = vectors.detach().expand(count, *vectors.shape).clone().requires_grad_()
        (found,) = torch.autograd.grad(scores(rows).diagonal().sum(), rows)
    return found


@torch.no_grad()
def occluded(scores: Score, vectors: Tensor, baseline: Tensor | None = None) -> Tensor:
    """What each of several scores loses where one step is replaced by a baseline.

    Args:
        scores: Makes `(rows, scores)` of `(rows, time, ...)`.
        vectors: One sequence `(time, ...)`.
        baseline: What stands in a step's place `(time, ...)`; zeros where left out.

    Returns:
        What each score loses with each step `(time, scores)`.

    Example:
        >>> occluded(lambda x: x[..., 0].cumsum(1), torch.tensor([[2.0], [3.0]]))
        tensor([[2., 2.],
                [0., 3.]])
    """
    vectors = vectors.detach()
    baseline = torch.zeros_like(vectors) if baseline is None else baseline.detach()
    losses = []
    for steps in torch.arange(len(vectors), device=vectors.device).split(ROWS):
        variants = vectors.expand(len(steps), *vectors.shape).clone()
        variants[torch.arange(len(steps), device=vectors.device), steps] = baseline[steps]
        # Beside the whole sequence, so that a step without effect loses exactly nothing whatever the size of a batch.
        found = scores(torch.cat([vectors[None], variants]))
        losses.append(found[0] - found[1:])
    return torch.cat(losses)

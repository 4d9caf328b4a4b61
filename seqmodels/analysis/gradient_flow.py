"""Gradient flow: how much of the gradient of a loss arrives at the states before it."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

VANISHED = 0.01
"""Below this share of what it is at lag 0 a gradient counts as vanished."""


class Profile(NamedTuple):
    """The gradient by how far back it has come.

    Attributes:
        norms: Mean over all losses of the norm at each lag that at least a tenth of them reach back to, (lags,).
        below: The first lag at which that mean is below 1% of what it is at lag 0; None where it never is.
        vanished: Share of all pairs of a loss and an earlier state whose norm is below 1% of that loss's at lag 0.
    """

    norms: Tensor
    below: int | None
    vanished: float


def gradient_norms(losses: Tensor, states: Sequence[Tensor], rows_at_once: int = 50) -> Tensor:
    """Measures the norm of d loss_t / d h_s for all t and s.

    Args:
        losses: The loss of each step, (losses,), with the graph that leads to it.
        states: h_s of each step s, nodes of that graph, such as `[step[0] for step in record.steps]` of a recording.
        rows_at_once: For how many losses the graph is gone back at once; more is faster and takes more memory.

    Returns:
        (losses, states), without gradient; 0 where a loss does not depend on a state.

    Example:
        d loss_t / d h_s of h_t = w h_{t-1} and loss_t = h_t is w^(t-s):

        >>> h, hs = torch.ones(1, 1, requires_grad=True), []
        >>> for _ in range(3):
        ...     h = 0.5 * h
        ...     hs.append(h)
        >>> gradient_norms(torch.cat(hs).flatten(), hs)
        tensor([[1.0000, 0.0000, 0.0000],
                [0.5000, 1.0000, 0.0000],
                [0.2500, 0.5000, 1.0000]])
    """
    picks = torch.eye(len(losses), dtype=losses.dtype, device=losses.device)
    norms = [_norms_of(losses, states, rows) for rows in picks.split(rows_at_once)]
    return torch.cat(norms)


def lag_profile(norms: Tensor, places: Tensor | None = None, backward: bool = False) -> Profile:
    """Turns norms for all pairs into what is left of the gradient after so many steps back.

    Losses without any gradient, of steps that are not scored, do not count.

    Args:
        norms: What `gradient_norms` gave, (losses, time).
        places: The step that each loss belongs to, (losses,); the last ones, in their order, if None. A single loss of
            a whole sequence so belongs to the last step that was run.
        backward: Whether the states were run from the end, so that a loss depends on those after it.

    Returns:
        The profile over lags t - s, or s - t of a backward layer.

    Raises:
        ValueError: There are more losses than states, and their places are not given.

    Example:
        >>> profile = lag_profile(torch.tensor([[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.001, 0.1, 1.0]]))
        >>> profile.norms, profile.below
        (tensor([1.0000, 0.1000, 0.0010]), 2)
        >>> round(profile.vanished, 3)
        0.333
    """
    L, T = norms.shape
    steps = torch.arange(T, device=norms.device)
    if backward:
        norms = norms.flip(0, 1)
        places = None if places is None else T - 1 - places.flip(0)
    if places is None:
        if L > T:
            raise ValueError(f"norms: expected no more losses than states, got {tuple(norms.shape)}")
        places = steps[T - L :]
    lags = places[:, None] - steps
    counted = (lags >= 0) & (norms.amax(1) > 0)[:, None]
    if not bool(counted.any()):
        return Profile(norms.new_zeros(1), None, 0.0)
    sums = norms.new_zeros(T).index_add(0, lags[counted], norms[counted])
    counts = lags[counted].bincount(minlength=T)
    means = (sums / counts)[counts >= max(1, int(counts[0]) // 10)]  # a mean of less is noise; counts never grow
    below = (means < VANISHED * means[0]).nonzero()
    gone = norms < VANISHED * norms.gather(1, places[:, None])
    earlier = gone[counted & (lags > 0)]
    vanished = float(earlier.double().mean()) if len(earlier) else 0.0
    return Profile(means, int(below[0]) if len(below) else None, vanished)


def _norms_of(losses: Tensor, states: Sequence[Tensor], rows: Tensor) -> Tensor:
    """Measures the norms for the losses that each row picks, (rows, states)."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*performance drop.*")  # an operation is batched by a loop: still right
            return _stacked(losses, states, rows, batched=True)
    except (RuntimeError, TypeError):  # a derivative that torch cannot batch; anything else fails below again
        return torch.cat([_stacked(losses, states, row, batched=False) for row in rows])


def _stacked(losses: Tensor, states: Sequence[Tensor], rows: Tensor, batched: bool) -> Tensor:
    gradients = torch.autograd.grad(
        losses, states, rows, retain_graph=True, allow_unused=True, is_grads_batched=batched
    )
    count = len(rows) if batched else 1
    none = losses.new_zeros(count)
    rows_of = [None if g is None else g.detach().reshape(count, -1).double() for g in gradients]  # squares underflow
    return torch.stack([none if g is None else g.norm(dim=1).to(none.dtype) for g in rows_of], 1)

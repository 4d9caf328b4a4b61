"""Linear recurrences over all steps at once: h_t = decay_t * h_{t-1} + drive_t, without a product in the loop.

The sequence is cut into spans of equal length, which run side by side from zero; then the state at the end of each span
is carried into the next, and adds to every step in it what the product of the decays since has left. That is two loops
of about sqrt(time) steps on large tensors in place of one of `time` steps on small ones. Nothing is divided and no
logarithm is taken, so decays near 0 and 1 lose no precision; a product that underflows stands for a state forgotten.
The backward pass is the same recurrence run from the end.
"""

import math
from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.cells import Cell, LinearCell, Weights
from seqmodels.nn.kernels.reference import run_in_segments
from seqmodels.nn.state import State

# From this many elements a step, its work outweighs its call, and one loop, which does the least work, is fastest.
_WIDE_STEP_CPU, _WIDE_STEP_ELSEWHERE = 2**11, 2**18


def available() -> bool:
    """Tells whether this machine can run it; see `Kernel`."""
    return True


def misfit(cell: Cell, like: Tensor) -> str | None:
    """Fits the cells that are linear in their state; see `Kernel`."""
    if not isinstance(cell, LinearCell):
        return f"{type(cell).__name__} is not a LinearCell"
    if type(cell).step is not LinearCell.step:
        return f"{type(cell).__name__} has its own step"
    return None


def run(
    cell: Cell,
    inputs: Tensor,
    state: State,
    batch_sizes: list[int] | None = None,
    weights: Weights | None = None,
    recompute: bool = False,
) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`."""
    assert isinstance(cell, LinearCell)
    if recompute:
        return run_in_segments(run, cell, inputs, state, batch_sizes, weights)
    (h,) = state
    decay, drive = cell.coefficients(cell.project(inputs).to(h.dtype))
    if batch_sizes is None:
        outputs = linear_scan(decay, drive, h)
        return outputs, (outputs[-1].clone(),)
    sizes = torch.tensor(batch_sizes, device=h.device)
    ended = (torch.arange(h.shape[0], device=h.device) >= sizes[:, None])[..., None]
    outputs = linear_scan(torch.where(ended, 1, decay), torch.where(ended, 0, drive), h)  # an ended row stays as it is
    return torch.where(ended, 0, outputs), (outputs[-1].clone(),)


def linear_scan(decay: Tensor, drive: Tensor, initial: Tensor) -> Tensor:
    """Computes h_t = decay_t * h_{t-1} + drive_t for all t, with derivatives of any order.

    Args:
        decay: (time, batch, features).
        drive: (time, batch, features).
        initial: h before the first step, (batch, features).

    Returns:
        h, (time, batch, features).

    Example:
        >>> linear_scan(torch.full((3, 1, 1), 0.5), torch.ones(3, 1, 1), torch.zeros(1, 1)).flatten()
        tensor([1.0000, 1.5000, 1.7500])
    """
    return _Scan.apply(decay, drive, initial)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor, initial: Tensor) -> Tensor:
        h = _spans(decay, drive, initial)
        ctx.save_for_backward(decay, h, initial)
        return h

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (grad_h,) = grad_outputs
        decay, h, initial = ctx.saved_tensors
        # What reaches h_t is its own gradient and decay_{t+1} times what reaches h_{t+1}.
        later = torch.cat([decay[1:], torch.zeros_like(decay[:1])]).flip(0)
        grad_drive = linear_scan(later, grad_h.flip(0), torch.zeros_like(initial)).flip(0)
        before = torch.cat([initial[None], h[:-1]])
        return grad_drive * before, grad_drive, decay[0] * grad_drive[0]


def _spans(decay: Tensor, drive: Tensor, initial: Tensor) -> Tensor:
    """Runs the recurrence in spans, or in one where the steps are wide."""
    T, B, H = drive.shape
    wide_step = _WIDE_STEP_CPU if drive.device.type == "cpu" else _WIDE_STEP_ELSEWHERE
    span = T if drive[0].numel() >= wide_step or T < 16 else math.isqrt(T)
    num_spans = T // span
    whole = num_spans * span
    h = torch.empty_like(drive, memory_format=torch.contiguous_format)
    if num_spans > 1:
        local, decays = h[:whole].view(num_spans, span, B, H), decay[:whole].reshape(num_spans, span, B, H)
        _loop(
            decays.transpose(0, 1), drive[:whole].reshape(num_spans, span, B, H).transpose(0, 1), local.transpose(0, 1)
        )
        left = decays.cumprod(1)
        carried = torch.empty_like(local[:, 0])
        carried[0] = initial
        for k in range(1, num_spans):
            torch.addcmul(local[k - 1, -1], left[k - 1, -1], carried[k - 1], out=carried[k])
        local.addcmul_(left, carried[:, None])
        initial = h[whole - 1]
    else:
        whole = 0
    _loop(decay[whole:], drive[whole:], h[whole:], initial)
    return h


def _loop(decay: Tensor, drive: Tensor, h: Tensor, initial: Tensor | None = None) -> None:
    """Fills h step by step, from zero where there is no initial state."""
    before = initial
    for decay_t, drive_t, h_t in zip(decay.unbind(0), drive.unbind(0), h.unbind(0), strict=True):
        if before is None:
            h_t.copy_(drive_t)
        else:
            torch.addcmul(drive_t, decay_t, before, out=h_t)
        before = h_t

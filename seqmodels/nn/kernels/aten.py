"""The loop with hand-written backpropagation through time, in plain tensor operations on preallocated buffers.

Forward does one product and a few in-place operations a step. Backward does the same, and leaves the gradients of the
recurrent weights and biases to one product and one sum after the loop. Under autocast the loop runs in the dtype of the
state. There is no second derivative.
"""

from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.cells import Cell, Derivative, GatedCell, Weights
from seqmodels.nn.kernels.reference import project, run_in_segments
from seqmodels.nn.state import State

# Partial derivatives are computed for as many steps at once as have about this many elements per gate: enough to pay
# for the calls, few enough to stay in the cache.
_SPAN_ELEMENTS = 2**15


def available() -> bool:
    """Tells whether this machine can run it; see `Kernel`."""
    return True


def misfit(cell: Cell, like: Tensor) -> str | None:
    """Fits the gated cells that bring their own derivative; see `Kernel`."""
    if not isinstance(cell, GatedCell):
        return f"{type(cell).__name__} is not a GatedCell"
    if type(cell).step is not GatedCell.step:
        return f"{type(cell).__name__} has its own step"
    if cell.derivative() is None or _owner(cell, "derivative") is not _owner(cell, "update"):
        return f"{type(cell).__name__} has no hand-written derivative of its update"
    return None


def _owner(cell: Cell, method: str) -> type:
    return next(base for base in type(cell).__mro__ if method in vars(base))


def run(
    cell: Cell,
    inputs: Tensor,
    state: State,
    batch_sizes: list[int] | None = None,
    weights: Weights | None = None,
    recompute: bool = False,
) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`.

    Raises:
        RuntimeError: In the backward pass, when it was asked for with `create_graph=True`.
    """
    assert isinstance(cell, GatedCell)
    if recompute:
        return run_in_segments(run, cell, inputs, state, batch_sizes, weights)
    weights = weights or cell.weights()
    projected = project(cell, inputs, weights).to(state[0].dtype)
    with torch.autocast(projected.device.type, enabled=False):
        outputs, *final_state = _Loop.apply(
            cell.derivative(), batch_sizes, projected, weights.weight_hh, weights.bias_hh, *state
        )
    return outputs, tuple(final_state)


class _Loop(torch.autograd.Function):
    """The loop as one operation of (projected, weight_hh, bias_hh, *state)."""

    @staticmethod
    def forward(
        ctx: Any,
        derivative: Derivative,
        batch_sizes: list[int] | None,
        projected: Tensor,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        work = derivative.prepare(projected, bias_hh)
        histories = _forward_loop(derivative, work, weight_hh, state, batch_sizes)
        ctx.derivative, ctx.batch_sizes = derivative, batch_sizes
        ctx.save_for_backward(work, weight_hh, *histories)
        return histories[0][1:], *_last(histories, batch_sizes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("backend 'aten' has no second derivative; use backend='reference' for create_graph=True")
        work, weight_hh, *histories = ctx.saved_tensors
        grad_outputs, *grad_final_state = grads
        with torch.autocast(work.device.type, enabled=False):
            grad_work, grad_state = _backward_loop(
                ctx.derivative, work, weight_hh, histories, grad_outputs, grad_final_state, ctx.batch_sizes
            )
            grad_recurrent = grad_work[..., : weight_hh.shape[0]].flatten(0, 1)
            _, _, _, needs_weight, needs_bias, *_ = ctx.needs_input_grad
            grad_weight = grad_recurrent.t() @ histories[0][:-1].flatten(0, 1) if needs_weight else None
            grad_bias = grad_recurrent.sum(0) if needs_bias else None
        return None, None, ctx.derivative.collect(grad_work), grad_weight, grad_bias, *grad_state


def _forward_loop(
    derivative: Derivative, work: Tensor, weight_hh: Tensor, state: State, batch_sizes: list[int] | None
) -> list[Tensor]:
    """Fills `work`; returns each state tensor before the first and after every step, (time + 1, batch, hidden_size)."""
    T, B, _ = work.shape
    new = torch.empty if batch_sizes is None else torch.zeros
    histories = [new(T + 1, *s.shape, dtype=s.dtype, device=s.device) for s in state]
    for history, s in zip(histories, state, strict=True):
        history[0] = s
    recurrent = weight_hh.t()
    states = list(zip(*(history.unbind(0) for history in histories), strict=True))
    products = work[..., : weight_hh.shape[0]].unbind(0)
    for t, work_t in enumerate(work.unbind(0)):
        n = B if batch_sizes is None else batch_sizes[t]
        before, after = _rows(states[t], n), _rows(states[t + 1], n)
        products[t][:n].addmm_(before[0], recurrent)
        derivative.advance(work_t[:n], before, after)
    return histories


def _backward_loop(
    derivative: Derivative,
    work: Tensor,
    weight_hh: Tensor,
    histories: list[Tensor],
    grad_outputs: Tensor,
    grad_final_state: list[Tensor],
    batch_sizes: list[int] | None,
) -> tuple[Tensor, State]:
    """Returns the gradients of the workspace, (time, batch, blocks * hidden_size), and of the initial state."""
    T, B, _ = work.shape
    grad_work = torch.empty_like(work) if batch_sizes is None else torch.zeros_like(work)
    grad_state = tuple(g.clone(memory_format=torch.contiguous_format) for g in grad_final_state)
    grad_works, grad_products = grad_work.unbind(0), grad_work[..., : weight_hh.shape[0]].unbind(0)
    grad_outputs_by_step = grad_outputs.unbind(0)
    span = max(1, _SPAN_ELEMENTS // (grad_state[0].numel() or 1))
    for start in reversed(range(0, T, span)):
        steps = range(start, min(start + span, T))
        before = tuple(h[start : steps.stop] for h in histories)
        after = tuple(h[start + 1 : steps.stop + 1] for h in histories)
        slopes = derivative.linearize(work[start : steps.stop], before, after)
        slopes_by_step = list(zip(*(s.unbind(0) for s in slopes), strict=True))
        for t in reversed(steps):
            n = B if batch_sizes is None else batch_sizes[t]
            grad_live = _rows(grad_state, n)
            grad_live[0].add_(grad_outputs_by_step[t][:n])
            derivative.retreat(_rows(slopes_by_step[t - start], n), grad_live, grad_works[t][:n])
            grad_live[0].addmm_(grad_products[t][:n], weight_hh)
    return grad_work, grad_state


def _rows(tensors: State, n: int) -> State:
    """Gives the first n rows of each, without the cost of a view where that is all of them."""
    return tensors if tensors[0].shape[0] == n else tuple(tensor[:n] for tensor in tensors)


def _last(histories: list[Tensor], batch_sizes: list[int] | None) -> State:
    """Picks from (time + 1, batch, hidden_size) each row's last entry."""
    if batch_sizes is None:
        return tuple(history[-1].clone() for history in histories)
    rows = torch.arange(histories[0].shape[1])
    lengths = (rows < torch.tensor(batch_sizes)[:, None]).sum(0)
    return tuple(history[lengths, rows] for history in histories)

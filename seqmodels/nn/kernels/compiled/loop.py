"""The compiled loop as one operation of autograd.

Forward makes the products of a step and then its arithmetic, all steps in one call where it can. Backward loops back
over a run of steps and at once turns the gradients of their gates into those of inputs and weights, so that they are
never kept for the whole sequence.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqmodels.nn.cells.gated import join_noise
from seqmodels.nn.kernels.compiled.backward import Backward
from seqmodels.nn.kernels.compiled.forward import Forward
from seqmodels.nn.kernels.compiled.runner import Setting
from seqmodels.nn.kernels.reference import run_steps
from seqmodels.nn.programs.steps import call_update
from seqmodels.nn.state import State


class CompiledLoop(torch.autograd.Function):
    """Of (inputs, weight_ih, bias_ih, weight_hh, bias_hh, *shared, *state): outputs and final state."""

    @staticmethod
    def forward(ctx: Any, setting: Setting, inputs: Tensor, *tensors: Any) -> tuple[Tensor, ...]:
        """Runs all steps, and keeps what the way back needs."""
        packed_inputs, keep = setting.rows.pack(inputs), not setting.recompute
        work, outputs, histories = Forward(setting, packed_inputs, tensors).run(keep)
        ctx.setting = setting
        ctx.save_for_backward(packed_inputs, work if keep else None, outputs, *histories, inputs, *tensors)
        return _results(setting, outputs, histories)

    @staticmethod
    def backward(ctx: Any, grad_outputs: Tensor, *grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """Gives the gradients, with derivatives of their own where somebody asks for them."""
        setting = ctx.setting
        # What was saved may come back laid out in another way: saved_tensors_hooks may do anything.
        saved: list[Any] = [None if t is None else t.contiguous() for t in ctx.saved_tensors]
        packed_inputs, work, outputs, *rest = saved
        histories, (inputs, *tensors) = rest[: setting.num_states], rest[setting.num_states :]
        if torch.is_grad_enabled():  # somebody wants a second derivative
            return None, *_differentiable(
                setting, (inputs, *tensors), (grad_outputs, *grad_final), ctx.needs_input_grad[1:]
            )
        backward = Backward(setting, packed_inputs, work, outputs, histories, tensors, ctx.needs_input_grad[1:])
        return None, *backward.run(setting.rows.pack(grad_outputs).contiguous(), grad_final)


def run_loop(setting: Setting, *tensors: Any) -> tuple[Tensor, ...]:
    """Runs all steps, and keeps nothing where no gradient can be asked for; arguments and results as above."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        results: tuple[Tensor, ...] = CompiledLoop.apply(setting, *tensors)
        return results
    inputs, *others = tensors
    with torch.no_grad():
        _, outputs, histories = Forward(setting, setting.rows.pack(inputs), tuple(others)).run(
            keep=False, remember=False
        )
        return _results(setting, outputs, histories)


def _results(setting: Setting, outputs: Tensor | None, histories: list[Tensor]) -> tuple[Tensor, ...]:
    """Gives the outputs of all steps and the final state."""
    rows, B = setting.rows, setting.rows.batch_size
    final = []
    for history in histories:
        if len(history) == B:  # it was not remembered
            final.append(history)
        else:
            final.append(history[-B:].clone() if rows.last is None else history.index_select(0, rows.last))
    return rows.unpack(histories[0][B:] if outputs is None else outputs), *final


def _differentiable(
    setting: Setting, tensors: tuple[Any, ...], grads: tuple[Tensor, ...], needs: tuple[bool, ...]
) -> list[Tensor | None]:
    """Gives the gradients in a form that has derivatives of its own, by way of plain autograd."""
    # Each argument by itself: one may be made of another, or be the same, and each wants its own share alone.
    tensors = tuple(t.view_as(t) if needed else t for t, needed in zip(tensors, needs, strict=True))
    inputs, weight_ih, bias_ih, weight_hh, bias_hh, *rest = tensors
    shared = dict(zip(setting.shared, rest, strict=False))
    state = tuple(rest[len(shared) :])

    def take_step(projected: Tensor, state: State) -> tuple[Tensor, State]:
        recurrent = F.linear(state[0], weight_hh, bias_hh)
        output, *new_state = call_update(setting.cell, shared, projected, recurrent, state)
        return output, tuple(new_state)

    projected = F.linear(inputs, weight_ih, bias_ih) if setting.owned else inputs
    projected = join_noise(projected, setting.drawn)
    outputs, final = run_steps(setting.cell, projected, state, setting.batch_sizes, take_step)
    pairs = [(y, g) for y, g in zip((outputs, *final), grads, strict=True) if y.requires_grad]
    results, seeds = zip(*pairs, strict=True)
    wanted = [tensor for tensor, needed in zip(tensors, needs, strict=True) if needed]
    found = iter(torch.autograd.grad(results, wanted, seeds, create_graph=True, allow_unused=True))
    return [next(found) if needed else None for needed in needs]

"""The compiled loop as one operation of autograd.

Forward makes the products of a step and then its arithmetic, all steps in one call where it can. Backward loops back over
a run of steps and at once turns the gradients of their gates into those of inputs and weights, so that they are never
kept for the whole sequence.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

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
        rows, differentiable = setting.rows, any(ctx.needs_input_grad)
        packed_inputs = rows.pack(inputs)
        keep = differentiable and not setting.recompute
        work, outputs, histories = Forward(setting, packed_inputs, tensors).run(keep)
        if differentiable:
            ctx.setting = setting
            ctx.save_for_backward(packed_inputs, work if keep else None, outputs, *histories, inputs, *tensors)
        B = rows.batch_size
        final = [h[-B:].clone() if rows.last is None else h.index_select(0, rows.last) for h in histories]
        result = histories[0][B:] if outputs is None else outputs
        return rows.unpack(result), *final

    @staticmethod
    def backward(ctx: Any, grad_outputs: Tensor, *grad_final: Tensor) -> tuple[Tensor | None, ...]:
        setting = ctx.setting
        packed_inputs, work, outputs, *rest = ctx.saved_tensors
        histories, (inputs, *tensors) = rest[: setting.num_states], rest[setting.num_states :]
        if torch.is_grad_enabled():  # somebody wants a second derivative
            return None, *_differentiable(
                setting, (inputs, *tensors), (grad_outputs, *grad_final), ctx.needs_input_grad[1:]
            )
        backward = Backward(setting, packed_inputs, work, outputs, histories, tensors, ctx.needs_input_grad[1:])
        return None, *backward.run(setting.rows.pack(grad_outputs).contiguous(), grad_final)


def _differentiable(
    setting: Setting, tensors: tuple[Any, ...], grads: tuple[Tensor, ...], needs: tuple[bool, ...]
) -> list[Tensor | None]:
    """Gives the gradients in a form that has derivatives of its own, by way of plain autograd."""
    inputs, weight_ih, bias_ih, weight_hh, bias_hh, *rest = tensors
    shared = dict(zip(setting.shared, rest, strict=False))
    state = tuple(rest[len(shared) :])

    def take_step(projected: Tensor, state: State) -> tuple[Tensor, State]:
        recurrent = F.linear(state[0], weight_hh, bias_hh)
        output, *new_state = call_update(setting.cell, shared, projected, recurrent, state)
        return output, tuple(new_state)

    projected = F.linear(inputs, weight_ih, bias_ih) if setting.owned else inputs
    outputs, final = run_steps(setting.cell, projected, state, setting.batch_sizes, take_step)
    results = [(y, g) for y, g in zip((outputs, *final), grads, strict=True) if y.requires_grad]
    wanted = [tensor for tensor, needed in zip(tensors, needs, strict=True) if needed]
    found = iter(
        torch.autograd.grad(
            [y for y, _ in results], wanted, [g for _, g in results], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if needed else None for needed in needs]

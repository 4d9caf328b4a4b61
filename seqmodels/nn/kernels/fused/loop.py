"""The fused loop as one operation of autograd.

Forward makes the input product of all steps at once, then for each step the recurrent product and one fused kernel.
Backward runs one fused kernel and one product for each step; the gradients of inputs and weights are one product each
after the loop. Where nothing but the states is kept, both go through the sequence in runs of about sqrt(time) steps.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.kernels.compiled.rows import Rows, even_rows, ragged_rows
from seqmodels.nn.kernels.fused.products import Products, WeightGradients
from seqmodels.nn.kernels.fused.steps import Steps
from seqmodels.nn.programs import StepProgram


@dataclass(frozen=True)
class Setting:
    """All of a call that is no tensor with a gradient.

    Attributes:
        program: What a step computes.
        hidden_size: Columns of a block.
        rows: The rows of all steps, on the device of the loop.
        num_shared: Tensors that all rows share.
        keep: Whether to keep what the derivative reads rather than the states alone.
    """

    program: StepProgram
    hidden_size: int
    rows: Rows
    num_shared: int
    keep: bool

    def runs(self) -> list[tuple[int, int, int, int]]:
        """Cuts the steps into runs: (first step, step after the last, first row, row after the last)."""
        rows = self.rows
        steps = len(rows.bounds) - 1
        cuts = [(0, steps)] if self.keep or not rows.batch_size else rows.chunks(rows.batch_size * math.isqrt(steps))
        return [(first, stop, rows.bounds[first], rows.bounds[stop]) for first, stop in cuts]

    def step(self, t: int, begin: int) -> tuple[int, int, int, int]:
        """Gives the rows of a step and where they are: in a run that begins at some row, and in the histories."""
        bounds, B = self.rows.bounds, self.rows.batch_size
        before = 0 if t == 0 else B + bounds[t - 1]
        return bounds[t + 1] - bounds[t], bounds[t] - begin, before, B + bounds[t]

    def earlier(self, history: Tensor, begin: int, end: int) -> Tensor:
        """Gives the state before each of some rows."""
        previous = self.rows.previous
        return history[begin:end] if previous is None else history.index_select(0, previous[begin:end])


def rows_on(device: torch.device, steps: int, batch_size: int, batch_sizes: list[int] | None) -> Rows:
    """Gives the rows of a batch, with what is used as an index on a device."""
    if batch_sizes is None:
        return even_rows(steps, batch_size)
    rows = ragged_rows(batch_sizes, batch_size)
    indices = {name: getattr(rows, name).to(device) for name in ("positions", "previous", "last")}
    return dataclasses.replace(rows, **indices)


class FusedLoop(torch.autograd.Function):
    """Of (inputs, weight_ih, bias_ih, weight_hh, bias_hh, *shared, *state): outputs and final state."""

    @staticmethod
    def forward(ctx: Any, setting: Setting, inputs: Tensor, *tensors: Any) -> tuple[Tensor, ...]:
        """Runs all steps."""
        rows = setting.rows
        packed, weights = rows.pack(inputs), tensors[:4]
        shared = [t.contiguous() for t in tensors[4 : 4 + setting.num_shared]]
        state = tensors[4 + setting.num_shared :]
        with torch.cuda.device_of(packed):
            work, hidden, outputs, histories = _forward(setting, packed, weights, shared, state)
        ctx.setting = setting
        kept = work if setting.keep else None
        ctx.save_for_backward(packed, kept, hidden, outputs, *weights, *shared, *histories)
        B = rows.batch_size
        final = [h[-B:].clone() if rows.last is None else h.index_select(0, rows.last) for h in histories]
        return rows.unpack(histories[0][B:] if outputs is None else outputs), *final

    @staticmethod
    def backward(ctx: Any, grad_outputs: Tensor, *grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """Runs all steps back."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "backend 'triton' has no second derivative; use backend='reference' for create_graph=True"
            )
        with torch.autocast(grad_outputs.device.type, enabled=False):
            grads = _Backward(ctx.setting, ctx.saved_tensors, ctx.needs_input_grad[1:]).run(grad_outputs, grad_final)
        return None, *grads


def _forward(
    setting: Setting, inputs: Tensor, weights: tuple[Any, ...], shared: list[Tensor], state: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor | None, Tensor | None, list[Tensor]]:
    """Gives the workspace of the last run, hidden states in the products' dtype (None where it is their own), outputs
    (None where they are the states), and of each tensor of the state the initial one and that after each step."""
    program, H, rows = setting.program, setting.hidden_size, setting.rows
    steps = Steps(program, H, state[0].dtype)
    products = Products(program.layout, H, *weights)
    blocks = program.num_saved_blocks if setting.keep else program.layout.num_blocks
    runs = setting.runs()
    work = inputs.new_empty(max(end - begin for _, _, begin, end in runs), blocks * H)
    histories = [s.new_empty(rows.batch_size + rows.total, H) for s in state]
    for history, start in zip(histories, state, strict=True):
        history[: rows.batch_size] = start
    cast = inputs.dtype != state[0].dtype
    hidden = histories[0].to(inputs.dtype)
    outputs = None if program.output_is_state else state[0].new_empty(rows.total, H)
    for first, stop, begin, end in runs:
        products.project(inputs[begin:end], work[: end - begin])
        output = histories[0] if outputs is None else outputs[begin:end]
        buffers = [work, hidden, output, *histories, *shared]
        for t in range(first, stop):
            step = n, at, before, _ = setting.step(t, begin)
            products.recur(hidden[before : before + n], work[at : at + n])
            steps.forward(buffers, step, step=True, cast=cast, keep=setting.keep)
    return work, hidden if cast else None, outputs, histories


class _Backward:
    """All steps back.

    Args:
        setting: The call.
        saved: What forward saved.
        needs: Which gradients are wanted, of (inputs, *weights, *shared, *state).
    """

    def __init__(self, setting: Setting, saved: tuple[Any, ...], needs: tuple[bool, ...]) -> None:
        self.setting, self.needs = setting, needs
        self.inputs, self.work, hidden, self.outputs, *rest = saved
        first_history = 4 + setting.num_shared
        weights, self.shared, self.histories = rest[:4], rest[4:first_history], rest[first_history:]
        self.hidden = self.histories[0] if hidden is None else hidden
        self.products = Products(setting.program.layout, setting.hidden_size, *weights)
        self.steps = Steps(setting.program, setting.hidden_size, self.histories[0].dtype)

    def run(self, grad_outputs: Tensor, grad_final: tuple[Tensor, ...]) -> list[Tensor | None]:
        """Gives the gradients of (inputs, *weights, *shared, *state)."""
        setting, steps, products, inputs = self.setting, self.steps, self.products, self.inputs
        rows, H, accurate = setting.rows, setting.hidden_size, steps.accurate
        grad_output = rows.pack(grad_outputs).contiguous()
        grad_state = [g.to(accurate, memory_format=torch.contiguous_format, copy=True) for g in grad_final]
        grad_product = inputs.new_zeros(rows.batch_size, H)
        tiles, _ = steps.tile.grid(rows.batch_size, H)
        sums = inputs.new_zeros(tiles, max(1, len(steps.source.sums)), H, dtype=accurate)
        grad_inputs = torch.empty_like(inputs) if self.needs[0] else None
        grad_weights = WeightGradients(products, self.needs[1:5])
        for first, stop, begin, end in reversed(setting.runs()):
            earlier = setting.earlier(self.hidden, begin, end)
            work = self._again(first, stop, begin, end, earlier) if self.work is None else self.work
            output = self.histories[0] if self.outputs is None else self.outputs[begin:end]
            grad_work = inputs.new_empty(end - begin, products.columns)
            buffers = [work, grad_product, output, grad_output[begin:end], grad_work, sums]
            buffers += [*self.histories, *grad_state, *self.shared]
            for t in reversed(range(first, stop)):
                step = n, at, *_ = setting.step(t, begin)
                steps.backward(buffers, step)
                products.recur_back(grad_work[at : at + n], grad_product[:n])
            grad_weights.add(grad_work, inputs[begin:end], earlier)
            if grad_inputs is not None:
                grad_inputs[begin:end] = products.input_gradient(grad_work)
        grad_state[0] += grad_product
        of_inputs = None if grad_inputs is None else rows.unpack(grad_inputs)
        of_state = [g.to(h.dtype) for g, h in zip(grad_state, self.histories, strict=True)]
        return [of_inputs, *grad_weights.results(), *self._shared_gradients(sums.sum(0)), *of_state]

    def _again(self, first: int, stop: int, begin: int, end: int, earlier: Tensor) -> Tensor:
        """Makes the workspace of a run of steps again, from inputs and states."""
        setting, H = self.setting, self.setting.hidden_size
        work = self.inputs.new_empty(end - begin, setting.program.num_saved_blocks * H)
        self.products.project(self.inputs[begin:end], work)
        self.products.recur(earlier, work)
        buffers = [work, self.hidden, self.histories[0], *self.histories, *self.shared]
        flags = {"step": False, "cast": False, "keep": True}
        if setting.rows.even:  # then all their states are one after another
            _, at, before, after = setting.step(first, begin)
            self.steps.forward(buffers, (end - begin, at, before, after), **flags)
            return work
        for t in range(first, stop):
            self.steps.forward(buffers, setting.step(t, begin), **flags)
        return work

    def _shared_gradients(self, sums: Tensor) -> list[Tensor | None]:
        """Gives the gradients of what all rows share from (blocks, hidden_size)."""
        source, H = self.steps.source, self.setting.hidden_size
        gradients: list[Tensor | None] = []
        for j, parameter in zip(source.parameters, self.shared, strict=True):
            gradient = torch.zeros_like(parameter)
            for n, (owner, block) in enumerate(source.sums):
                if owner == j and parameter.numel() == 1:
                    gradient += sums[n, 0]
                elif owner == j:
                    gradient[block * H : (block + 1) * H] = sums[n]
            gradients.append(gradient)
        return gradients

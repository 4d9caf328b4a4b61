"""The way forward: both products of each step, and the step's arithmetic."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.kernels.compiled import library
from seqmodels.nn.kernels.compiled.plan import FIRST_STATE, INPUTS, OUTPUT, WORK, Routine
from seqmodels.nn.kernels.compiled.products import Packed, forward_parts, order_blocks
from seqmodels.nn.kernels.compiled.runner import Runner, Setting

_FUSED_ROWS = 4  # of a thread, to make both products of a step at once


class StepProducts:
    """The products that a step forward begins with.

    With a few rows a step makes both at once. With fewer, that of the inputs is faster for many steps together.

    Args:
        setting: The call.
        inputs: (rows, input_size), or what the cell's own `project` gave.
        weights: weight_ih, bias_ih, weight_hh, bias_hh; None for what there is not.
    """

    def __init__(self, setting: Setting, inputs: Tensor, weights: tuple[Any, ...]) -> None:
        weight_ih, bias_ih, weight_hh, bias_hh = weights
        self.layout, self.width = setting.plan.program.layout, setting.cell.hidden_size
        self.fused = setting.owned and setting.rows.batch_size >= _FUSED_ROWS * torch.get_num_threads()
        hh = order_blocks(weight_hh, self.layout.recurrent, self.width)
        ih = None if weight_ih is None else order_blocks(weight_ih, self.layout.projected, self.width)
        self.input_size = inputs.shape[1] if self.fused else 0
        self.parts = forward_parts(self.layout, self.width, ih if self.fused else None, hh)
        self.weight_ih = Packed(ih, transposed=True) if ih is not None and not self.fused else None
        self.bias = self._bias(inputs, bias_ih, bias_hh)

    def attach(self, runner: Runner) -> None:
        """Has each step of a runner make its products."""
        runner.multiply(self.parts, self.bias, not self.fused, self.input_size, self.width)

    def fill(self, work: Tensor, inputs: Tensor) -> None:
        """Puts into the workspace what a step does not make itself."""
        if self.fused:
            return
        layout, H = self.layout, self.width
        apart, recurrent = layout.first_projected * H, len(layout.recurrent) * H
        work[:, :apart] = 0
        projected = work[: len(inputs), apart : layout.num_blocks * H]
        if self.weight_ih is None:
            for k, block in enumerate(layout.projected):
                projected[:, k * H : (k + 1) * H] = inputs[:, block * H : (block + 1) * H]
            return
        self.weight_ih.multiply(inputs, None, projected)
        if self.bias is not None and layout.num_blocks * H > recurrent:
            projected[:, recurrent - apart :] += self.bias[recurrent:]

    def _bias(self, like: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor | None:
        """Adds up the biases of the workspace's columns."""
        if bias_ih is None and bias_hh is None:
            return None
        layout, H = self.layout, self.width
        if bias_ih is not None and bias_hh is not None and layout.is_plain:
            return bias_ih + bias_hh
        bias = like.new_zeros(layout.num_blocks * H)
        if bias_ih is not None:
            bias[layout.first_projected * H :] = order_blocks(bias_ih, layout.projected, H)
        if bias_hh is not None:
            bias[: len(layout.recurrent) * H] += order_blocks(bias_hh, layout.recurrent, H)
        return bias


class Forward:
    """All steps forward.

    Args:
        setting: The call.
        inputs: (rows, input_size), or what the cell's own `project` gave.
        tensors: weight_ih, bias_ih, weight_hh, bias_hh, what all rows share, the state.
    """

    def __init__(self, setting: Setting, inputs: Tensor, tensors: tuple[Any, ...]) -> None:
        self.setting, self.inputs = setting, inputs
        self.shared = [t.contiguous() for t in tensors[4 : 4 + len(setting.shared)]]
        self.state = tensors[4 + len(setting.shared) :]
        self.width = setting.cell.hidden_size
        self.products = StepProducts(setting, inputs, tensors[:4])

    def run(self, keep: bool, remember: bool = True) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """Runs all steps.

        Args:
            keep: Whether the workspace is kept for the way back.
            remember: Whether the states are.

        Returns:
            Workspace, outputs (None where they are the states), and histories of the state; where they are not
            remembered, the final state in place of a history that nothing else needs.
        """
        setting, rows, inputs, H = self.setting, self.setting.rows, self.inputs, self.width
        program, chunks, starts = setting.plan.program, setting.chunks(), rows.bounds
        routine, work_rows = self._routine(keep, remember, chunks)
        runner = Runner(setting, routine, self.shared, inputs.dtype)
        self.products.attach(runner)
        blocks = program.num_saved_blocks if keep else program.layout.num_blocks
        work = library.new_buffer(inputs, work_rows, blocks * H)
        outputs = None if program.output_is_state else library.new_buffer(inputs, rows.total, H)
        histories = []
        for s, start in enumerate(self.state):
            overwritten = s > 0 and routine is setting.plan.scratch
            history = library.new_buffer(inputs, rows.batch_size + (0 if overwritten else rows.total), H)
            history[: rows.batch_size] = start
            histories.append(history)
            runner.place(FIRST_STATE + s, history)
        if outputs is not None:
            runner.place(OUTPUT, outputs)
        runner.place(INPUTS, inputs)
        for first, stop in chunks:
            begin, end = starts[first], starts[stop]
            part = work[begin:end] if keep else work
            self.products.fill(part, inputs[begin:end])
            runner.place(WORK, part, 0 if routine is setting.plan.scratch else begin)
            runner.run(first, stop)
        return work, outputs, histories

    def _routine(self, keep: bool, remember: bool, chunks: list[tuple[int, int]]) -> tuple[Routine, int]:
        """Chooses what is run, and how many rows its workspace has."""
        plan, rows = self.setting.plan, self.setting.rows
        if keep:
            return plan.forward, rows.total
        if self.products.fused and not remember:
            return plan.scratch, rows.batch_size
        return plan.inference, max(rows.bounds[stop] - rows.bounds[first] for first, stop in chunks)

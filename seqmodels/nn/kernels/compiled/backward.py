"""The way back: the gradients of each step's gates, and at once what they give for inputs and weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.kernels.compiled import library
from seqmodels.nn.kernels.compiled.forward import StepProducts
from seqmodels.nn.kernels.compiled.plan import FIRST_STATE, GRAD_OUTPUT, GRAD_WORK, INPUTS, OUTPUT, WORK
from seqmodels.nn.kernels.compiled.products import Packed, Part, WeightGradients, order_blocks
from seqmodels.nn.kernels.compiled.runner import Runner, Setting


class Backward:
    """All steps back.

    Args:
        setting: The call.
        inputs: As for `Forward`.
        work: What forward kept; None to make it again.
        outputs: Where they are not the states.
        histories: Of each tensor of the state, the initial one and that after each step.
        tensors: weight_ih, bias_ih, weight_hh, bias_hh, what all rows share.
        needs: Which gradients are wanted, of (inputs, *tensors, *state).
    """

    def __init__(
        self,
        setting: Setting,
        inputs: Tensor,
        work: Tensor | None,
        outputs: Tensor | None,
        histories: list[Tensor],
        tensors: list[Any],
        needs: tuple[bool, ...],
    ) -> None:
        self.setting, self.inputs, self.work, self.outputs, self.histories = setting, inputs, work, outputs, histories
        self.weights = tensors[:4]
        weight_ih, _, weight_hh, _ = self.weights
        self.shared = [t.contiguous() for t in tensors[4 : 4 + len(setting.shared)]]
        self.needs, self.width = needs, setting.cell.hidden_size
        self.layout = setting.plan.program.layout
        self.runner = Runner(setting, setting.plan.backward, self.shared, inputs.dtype)
        hh = Packed(order_blocks(weight_hh, self.layout.recurrent, self.width), transposed=False)
        adds = setting.plan.program.grad_states[0] is not None
        self.runner.multiply([Part(hh, 0, 2)], None, adds, 0, hh.inner)
        self.weight_ih = None
        if setting.owned and needs[0]:
            self.weight_ih = Packed(order_blocks(weight_ih, self.layout.projected, self.width), transposed=False)

    def run(self, grad_outputs: Tensor, grad_final: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        """Gives the gradients of (inputs, weight_ih, bias_ih, weight_hh, bias_hh, *shared, *state)."""
        setting, rows, runner, like = self.setting, self.setting.rows, self.runner, self.inputs
        columns = self.layout.num_blocks * self.width
        chunks, starts = setting.chunks(), rows.bounds
        longest = max(starts[stop] - starts[first] for first, stop in chunks)
        grad_state = [g.clone(memory_format=torch.contiguous_format) for g in grad_final]
        grad_work = library.new_buffer(like, longest, columns)
        grad_inputs = library.new_buffer(like, *like.shape) if self.needs[0] else None
        sums = WeightGradients(self.layout, self.width, like.shape[1] * setting.owned, self.needs[1:5], like)
        accumulators = self._accumulators()
        runner.loop.backward = True
        self._place(grad_outputs, grad_state)
        again = self._recomputation(longest) if self.work is None else None
        for first, stop in reversed(chunks):
            begin, end = starts[first], starts[stop]
            part = grad_work[: end - begin]
            if again is not None:
                runner.place(WORK, again(first, stop), begin)
            runner.place(GRAD_WORK, part, begin)
            runner.run(first, stop)
            sums.add(part, self.inputs[begin:end], self._earlier(begin, end))
            if grad_inputs is not None:
                self._input_gradient(part, grad_inputs[begin:end])
        of_inputs = None if grad_inputs is None else rows.unpack(grad_inputs)
        return of_inputs, *sums.results(), *self._shared_gradients(accumulators), *grad_state

    def _recomputation(self, longest: int) -> Callable[[int, int], Tensor]:
        """Prepares to make the workspace of a run of steps again, from inputs and states."""
        setting = self.setting
        runner = Runner(setting, setting.plan.recompute, self.shared, self.inputs.dtype)
        products = StepProducts(setting, self.inputs, tuple(self.weights))
        products.attach(runner)
        work = library.new_buffer(self.inputs, longest, setting.plan.program.num_saved_blocks * self.width)
        runner.place(INPUTS, self.inputs)
        for s, history in enumerate(self.histories):
            runner.place(FIRST_STATE + s, history)

        def again(first: int, stop: int) -> Tensor:
            begin, end = setting.rows.bounds[first], setting.rows.bounds[stop]
            products.fill(work, self.inputs[begin:end])
            runner.place(WORK, work, begin)
            runner.run(first, stop)
            return work

        return again

    def _place(self, grad_outputs: Tensor, grad_state: list[Tensor]) -> None:
        if self.work is not None:
            self.runner.place(WORK, self.work)
        self.runner.place(GRAD_OUTPUT, grad_outputs)
        if self.outputs is not None:
            self.runner.place(OUTPUT, self.outputs)
        for s, (history, gradient) in enumerate(zip(self.histories, grad_state, strict=True)):
            self.runner.place(FIRST_STATE + s, history)
            self.runner.place(FIRST_STATE + len(grad_state) + s, gradient)

    def _earlier(self, begin: int, end: int) -> Tensor:
        """Gives the state that each row's recurrent product was made of."""
        history, previous = self.histories[0], self.setting.rows.previous
        return history[begin:end] if previous is None else history.index_select(0, previous[begin:end])

    def _input_gradient(self, gates: Tensor, out: Tensor) -> None:
        H, projected = self.width, gates[:, self.layout.first_projected * self.width :]
        if self.weight_ih is not None:
            self.weight_ih.multiply(projected, None, out)
            return
        for k, block in enumerate(self.layout.projected):
            out[:, block * H : (block + 1) * H] = projected[:, k * H : (k + 1) * H]

    def _accumulators(self) -> Tensor | None:
        """Makes, for each task, the sums that give the gradients of what all rows share, (tasks, blocks, width)."""
        blocks, loop = len(self.setting.plan.accumulated), self.runner.loop
        if not blocks:
            return None
        accumulators = self.inputs.new_zeros(loop.num_tasks, blocks, self.width)
        loop.accumulators, loop.accumulator_blocks = accumulators.data_ptr(), blocks
        return accumulators

    def _shared_gradients(self, accumulators: Tensor | None) -> list[Tensor | None]:
        """Gives the gradients of what all rows share from the sums of each task, (tasks, blocks, width)."""
        if accumulators is None:
            return [
                torch.zeros_like(parameter) if needed else None
                for parameter, needed in zip(self.shared, self.needs[5:], strict=False)
            ]
        gradients: list[Tensor | None] = []
        sums, H = accumulators.sum(0), self.width
        for j, parameter in enumerate(self.shared):
            gradient = torch.zeros_like(parameter)
            for n, (owner, block) in enumerate(self.setting.plan.accumulated):
                if owner == j and parameter.numel() == 1:
                    gradient += sums[n, 0]
                elif owner == j:
                    gradient[block * H : (block + 1) * H] = sums[n]
            gradients.append(gradient if self.needs[5 + j] else None)
        return gradients

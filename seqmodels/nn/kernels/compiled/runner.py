"""One call of the compiled loop: what it is of, and how the library is called for runs of its steps."""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from seqmodels.nn.cells import GatedCell
from seqmodels.nn.kernels.compiled import library
from seqmodels.nn.kernels.compiled.plan import DRAWN, FIRST_STATE, Plan, Routine
from seqmodels.nn.kernels.compiled.products import Part
from seqmodels.nn.kernels.compiled.rows import Rows

_CHUNK_ELEMENTS = 2**19  # of the workspace: what a core's cache holds
_CHUNK_ROWS = 512  # at least, or the products of a run would be too thin to be fast
_CACHE_BYTES = 2**19  # packed weights beyond this are read once for all rows of a task
_BLOCK_ROWS = 6


@dataclass(frozen=True)
class Setting:
    """All of a call that is no tensor with a gradient."""

    cell: GatedCell
    plan: Plan
    rows: Rows
    batch_sizes: list[int] | None
    drawn: Tensor | None  # what the cell drew for all steps, (time, batch, columns)
    owned: bool  # the loop makes the input product itself
    shared: tuple[str, ...]
    num_states: int
    recompute: bool  # keep the states alone, and make the rest again on the way back

    def chunks(self) -> list[tuple[int, int]]:
        """Cuts the steps into runs."""
        columns = self.plan.program.num_saved_blocks * self.cell.hidden_size
        return self.rows.chunks(max(_CHUNK_ROWS, _CHUNK_ELEMENTS // columns))


class Runner:
    """Calls the library for runs of steps, with the same program and weights."""

    def __init__(self, setting: Setting, routine: Routine, shared: list[Tensor], dtype: torch.dtype) -> None:
        self.rows, self.twofold = setting.rows, dtype is torch.float64
        self.item, self.num_threads = (8 if self.twofold else 4), torch.get_num_threads()
        self.tasks = setting.rows.tasks(self.num_threads)
        count = FIRST_STATE + 2 * setting.num_states + len(shared)
        self.buffers, self.strides = (ctypes.c_void_p * count)(), (ctypes.c_int64 * count)()
        self.keep: list[Tensor] = []  # alive while the library may read it
        for k, tensor in enumerate(shared):
            self.buffers[count - len(shared) + k] = tensor.data_ptr()
        if setting.drawn is not None:
            drawn = setting.rows.pack(setting.drawn).contiguous()
            self.keep.append(drawn)
            self.place(DRAWN, drawn)
        encoded = routine.encoded
        self.loop = library.Loop(
            width=setting.cell.hidden_size,
            num_tasks=len(self.tasks) - 1,
            task_rows=self.tasks.data_ptr(),
            inputs=routine.inputs,
            source=routine.source,
            target=routine.target,
            num_operands=len(encoded.operands),
            num_instructions=len(encoded.instructions),
            num_registers=encoded.num_registers,
            operands=ctypes.addressof(routine.operands),
            instructions=ctypes.addressof(routine.instructions),
            numbers=ctypes.addressof(routine.twofold if self.twofold else routine.single),
            buffers=ctypes.addressof(self.buffers),
            strides=ctypes.addressof(self.strides),
        )

    def multiply(self, parts: list[Part], bias: Tensor | None, add: bool, input_size: int, inner: int) -> None:
        """Gives each step its product."""
        loop = self.loop
        for segment, part in zip(loop.segments, parts, strict=False):
            segment.packed, segment.first = part.packed.numbers.data_ptr(), part.first
            segment.columns, segment.wants = part.packed.columns, part.wants
            self.keep.append(part.packed.numbers)
        loop.inputs_inner, loop.inner, loop.add = input_size, inner, add
        if bias is not None:
            self.keep.append(bias)
            loop.bias = bias.data_ptr()
        size = sum(part.packed.numbers.numel() for part in parts) * self.item
        loop.rows_at_once = 2**30 if size > _CACHE_BYTES else _BLOCK_ROWS

    def place(self, buffer: int, tensor: Tensor, first_row: int = 0) -> None:
        """Names the tensor behind a buffer; its first row is `first_row` of all steps."""
        stride = tensor.stride(0)
        self.buffers[buffer] = tensor.data_ptr() - first_row * stride * self.item
        self.strides[buffer] = stride

    def run(self, first: int, stop: int) -> None:
        """Runs the steps from first to stop."""
        lib, rows, loop, offset = library.load(), self.rows, self.loop, 8 * first
        assert lib is not None
        loop.num_steps = stop - first
        loop.rows, loop.step = rows.counts.data_ptr() + offset, rows.starts.data_ptr() + offset
        loop.before, loop.after = rows.before.data_ptr() + offset, rows.after.data_ptr() + offset
        lib.loops_run(ctypes.byref(loop), self.twofold, self.num_threads)

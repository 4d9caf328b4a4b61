"""The two kernels of a program, made from their text and called for runs of rows."""

import functools
import itertools
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from seqmodels.nn.kernels.fused import functions
from seqmodels.nn.kernels.fused.source import StepSource, write_source
from seqmodels.nn.programs import StepProgram

_TILE_ELEMENTS = 512
_MAX_COLUMNS = 128  # where a tile need not hold a whole row
_ELEMENTS_A_WARP = 128

_numbers = itertools.count()


@dataclass(frozen=True)
class Tile:
    """What one instance of a kernel computes.

    Attributes:
        rows: A power of two.
        columns: A power of two.
        num_warps: How many warps share it.
    """

    rows: int
    columns: int
    num_warps: int

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Counts the instances for so many rows and columns."""
        return triton.cdiv(rows, self.rows), triton.cdiv(columns, self.columns)


def choose_tile(hidden_size: int, whole_rows: bool) -> Tile:
    """Cuts blocks of `hidden_size` columns so that many instances share a small step.

    Example:
        >>> choose_tile(200, whole_rows=False)
        Tile(rows=4, columns=128, num_warps=4)
    """
    columns = triton.next_power_of_2(hidden_size)
    if not whole_rows:
        columns = min(columns, _MAX_COLUMNS)
    rows = max(1, _TILE_ELEMENTS // columns)
    return Tile(rows, columns, num_warps=min(16, max(1, rows * columns // _ELEMENTS_A_WARP)))


@functools.cache
def load_kernels(program: StepProgram) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Makes `step_forward` and `step_backward` of a program, see `StepSource`."""
    text = write_source(program).text
    name = f"<seqmodels step {next(_numbers)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)  # where Triton looks for the source
    names = {n: getattr(functions, n) for n in ("expm1", "log1p", "sigmoid", "tanh", "sign", "remainder")}
    namespace: dict[str, Any] = {"__name__": __name__, "triton": triton, "tl": tl, **names}
    exec(compile(text, name, "exec"), namespace)
    return namespace["step_forward"], namespace["step_backward"]


class Steps:
    """Calls the kernels of a program.

    Args:
        program: The program.
        hidden_size: Columns of a block.
        dtype: Of the state; arithmetic is in float64 for float64, else in float32.
    """

    def __init__(self, program: StepProgram, hidden_size: int, dtype: torch.dtype) -> None:
        self.source: StepSource = write_source(program)
        self.hidden_size = hidden_size
        self.accurate = torch.float64 if dtype is torch.float64 else torch.float32
        self.tile = choose_tile(hidden_size, self.source.whole_rows)
        self._forward, self._backward = load_kernels(program)
        self._constants = {
            "H": hidden_size,
            "FLOAT": tl.float64 if dtype is torch.float64 else tl.float32,
            "R": self.tile.rows,
            "C": self.tile.columns,
            "num_warps": self.tile.num_warps,
        }

    def forward(
        self, buffers: Sequence[Tensor], rows: tuple[int, int, int, int], step: bool, cast: bool, keep: bool
    ) -> None:
        """Runs `step_forward` on (rows, begin, before, after); none is fine."""
        self._run(self._forward, buffers, rows, {"STEP": step, "CAST": cast, "KEEP": keep})

    def backward(self, buffers: Sequence[Tensor], rows: tuple[int, int, int, int]) -> None:
        """Runs `step_backward` on (rows, begin, before, after); none is fine."""
        self._run(self._backward, buffers, rows, {})

    def _run(
        self, kernel: Any, buffers: Sequence[Tensor], rows: tuple[int, int, int, int], flags: dict[str, bool]
    ) -> None:
        if rows[0]:
            kernel[self.tile.grid(rows[0], self.hidden_size)](*buffers, *rows, **self._constants, **flags)

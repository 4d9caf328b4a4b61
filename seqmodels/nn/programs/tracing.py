"""Tensors that write down what is done to them: how the arithmetic of an `update` is read without its source."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.programs.graph import BLOCK, SCALAR, VECTOR, Graph

Operations = Mapping[Any, Callable[..., Any]]


class Untraceable(Exception):
    """What an `update` does is not arithmetic within a row, as far as can be told."""


class Traced(Tensor):
    """A tensor without numbers, of (rows, blocks * width), (rows, blocks, width), (blocks * width,) or (rows, 1).

    Attributes:
        owner: The trace that it belongs to.
        blocks: The places of its blocks in the graph; none for a tensor that an `update` may name but not use.
    """

    owner: "Trace"
    blocks: tuple[int, ...]

    @staticmethod
    def __new__(
        cls, owner: "Trace", blocks: Sequence[int], shape: Sequence[int], dtype: torch.dtype | None = None
    ) -> "Traced":
        """Makes one of a given shape."""
        traced: Traced = Tensor._make_wrapper_subclass(cls, tuple(shape), dtype=dtype or owner.dtype)
        traced.owner, traced.blocks = owner, tuple(blocks)
        return traced

    def __init__(self, *_: object) -> None:
        super().__init__()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Writes down one operation."""
        traced = [leaf for leaf in _leaves(args) if isinstance(leaf, Traced)]
        trace = traced[0].owner
        for operand in traced:
            about = f"{tuple(operand.shape)}, {operand.dtype}"
            trace.check(bool(operand.blocks), f"it reads a weight, or a parameter or buffer that is no row ({about})")
        operation = trace.operations.get(func)
        if operation is None:
            raise Untraceable(f"{func} is not known to act within a row")
        result = operation(trace, *args, **(kwargs or {}))
        return result if torch.is_grad_enabled() else _detached(result)  # within the update's own no_grad


class Trace:
    """One reading of an `update`.

    Args:
        width: Columns of a block: the cell's hidden_size.
        dtype: Of the cell.
        operations: What is written down for each of torch's operations, given the trace and their arguments.
        rows: How many rows the stand-ins claim to have.
    """

    def __init__(self, width: int, dtype: torch.dtype, operations: Operations, rows: int = 5) -> None:
        self.graph, self.width, self.dtype, self.operations, self.rows = Graph(), width, dtype, operations, rows

    def rows_input(self, name: str, num_blocks: int) -> Traced:
        """Makes a stand-in of (rows, num_blocks * width)."""
        blocks = [self.graph.input(name, k) for k in range(num_blocks)]
        return Traced(self, blocks, (self.rows, num_blocks * self.width))

    def join(self, *parts: Traced) -> Traced:
        """Puts stand-ins side by side."""
        blocks = [place for part in parts for place in part.blocks]
        return Traced(self, blocks, (self.rows, len(blocks) * self.width))

    def parameter_input(self, index: int, like: Tensor) -> Traced:
        """Makes a stand-in for what all rows share: (blocks * width,), or a single number; else one of no use."""
        name, size = f"parameter{index}", like.numel()
        if like.dtype == self.dtype and size == 1:
            return Traced(self, [self.graph.input(name, 0, SCALAR)], like.shape)
        if like.dtype == self.dtype and like.dim() == 1 and size % self.width == 0:
            return Traced(self, [self.graph.input(name, k, VECTOR) for k in range(size // self.width)], like.shape)
        return self.unusable(like)

    def unusable(self, like: Tensor) -> Traced:
        """Makes a stand-in that an `update` may name but not use."""
        return Traced(self, [], like.shape, like.dtype)

    def blocks_of(self, value: Any, count: int) -> list[int]:
        """Gives `count` places for an operand: its blocks, or one that serves for all.

        Raises:
            Untraceable: It has another number of blocks, or is a tensor from outside.
        """
        if isinstance(value, Traced):
            self.check(len(value.blocks) in (1, count), "blocks of different number do not pair")
            broadcast = len(value.blocks) == 1 and count > 1
            self.check(not (broadcast and self._is_wide(value.blocks[0])), "one block does not broadcast over several")
            return list(value.blocks) * (count // len(value.blocks))
        number = not isinstance(value, Tensor) or (value.dim() == 0 and not value.requires_grad)
        self.check(number, "a tensor that is neither an argument nor registered with the cell")
        return [self.graph.constant(float(value))] * count

    def _is_wide(self, place: int) -> bool:
        return self.width > 1 and self.graph.nodes[place].kind in (BLOCK, VECTOR)

    def pointwise(self, op: str, *operands: Any, dtype: torch.dtype | None = None) -> Traced:
        """Applies an operation of the graph block by block.

        Args:
            op: A name of `graph.ARITY`.
            *operands: Stand-ins, at least one, and numbers.
            dtype: Of the result; the cell's if None.

        Raises:
            Untraceable: The blocks of the operands do not pair.
        """
        traced = [o for o in operands if isinstance(o, Traced)]
        shape = torch.broadcast_shapes(*(t.shape for t in traced))
        count = max(len(t.blocks) for t in traced)
        mixed = len(shape) == 3 and any(t.dim() == 2 and t.shape[1] != 1 for t in traced)
        self.check(not mixed, "operands of two and of three axes")
        columns = [self.blocks_of(operand, count) for operand in operands]
        blocks = [self.graph.apply(op, *places) for places in zip(*columns, strict=True)]
        return Traced(self, blocks, shape, dtype)

    def row_sum(self, value: Traced) -> int:
        """Adds up all columns of (rows, blocks * width)."""
        self.check(value.dim() == 2 and value.shape[0] == self.rows, "a sum over anything but the last axis")
        sums = [self._block_sum(place) for place in value.blocks]
        total = sums[0]
        for place in sums[1:]:
            total = self.graph.apply("add", total, place)
        return total

    def _block_sum(self, place: int) -> int:
        if self.graph.nodes[place].kind in (BLOCK, VECTOR):
            return self.graph.apply("sum", place)
        return self.graph.apply("mul", place, self.graph.constant(self.width))  # the same in all columns

    def check(self, condition: bool, reason: str) -> None:
        """Gives up unless a condition holds.

        Raises:
            Untraceable: It does not.
        """
        if not condition:
            raise Untraceable(reason)


def _leaves(values: Any) -> list[Any]:
    if isinstance(values, list | tuple):
        return [leaf for value in values for leaf in _leaves(value)]
    return [values]


def _detached(result: Any) -> Any:
    if isinstance(result, list | tuple):
        return type(result)(_detached(item) for item in result)
    return result.owner.pointwise("detach", result, dtype=result.dtype)

"""The products around the loop: weights packed for it, and what all steps together give."""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.nn.kernels.compiled import library
from seqmodels.nn.programs import Layout

_ROWS_A_TASK = 48  # enough to use a panel of weights while it is in the cache


def order_blocks(weight: Tensor, blocks: tuple[int, ...], width: int) -> Tensor:
    """Puts blocks of `width` rows into the order of the workspace."""
    if blocks == tuple(range(len(blocks))):
        return weight if weight.is_contiguous() else weight.contiguous()
    return torch.cat([weight[k * width : (k + 1) * width] for k in blocks])


def restore_blocks(weight: Tensor, blocks: tuple[int, ...], width: int) -> Tensor:
    """Undoes `order_blocks`."""
    inverse = tuple(blocks.index(k) for k in range(len(blocks)))
    return order_blocks(weight, inverse, width)


class Packed:
    """A matrix (inner, columns), or two one above the other, in the form in which compiled code reads it fastest.

    Args:
        *weights: Each (columns, inner) if transposed, else (inner, columns), with steps of 1 along rows.
        transposed: Which of the two.
    """

    def __init__(self, *weights: Tensor, transposed: bool) -> None:
        lib = library.load()
        assert lib is not None
        inner_axis = 1 if transposed else 0
        self.columns = weights[0].shape[1 - inner_axis]
        self.inner = sum(weight.shape[inner_axis] for weight in weights)
        self.twofold = weights[0].dtype is torch.float64
        self.numbers = library.new_buffer(weights[0], lib.loops_packed_size(self.inner, self.columns, self.twofold))
        packing = library.Packing(packed=self.numbers.data_ptr(), columns=self.columns)
        for part, weight in enumerate(weights):
            packing.source[part], packing.inner[part] = weight.data_ptr(), weight.shape[inner_axis]
            packing.inner_stride[part] = weight.stride(inner_axis)
            packing.column_stride[part] = weight.stride(1 - inner_axis)
        lib.loops_pack(ctypes.byref(packing), self.twofold, torch.get_num_threads())

    def multiply(self, a: Tensor, bias: Tensor | None, out: Tensor) -> None:
        """Computes out = a @ self + bias; rows of both may be apart."""
        lib = library.load()
        assert lib is not None
        rows, threads = len(a), torch.get_num_threads()
        tasks = max(1, min(4 * threads, rows // _ROWS_A_TASK))
        product = library.Product(
            a.data_ptr(),
            self.numbers.data_ptr(),
            None if bias is None else bias.data_ptr(),
            out.data_ptr(),
            *(rows, self.inner, self.columns, a.stride(0), out.stride(0), tasks),
        )
        lib.loops_multiply(ctypes.byref(product), self.twofold, threads)


class Part(NamedTuple):
    """Columns of the workspace that one product fills."""

    packed: Packed
    first: int
    wants: int  # 1 of the inputs, 2 of the state, 3 of both


def forward_parts(layout: Layout, width: int, weight_ih: Tensor | None, weight_hh: Tensor) -> list[Part]:
    """Packs the weights for the step forward.

    Args:
        layout: Of the workspace.
        width: Columns of a block.
        weight_ih: In the order of the workspace, (projected columns, input_size); None where the step does not make
            the input product.
        weight_hh: In the order of the workspace, (recurrent columns, width).
    """
    if weight_ih is None:
        return [Part(Packed(weight_hh, transposed=True), 0, 2)]
    apart = layout.first_projected * width
    both = len(weight_hh) - apart
    parts = []
    if apart:
        parts.append(Part(Packed(weight_hh[:apart], transposed=True), 0, 2))
    if both:
        parts.append(Part(Packed(weight_ih[:both], weight_hh[apart:], transposed=True), apart, 3))
    if both < len(weight_ih):
        parts.append(Part(Packed(weight_ih[both:], transposed=True), apart + both, 1))
    return parts


class WeightGradients:
    """The gradients of weights and biases, added up run by run from those of the gates.

    Args:
        layout: Of the workspace.
        width: Columns of a block.
        input_size: Features of the inputs; 0 where the loop does not own their product.
        needs: Whether those of weight_ih, bias_ih, weight_hh, bias_hh are wanted.
        like: A tensor of the dtype.
    """

    def __init__(self, layout: Layout, width: int, input_size: int, needs: tuple[bool, ...], like: Tensor) -> None:
        self.layout, self.width = layout, width
        self.columns = layout.num_blocks * width
        self.apart, self.recurrent = layout.first_projected * width, len(layout.recurrent) * width
        wants_ih, wants_bias_ih, wants_hh, wants_bias_hh = needs
        self.needs = needs
        self.weight_ih = library.new_buffer(like, input_size, self.columns) if wants_ih and input_size else None
        self.weight_hh = library.new_buffer(like, width, self.columns) if wants_hh else None
        self.bias = like.new_empty(self.columns) if wants_bias_ih or wants_bias_hh else None
        self.started = False

    def add(self, gates: Tensor, inputs: Tensor, earlier: Tensor) -> None:
        """Adds what a run of steps gives.

        Args:
            gates: Gradients of the workspace, (rows, columns).
            inputs: (rows, input_size).
            earlier: The state that was multiplied, (rows, width).
        """
        lib = library.load()
        if lib is None or (self.weight_ih is None and self.weight_hh is None and self.bias is None):
            return
        hh, ih = 2 * (self.weight_hh is not None), 1 * (self.weight_ih is not None)
        weighing = library.Weighing(gates=gates.data_ptr(), rows=len(gates), gate_stride=gates.stride(0))
        weighing.bias = None if self.bias is None else self.bias.data_ptr()
        for side, factors, out in ((0, inputs, self.weight_ih), (1, earlier, self.weight_hh)):
            if out is not None:
                weighing.out[side], weighing.factors[side] = out.data_ptr(), factors.data_ptr()
                weighing.sizes[side], weighing.strides[side] = factors.shape[1], factors.stride(0)
        weighing.out_stride, weighing.add = self.columns, self.started
        cuts = (0, self.apart, self.recurrent, self.columns)
        for k, wanted in enumerate((hh, hh | ih, ih)):
            weighing.first[k], weighing.stop[k], weighing.wanted[k] = cuts[k], cuts[k + 1], wanted
        lib.loops_weigh(ctypes.byref(weighing), gates.dtype is torch.float64, torch.get_num_threads())
        self.started = True

    def _restored(self, transposed: Tensor, blocks: tuple[int, ...]) -> Tensor:
        """Transposes, and puts blocks of rows back where they came from."""
        result = library.new_buffer(transposed, transposed.shape[1], transposed.shape[0])
        if blocks == tuple(range(len(blocks))):
            library.transpose(transposed, result)
            return result
        for k, block in enumerate(blocks):
            there, here = (
                slice(block * self.width, (block + 1) * self.width),
                slice(k * self.width, (k + 1) * self.width),
            )
            library.transpose(transposed[:, here], result[there])
        return result

    def results(self) -> tuple[Tensor | None, ...]:
        """Gives the gradients of weight_ih, bias_ih, weight_hh, bias_hh, None where not wanted."""
        layout, width = self.layout, self.width
        ih = hh = bias_ih = bias_hh = None
        if self.weight_ih is not None:
            ih = self._restored(self.weight_ih[:, self.apart :], layout.projected)
        if self.weight_hh is not None:
            hh = self._restored(self.weight_hh[:, : self.recurrent], layout.recurrent)
        if self.bias is not None and layout.is_plain:
            bias_ih, bias_hh = self.bias if self.needs[1] else None, self.bias.clone() if self.needs[3] else None
        elif self.bias is not None:
            bias_ih = (
                restore_blocks(self.bias[self.apart :], layout.projected, width).clone() if self.needs[1] else None
            )
            bias_hh = (
                restore_blocks(self.bias[: self.recurrent], layout.recurrent, width).clone() if self.needs[3] else None
            )
        return ih, bias_ih, hh, bias_hh

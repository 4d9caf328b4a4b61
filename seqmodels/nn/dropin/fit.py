"""What our kernels take of all that torch's layers take. The rest is torch's, its errors too."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

from seqmodels.nn.state import State

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def runs_eagerly() -> bool:
    """Tells whether operations run one by one, as written: nothing compiles, exports, traces, transforms or casts.

    Returns:
        False where torch's layer must be seen as such, or where its inputs may be other than they look.
    """
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.is_autocast_enabled("cpu")
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
    )


def fits(
    layer: nn.RNNBase, sequence: Tensor | PackedSequence, state: State | None, weights: Sequence[Sequence[Tensor]]
) -> bool:
    """Tells whether our kernels can run a layer on these arguments.

    Args:
        layer: The layer.
        sequence: The inputs, in any form that torch's layers take.
        state: The state in the form of the inputs, or None.
        weights: The layer's `all_weights`.

    Returns:
        True for plain CPU tensors, all of one dtype (float32 or float64), with no shape wrong and none empty. False
        for a single step of a GRU or RNN, where no loop is to be run, and for a layer with projection: our kernels
        could take its two small products of each step only as one large (by W_hh W_hr), which costs more.
    """
    inputs = sequence.data if isinstance(sequence, PackedSequence) else sequence
    if layer.proj_size or not isinstance(inputs, Tensor) or inputs.dtype not in (torch.float32, torch.float64):
        return False
    if not _is_plain(inputs, inputs.dtype) or inputs.dim() not in (2, 3) or inputs.numel() == 0:
        return False
    if inputs.shape[-1] != layer.input_size:
        return False
    if _num_steps(layer, sequence) == 1 and layer.mode != "LSTM":  # torch's own are faster there
        return False
    rows = _rows(layer, sequence)
    if rows is None or not (state is None or _match(state, _state_shapes(layer, rows), inputs.dtype)):
        return False
    return all(_match(tensors, _weight_shapes(layer, k), inputs.dtype) for k, tensors in enumerate(weights))


def _num_steps(layer: nn.RNNBase, sequence: Tensor | PackedSequence) -> int:
    if isinstance(sequence, PackedSequence):
        return len(sequence.batch_sizes)
    return sequence.shape[1 if layer.batch_first and sequence.dim() == 3 else 0]


def _is_plain(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Tells whether a kernel may read a tensor's memory: no subclass, no lazy or sparse or nested numbers."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and not tensor.is_neg()
    )


def _match(tensors: Sequence[Tensor], shapes: list[tuple[int, ...]], dtype: torch.dtype) -> bool:
    if not isinstance(tensors, tuple | list) or len(tensors) != len(shapes):
        return False
    return all(
        _is_plain(tensor, dtype) and tensor.shape == shape for tensor, shape in zip(tensors, shapes, strict=True)
    )


def _rows(layer: nn.RNNBase, sequence: Tensor | PackedSequence) -> tuple[int, ...] | None:
    """Gives the batch dimension of the state: (batch,), () without, None where a `PackedSequence` is malformed."""
    if isinstance(sequence, Tensor):
        return (sequence.shape[0 if layer.batch_first else 1],) if sequence.dim() == 3 else ()
    sizes = sequence.batch_sizes.tolist()
    shrinking = all(now >= later for now, later in pairwise([*sizes, 1]))
    return (sizes[0],) if shrinking and sequence.data.dim() == 2 and sum(sizes) == len(sequence.data) else None


def _state_shapes(layer: nn.RNNBase, rows: tuple[int, ...]) -> list[tuple[int, ...]]:
    runs = layer.num_layers * (2 if layer.bidirectional else 1)
    return [(runs, *rows, layer.hidden_size)] * (2 if layer.mode == "LSTM" else 1)


def _weight_shapes(layer: nn.RNNBase, k: int) -> list[tuple[int, ...]]:
    """Gives the shapes of `all_weights[k]`."""
    num_directions = 2 if layer.bidirectional else 1
    gates = _GATES[layer.mode] * layer.hidden_size
    inputs = layer.input_size if k < num_directions else num_directions * layer.hidden_size
    return [(gates, inputs), (gates, layer.hidden_size), *([(gates,), (gates,)] if layer.bias else [])]

"""Runs the parameters of torch's layers through our kernels."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqmodels.nn import kernels
from seqmodels.nn.cells import ElmanCell, GatedCell, GRUCell, LSTMCell, Weights
from seqmodels.nn.dropin.fit import fits, runs_eagerly
from seqmodels.nn.ragged import SortedRows
from seqmodels.nn.state import State, map_state

_CELLS: dict[str, Callable[[int, int], GatedCell]] = {
    "RNN_TANH": ElmanCell,
    "RNN_RELU": partial(ElmanCell, activation="relu"),
    "GRU": GRUCell,
    "LSTM": LSTMCell,
}


def run(layer: nn.RNNBase, sequence: Any, state: State | None) -> tuple[Any, State] | None:
    """Runs a layer's parameters over a sequence.

    Args:
        layer: The layer.
        sequence: The inputs, in any form that torch's layers take.
        state: The state in the form of the inputs, zero if None.

    Returns:
        The outputs in the form of the inputs, and the final state; None if this is a case for torch's own layer.
    """
    if not runs_eagerly():
        return None
    weights = layer.all_weights
    if not fits(layer, sequence, state, weights):
        return None
    if isinstance(sequence, PackedSequence):
        return _run_packed(layer, sequence, state, weights)
    if sequence.dim() == 2:
        state = None if state is None else map_state(lambda s: s.unsqueeze(1), state)
        outputs, state = _run_layers(layer, sequence.unsqueeze(1), state, weights)
        return outputs.squeeze(1), map_state(lambda s: s.squeeze(1), state)
    if layer.batch_first:
        outputs, state = _run_layers(layer, sequence.transpose(0, 1), state, weights)
        return outputs.transpose(0, 1), state
    return _run_layers(layer, sequence, state, weights)


def _run_packed(
    layer: nn.RNNBase, sequence: PackedSequence, state: State | None, weights: Sequence[Sequence[Tensor]]
) -> tuple[PackedSequence, State]:
    data, batch_sizes, order, inverse = sequence
    if state is not None and order is not None:
        state = map_state(lambda s: s.index_select(1, order), state)
    steps, batch_size = len(batch_sizes), int(batch_sizes[0])
    places = _places(batch_sizes)
    inputs = data.new_zeros(steps * batch_size, data.shape[1]).index_copy(0, places, data)
    lengths = (batch_sizes[:, None] > torch.arange(batch_size, device="cpu")).sum(0)
    rows = None if lengths[0] == lengths[-1] else SortedRows(lengths, data.device)
    outputs, state = _run_layers(layer, inputs.view(steps, batch_size, -1), state, weights, rows)
    if inverse is not None:
        state = map_state(lambda s: s.index_select(1, inverse), state)
    return PackedSequence(_Picked.apply(outputs.flatten(0, 1), places), batch_sizes, order, inverse), state


def _places(batch_sizes: Tensor) -> Tensor:
    """Finds where the rows of a packed sequence are among steps x batch."""
    steps, batch_size = len(batch_sizes), int(batch_sizes[0])
    return (torch.arange(batch_size, device="cpu") < batch_sizes[:, None]).view(steps * batch_size).nonzero()[:, 0]


class _Picked(torch.autograd.Function):
    """Picks rows, each once: the way back then need not add."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor) -> Tensor:
        ctx.places, ctx.count = places, len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,) = grads
        return grad.new_zeros(ctx.count, grad.shape[1]).index_copy(0, ctx.places, grad), None


def _run_layers(
    layer: nn.RNNBase,
    inputs: Tensor,
    state: State | None,
    weights: Sequence[Sequence[Tensor]],
    rows: SortedRows | None = None,
) -> tuple[Tensor, State]:
    """Runs all layers over (time, batch, input_size)."""
    num_directions = 2 if layer.bidirectional else 1
    final_states = []
    for depth in range(layer.num_layers):
        if depth > 0 and layer.training and layer.dropout > 0:
            inputs = _dropout(inputs, layer.dropout, rows)
        outputs = []
        for direction in range(num_directions):
            k = depth * num_directions + direction
            run_state = None if state is None else tuple(s[k] for s in state)
            output, final_state = _run_direction(layer, inputs, run_state, weights[k], direction == 1, rows)
            outputs.append(output)
            final_states.append(final_state)
        inputs = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    if inputs.requires_grad and layer.mode != "LSTM" and num_directions == 1 and rows is None:
        inputs = inputs.clone()  # torch lets its users overwrite these in place, and the kernel needs its own later
    return inputs, tuple(torch.stack(tensors) for tensors in zip(*final_states, strict=True))


def _dropout(inputs: Tensor, probability: float, rows: SortedRows | None) -> Tensor:
    """Drops what torch drops from the same seed: it draws for a packed sequence's steps alone."""
    if rows is None:
        return F.dropout(inputs, probability)
    packed = pack_padded_sequence(inputs, rows.lengths)
    return pad_packed_sequence(packed._replace(data=F.dropout(packed.data, probability)))[0]


def _run_direction(
    layer: nn.RNNBase,
    inputs: Tensor,
    state: State | None,
    weights: Sequence[Tensor],
    backward: bool,
    rows: SortedRows | None,
) -> tuple[Tensor, State]:
    """Runs one direction of one layer over (time, batch, features), from the end if backward."""
    inputs = (_reverse(inputs, rows) if backward else inputs).contiguous()
    if state is None:
        num_states = 2 if layer.mode == "LSTM" else 1
        state = (inputs.new_zeros(inputs.shape[1], layer.hidden_size),) * num_states
    cell = _cell(layer.mode, layer.hidden_size)
    kernel = kernels.select("auto", cell, inputs)
    batch_sizes = None if rows is None else rows.batch_sizes
    biases = () if layer.bias else (None, None)
    outputs, state = kernel.run(cell, inputs, state, batch_sizes, Weights(*weights, *biases))
    return _reverse(outputs, rows) if backward else outputs, state


def _reverse(sequence: Tensor, rows: SortedRows | None) -> Tensor:
    return sequence.flip(0) if rows is None else rows.reverse(sequence)


@cache
def _cell(mode: str, hidden_size: int) -> GatedCell:
    """Gives the arithmetic of a mode, shared by all layers: its own weights have no numbers and are never read."""
    with torch.device("meta"):
        return _CELLS[mode](1, hidden_size)

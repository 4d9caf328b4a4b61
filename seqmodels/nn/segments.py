"""Resets in the middle of a sequence: each part between two resets becomes a row of its own.

A reset cuts a row in two parts that know nothing of each other, in either direction and at every layer. So a layer that
takes lengths needs nothing else to take resets, whatever kernel runs it.
"""

import torch
from torch import Tensor

from seqmodels.nn.checks import Layer
from seqmodels.nn.ragged import valid_mask
from seqmodels.nn.state import State


class Segments:
    """The parts into which resets cut the rows of a batch, in the order of rows and then of time.

    Args:
        reset: Where a new part begins, (batch, time) bool.
        lengths: Steps of each row, (batch,); resets beyond them mean nothing.

    Attributes:
        row: The row each part is of, (parts,).
        start: The step at which each part begins, (parts,).
        length: The steps in each part, (parts,); zero only for a row of length zero.
        opens: Whether a part is its row's first, (parts,) bool.
        closes: Whether a part is its row's last, (parts,) bool.
        continues: Whether a part goes on, forward in time, from the state handed in, (parts,) bool.
    """

    def __init__(self, reset: Tensor, lengths: Tensor) -> None:
        _, T = reset.shape
        reset = reset & valid_mask(lengths, T)
        begins = reset.clone()
        begins[:, 0] = True
        self.row, self.start = begins.nonzero(as_tuple=True)
        self.opens = self.start == 0
        self.closes = self.opens.roll(-1)
        self.continues = self.opens & ~reset[self.row, 0]
        self.length = torch.where(self.closes, lengths[self.row], self.start.roll(-1)) - self.start

    def steps(self) -> Tensor:
        """Gives the step of the batch behind each step of each part, (parts, longest); padding runs past the end."""
        longest = max(1, int(self.length.max()))
        return self.start[:, None] + torch.arange(longest, device=self.start.device)


def run_segments(
    layer: Layer,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    reset: Tensor,
    context: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Runs a layer with resets, by way of its `lengths`.

    Args:
        layer: The layer.
        inputs: (batch, time, input_size).
        state: Each (num_layers * num_directions, batch, hidden_size).
        lengths: (batch,), or None.
        reset: (batch, time) bool. Before such a step the state goes back to the initial state; going backward in time,
            after it.
        context: (batch, context size), or None.

    Returns:
        The outputs and the state, as from the layer.
    """
    B, T, _ = inputs.shape
    reset = reset.to(inputs.device)
    lengths = torch.full((B,), T, device=inputs.device) if lengths is None else lengths.to(inputs.device, torch.int64)
    parts = Segments(reset, lengths)
    steps = parts.steps()
    carried = _by_direction(layer, parts.continues, parts.closes)[..., None]
    part_context = None if context is None else context[parts.row]
    fresh = layer.initial_state(len(parts.row), part_context)
    part_state = tuple(torch.where(carried, s[:, parts.row], f) for s, f in zip(state, fresh, strict=True))
    part_inputs = inputs[parts.row[:, None], steps.clamp(max=T - 1)]
    part_outputs, part_state = layer.forward(part_inputs, part_state, parts.length, context=part_context)

    valid = valid_mask(parts.length, steps.shape[1])
    places = (parts.row[:, None] * T + steps)[valid]
    outputs = part_outputs.new_zeros(B * T, part_outputs.shape[-1]).index_copy(0, places, part_outputs[valid])
    ends = _by_direction(layer, parts.closes.nonzero()[:, 0], parts.opens.nonzero()[:, 0])[..., None]
    return outputs.view(B, T, -1), tuple(s.take_along_dim(ends, 1) for s in part_state)


def _by_direction(layer: Layer, forward: Tensor, backward: Tensor) -> Tensor:
    """Stacks what holds for each direction as a state is stacked, (num_layers * num_directions, ...)."""
    return torch.stack([forward, backward][: layer.num_directions]).repeat(layer.num_layers, 1)

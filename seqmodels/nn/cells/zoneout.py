"""Zoneout around any gated cell."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.wrapper import CellWrapper, bernoulli, check_probability
from seqmodels.nn.state import State


class ZoneoutCell(CellWrapper):
    """Zoneout (Krueger et al., 2017, arXiv:1606.01305): at random, a unit of the state stays as it was.

        s = d * s_old + (1 - d) * s_new,    d ~ Bernoulli(probability) while training, d = probability in evaluation

    for each tensor s of the state of the cell inside. Every unit of every row and step is drawn by itself.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        cell: Makes the cell inside: a `GatedCell` class, or a `functools.partial` of one.
        probability: That a unit stays: one for all tensors of the state, or one for each. The paper gives an LSTM
            0.05 for h and 0.5 for c.

    Raises:
        ValueError: A probability is not in [0, 1), there are too many or too few, or the cell does not fit.

    Example:
        >>> from seqmodels.nn import LSTMCell
        >>> cell = ZoneoutCell(3, 5, LSTMCell, probability=[0.05, 0.5])
        >>> output, (h, c) = cell(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        cell: Callable[..., Cell],
        probability: float | Sequence[float] = 0.1,
    ) -> None:
        super().__init__(input_size, hidden_size, cell)
        probabilities = [probability] * self.num_states if isinstance(probability, int | float) else [*probability]
        if len(probabilities) != self.num_states:
            raise ValueError(f"probability: expected one or {self.num_states}, got {len(probabilities)}")
        for value in probabilities:
            check_probability(value)
        self.probabilities = tuple(probabilities)

    def draw(self, inputs: Tensor) -> Tensor | None:
        """Draws which units stay; see `GatedCell.draw`."""
        inside = super().draw(inputs)
        if not self.training:
            return inside
        shape = (*inputs.shape[:-1], self.hidden_size)
        stays = [bernoulli(value, shape, inputs) for value in self.probabilities]
        return torch.cat(stays if inside is None else [inside, *stays], -1)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        if not self.training:
            output, new_state = super().update(projected, recurrent, state)
            kept = zip(self.probabilities, state, new_state, strict=True)
            zoned = tuple(p * old + (1 - p) * new for p, old, new in kept)
        else:
            width = self.num_states * self.hidden_size
            projected, stays = projected.split([projected.shape[-1] - width, width], -1)
            output, new_state = super().update(projected, recurrent, state)
            drawn = zip(stays.chunk(self.num_states, -1), state, new_state, strict=True)
            zoned = tuple(torch.where(stay > 0, old, new) for stay, old, new in drawn)
        return zoned[0] if output is new_state[0] else output, zoned

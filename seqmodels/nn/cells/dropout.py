"""Dropout in the recurrence of any gated cell."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.gated import Weights
from seqmodels.nn.cells.wrapper import CellWrapper, check_probability
from seqmodels.nn.state import State


class RecurrentDropoutCell(CellWrapper):
    """Recurrent dropout (Gal and Ghahramani, 2016, arXiv:1512.05287): the recurrent product reads h with units dropped.

        recurrent = W_hh (h * d) + b_hh,    d ~ Bernoulli(1 - probability) / (1 - probability), the same at all steps

    Each row has a mask of its own, drawn anew at each call over a sequence. Only the product reads the masked h: what
    the cell does with h otherwise is as it was. The state is `(h * d, *rest, h)`, for the engine multiplies its first
    tensor; in evaluation d is 1. The state that one call hands to the next was masked by the first.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        cell: Makes the cell inside: a `GatedCell` class, or a `functools.partial` of one.
        probability: That a unit is dropped.

    Raises:
        ValueError: The probability is not in [0, 1), or the cell does not fit.

    Example:
        >>> from seqmodels.nn import GRUCell
        >>> output, (masked, h) = RecurrentDropoutCell(3, 50, GRUCell, probability=0.5)(torch.randn(2, 3))
        >>> bool((masked == 0).any()), bool((h == 0).any())
        (True, False)
    """

    def __init__(self, input_size: int, hidden_size: int, cell: Callable[..., Cell], probability: float = 0.25) -> None:
        super().__init__(input_size, hidden_size, cell)
        check_probability(probability)
        self.probability = probability
        self.num_free = self.num_states if self.num_free is None else self.num_free
        self.num_states += 1

    def initial_state(self, batch_size: int) -> State:
        """Gives the state before the first step, masked by nothing; see `Cell.initial_state`."""
        h, *rest = super().initial_state(batch_size)
        return h, *rest, h

    def draw(self, inputs: Tensor) -> Tensor | None:
        """Draws each row's mask; see `GatedCell.draw`."""
        inside = super().draw(inputs)
        if not self.training:
            return inside
        mask = F.dropout(inputs.new_ones(inputs.shape[-2], self.hidden_size), self.probability)
        mask = mask.expand(*inputs.shape[:-1], -1)
        return mask if inside is None else torch.cat([inside, mask], -1)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, *rest, h = state
        if not self.training:
            output, (h, *rest) = super().update(projected, recurrent, (h, *rest))
            return output, (h, *rest, h)
        projected, mask = projected.split([projected.shape[-1] - self.hidden_size, self.hidden_size], -1)
        output, (h, *rest) = super().update(projected, recurrent, (h, *rest))
        return output, (h * mask, *rest, h)


class WeightDropCell(CellWrapper):
    """Weight drop (Merity et al., 2018, arXiv:1708.02182): DropConnect on the recurrent weights.

        W_hh = W_hh * D,    D ~ Bernoulli(1 - probability) / (1 - probability), the same at all steps and in all rows

    D is drawn anew at each call over a sequence; evaluation takes the weights as they are.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        cell: Makes the cell inside: a `GatedCell` class, or a `functools.partial` of one.
        probability: That a weight is dropped.

    Raises:
        ValueError: The probability is not in [0, 1), or the cell does not fit.

    Example:
        >>> from seqmodels.nn import LSTMCell
        >>> cell = WeightDropCell(3, 50, LSTMCell, probability=0.5)
        >>> share = (cell.weights().weight_hh == 0).float().mean()
        >>> bool(0.4 < share < 0.6)
        True
    """

    def __init__(self, input_size: int, hidden_size: int, cell: Callable[..., Cell], probability: float = 0.5) -> None:
        super().__init__(input_size, hidden_size, cell)
        check_probability(probability)
        self.probability = probability

    def weights(self) -> Weights:
        """Gives the weights for one call over a sequence; see `GatedCell.weights`."""
        weights = super().weights()
        return weights._replace(weight_hh=F.dropout(weights.weight_hh, self.probability, self.training))

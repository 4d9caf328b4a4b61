"""Weight normalisation of any gated cell's recurrence."""

from collections.abc import Callable

import torch
from torch import nn

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.gated import Weights
from seqmodels.nn.cells.wrapper import CellWrapper


class WeightNormCell(CellWrapper):
    """Weight normalisation (Salimans and Kingma, 2016, arXiv:1602.07868) of the recurrent weights, row by row.

        W_hh = gain * V / |V|

    where V is the parameter of the cell inside, and |V| the norm of each of its rows. The gain starts at |V|, so that
    W_hh starts as the cell inside would. `torch.nn.utils.parametrizations.weight_norm` on a cell does the same.

    Attributes:
        gain: (rows of W_hh,).

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        cell: Makes the cell inside: a `GatedCell` class, or a `functools.partial` of one.

    Raises:
        ValueError: The cell does not fit.

    Example:
        >>> from seqmodels.nn import LSTMCell
        >>> cell = WeightNormCell(3, 5, LSTMCell)
        >>> bool(torch.allclose(cell.weights().weight_hh, cell.cell.weight_hh))
        True
    """

    def __init__(self, input_size: int, hidden_size: int, cell: Callable[..., Cell]) -> None:
        super().__init__(input_size, hidden_size, cell)
        self.gain = nn.Parameter(torch.empty(len(self.cell.weights().weight_hh)))
        self._match_gain()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        self._match_gain()

    @torch.no_grad()
    def _match_gain(self) -> None:
        self.gain.copy_(super().weights().weight_hh.norm(dim=1))

    def weights(self) -> Weights:
        """Gives the weights for one call over a sequence; see `GatedCell.weights`."""
        weights = super().weights()
        direction = weights.weight_hh / weights.weight_hh.norm(dim=1, keepdim=True)
        return weights._replace(weight_hh=self.gain[:, None] * direction)

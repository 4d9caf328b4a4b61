"""Units that each remember by themselves."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.activations import activate, check_activation
from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.state import State


class IndRNNCell(Cell):
    """Independently recurrent network (Li et al., 2018, arXiv:1803.04831): a unit reads of the state only itself.

        h = activation(W_ih x + b_ih + w_hh * h)

    Attributes:
        weight_ih: (hidden_size, input_size), Glorot uniform.
        weight_hh: w_hh, (hidden_size,), uniform from 0 to 1.
        bias_ih: (hidden_size,), zero; None without bias.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        activation: "relu" as in the paper, "tanh", "sigmoid" or "identity".
        bias: Whether there is a bias.

    Raises:
        ValueError: The activation is unknown, or a size is below 1.

    Example:
        >>> cell = IndRNNCell(3, 5)
        >>> output, (h,) = cell(torch.randn(2, 3))
        >>> cell.weight_hh.shape
        torch.Size([5])
    """

    def __init__(self, input_size: int, hidden_size: int, activation: str = "relu", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        check_activation(activation)
        self.activation = activation
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(hidden_size)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        nn.init.xavier_uniform_(self.weight_ih)
        nn.init.uniform_(self.weight_hh)
        if self.bias_ih is not None:
            nn.init.zeros_(self.bias_ih)

    def project(self, inputs: Tensor) -> Tensor:
        """Gives `W_ih x + b_ih` for any number of steps at once; see `Cell.project`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`."""
        (h,) = state
        h = activate(self.activation, projected + self.weight_hh * h)
        return h, (h,)

"""Units that run at different clock rates."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seqmodels.nn.cells.activations import activate, check_activation
from seqmodels.nn.cells.gated import GatedCell, Weights
from seqmodels.nn.state import State


class ClockworkCell(GatedCell):
    """Clockwork RNN (Koutník et al., 2014, arXiv:1402.3511): modules of units, each with a period of its own.

        h_t = activation(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)    for the modules whose period divides t
        h_t = h_{t-1}                                              for the others

    A module reads modules of its own period or a longer one, never a faster one. Steps are counted from 0, where all
    modules are due. The state is `(h, wait)`: `wait` counts down, for each unit, the steps until it is due, so that a
    state carried on keeps time.

    Attributes:
        period: Of each unit, (hidden_size,).
        connected: Which unit (row) reads which (column), (hidden_size, hidden_size), ones and zeros.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state.
        periods: Of the modules, into which the units are divided as evenly as can be.
        activation: "tanh", "relu", "sigmoid" or "identity".
        bias: Whether the products have biases.

    Raises:
        ValueError: There is no period or one below 1, the activation is unknown, or a size is below 1.

    Example:
        >>> cell = ClockworkCell(3, 4, periods=[1, 8])
        >>> cell.period
        tensor([1., 1., 8., 8.])
        >>> output, (h, wait) = cell(torch.randn(1, 3))
        >>> wait
        tensor([[0., 0., 7., 7.]])
    """

    num_gates = 1
    num_states = 2
    num_free = 1
    period: Tensor
    connected: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: Sequence[int] = (1, 2, 4, 8),
        activation: str = "tanh",
        bias: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        check_activation(activation)
        if not periods or min(periods) < 1:
            raise ValueError(f"periods: expected integers of at least 1, got {list(periods)}")
        self.activation = activation
        module = torch.arange(hidden_size) * len(periods) // hidden_size
        period = torch.tensor(periods)[module]
        self.register_buffer("period", period.to(self.weight_hh.dtype), persistent=False)
        connected = (period[None, :] >= period[:, None]).to(self.weight_hh.dtype)
        self.register_buffer("connected", connected, persistent=False)

    def weights(self) -> Weights:
        """Gives the weights, without what a slower unit would read of a faster one; see `GatedCell.weights`."""
        return super().weights()._replace(weight_hh=self.weight_hh * self.connected)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        h, wait = state
        due = wait < 0.5
        h = torch.where(due, activate(self.activation, projected + recurrent), h)
        wait = torch.where(due, self.period, wait) - 1
        return h, (h, wait)

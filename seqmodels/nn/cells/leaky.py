"""Leaky integrator units."""

import math

import torch
from torch import Tensor, nn

from seqmodels.nn.cells.activations import activate, check_activation
from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.state import State


class LeakyCell(GatedCell):
    """Leaky integrator units (Jaeger et al., 2007, "Optimization and applications of echo state networks").

        h = (1 - leak) * h + leak * activation(W_ih x + b_ih + W_hh h + b_hh)

    A leak of 1 gives an `ElmanCell`. A learned leak is one number a unit, kept between 0 and 1 by a sigmoid.

    Attributes:
        leak_logit: (hidden_size,) where the leak is learned; None otherwise.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        leak: How much of a unit is new at each step; where learned, at the start.
        learned: Whether the leak is a parameter.
        activation: "tanh", "relu", "sigmoid" or "identity".
        bias: Whether the products have biases.

    Raises:
        ValueError: The leak is out of range, the activation is unknown, or a size is below 1.

    Example:
        >>> cell = LeakyCell(3, 5, leak=0.25, learned=True)
        >>> torch.sigmoid(cell.leak_logit.detach())
        tensor([0.2500, 0.2500, 0.2500, 0.2500, 0.2500])
    """

    num_gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        leak: float = 0.5,
        learned: bool = False,
        activation: str = "tanh",
        bias: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        check_activation(activation)
        if not 0 < leak <= 1:
            raise ValueError(f"leak: expected a number above 0 and up to 1, got {leak}")
        if learned and leak == 1:
            raise ValueError("leak: expected a number between 0 and 1 where it is learned, got 1")
        self.activation, self.leak = activation, leak
        self.leak_logit = nn.Parameter(torch.empty(hidden_size)) if learned else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        leak_logit = self._parameters.get("leak_logit")  # none yet, while the base class is made
        if leak_logit is not None:
            nn.init.constant_(leak_logit, math.log(self.leak / (1 - self.leak)))

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        (h,) = state
        leak = self.leak if self.leak_logit is None else torch.sigmoid(self.leak_logit)
        h = (1 - leak) * h + leak * activate(self.activation, projected + recurrent)
        return h, (h,)

"""Skip connections through time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.activations import activate, check_activation
from seqmodels.nn.cells.gated import GatedCell, Weights
from seqmodels.nn.state import State


class SkipCell(GatedCell):
    """Skip connections through time (Zhang et al., 2016, arXiv:1602.08210).

        h_t = activation(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh + W_sh h_{t-skip})

    The shortened path was first taken by Lin et al. (1996, "Learning long-term dependencies in NARX recurrent neural
    networks"). Both recurrent products are one: W_sh h is taken as soon as h is there, and waits in the state for its
    step. So the state is `(h_{t-1}, W_sh h_{t-2}, ..., W_sh h_{t-skip})`.

    Attributes:
        weight_sh: (hidden_size, hidden_size), orthogonal; zero makes the cell an `ElmanCell`.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each of the `skip` tensors of the state.
        skip: Steps that the longer connection spans, at least 2.
        activation: "tanh", "relu", "sigmoid" or "identity".
        bias: Whether the products have biases.

    Raises:
        ValueError: `skip` is below 2, the activation is unknown, or a size is below 1.

    Example:
        >>> output, state = SkipCell(3, 5, skip=4)(torch.randn(2, 3))
        >>> output.shape, len(state)
        (torch.Size([2, 5]), 4)
    """

    def __init__(
        self, input_size: int, hidden_size: int, skip: int = 4, activation: str = "tanh", bias: bool = True
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.num_gates = 2  # of the recurrent product; W_sh reads no input
        check_activation(activation)
        if skip < 2:
            raise ValueError(f"skip: expected an integer of at least 2, got {skip}")
        self.skip, self.activation, self.num_states = skip, activation, skip
        self.weight_sh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        if "weight_sh" in self._parameters:  # not yet, while the base class is made
            nn.init.orthogonal_(self.weight_sh)

    def weights(self) -> Weights:
        """Gives W_hh above W_sh as one; see `GatedCell.weights`."""
        weight_hh = torch.cat([self.weight_hh, self.weight_sh])
        bias_hh = None if self.bias_hh is None else F.pad(self.bias_hh, (0, self.hidden_size))
        return Weights(self.weight_ih, weight_hh, self.bias_ih, bias_hh)

    def project(self, inputs: Tensor) -> Tensor:
        """Gives `W_ih x + b_ih`, one block, for any number of steps at once; see `GatedCell.project`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, *waiting = state
        near, far = recurrent.chunk(2, -1)
        h = activate(self.activation, projected + near + waiting[-1])
        return h, (h, far, *waiting[:-1])

"""Long short-term memory that writes where it forgets."""

import torch
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.state import State


class CoupledLSTMCell(GatedCell):
    """LSTM with coupled input and forget gate (Greff et al., 2017, arXiv:1503.04069, there CIFG).

        f, g, o = W_ih x + b_ih + W_hh h + b_hh
        c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
        h = sigmoid(o) * tanh(c)

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state `(h, c)`.
        forget_bias: What the forget gate's two biases add up to at the start.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> output, (h, c) = CoupledLSTMCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 3
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0, bias: bool = True) -> None:
        self.forget_bias = forget_bias  # first, because the base class draws the parameters
        super().__init__(input_size, hidden_size, bias)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        if self.bias_ih is not None:
            nn.init.constant_(self.bias_ih.chunk(3)[0], self.forget_bias)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, c = state
        f, g, o = (projected + recurrent).chunk(3, -1)
        f = torch.sigmoid(f)
        c = f * c + (1 - f) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

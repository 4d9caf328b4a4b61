"""Long short-term memory whose recurrence depends on the input."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.cells.initialization import set_forget_bias
from seqmodels.nn.state import State


class MultiplicativeLSTMCell(GatedCell):
    """Multiplicative LSTM (Krause et al., 2016, arXiv:1609.07959).

        m = (W_im x) * (W_mh h)
        i, f, g, o = W_ih x + b_ih + W_hh m + b_hh
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    Not the mLSTM of xLSTM, whose memory is a matrix.

    Attributes:
        weight_im: (hidden_size, input_size).
        weight_mh: (hidden_size, hidden_size).

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state `(h, c)`.
        forget_bias: What the forget gate's two biases add up to at the start.
        bias: Whether the gates have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> output, (h, c) = MultiplicativeLSTMCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0, bias: bool = True) -> None:
        self.forget_bias = forget_bias  # first, because the base class draws the parameters
        super().__init__(input_size, hidden_size, bias)
        self.weight_im = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_mh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        set_forget_bias(self.bias_ih, self.forget_bias)
        if "weight_mh" in self._parameters:  # not yet, while the base class is made
            nn.init.xavier_uniform_(self.weight_im)
            nn.init.orthogonal_(self.weight_mh)

    def project(self, inputs: Tensor) -> Tensor:
        """Gives `W_ih x + b_ih` and `W_im x` for any number of steps at once; see `GatedCell.project`."""
        return torch.cat([super().project(inputs), F.linear(inputs, self.weight_im)], -1)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`. The product with m needs the wide contract."""
        h, c = state
        gates, m = projected.split([4 * self.hidden_size, self.hidden_size], -1)
        m = m * F.linear(h, self.weight_mh)
        i, f, g, o = (gates + F.linear(m, self.weight_hh, self.bias_hh)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

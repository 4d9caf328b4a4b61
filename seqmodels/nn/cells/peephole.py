"""Long short-term memory whose gates see the memory."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.cells.initialization import set_forget_bias
from seqmodels.nn.state import State


class PeepholeLSTMCell(GatedCell):
    """LSTM with diagonal peepholes (Gers, Schraudolph and Schmidhuber, 2002, "Learning Precise Timing").

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
        c' = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * tanh(g)
        h = sigmoid(o + p_o * c') * tanh(c')

    The peepholes start at zero, where the cell is an `LSTMCell`.

    Attributes:
        peephole: p_i, p_f and p_o in one, (3 * hidden_size,).

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state `(h, c)`.
        forget_bias: What the forget gate's two biases add up to at the start.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> cell = PeepholeLSTMCell(3, 5)
        >>> cell.peephole.shape
        torch.Size([15])
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0, bias: bool = True) -> None:
        self.forget_bias = forget_bias  # first, because the base class draws the parameters
        super().__init__(input_size, hidden_size, bias)
        self.peephole = nn.Parameter(torch.zeros(3 * hidden_size))

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        set_forget_bias(self.bias_ih, self.forget_bias)
        if "peephole" in self._parameters:  # not yet, while the base class is made
            nn.init.zeros_(self.peephole)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        p_i, p_f, p_o = self.peephole.chunk(3, -1)
        i = torch.sigmoid(i + p_i * c)
        f = torch.sigmoid(f + p_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        return h, (h, c)


class FullPeepholeLSTMCell(GatedCell):
    """LSTM that feeds the memory to every gate through full matrices (Olah, 2015, "Understanding LSTM Networks").

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
        c' = sigmoid(f + W_cf c) * c + sigmoid(i + W_ci c) * tanh(g)
        h = sigmoid(o + W_co c') * tanh(c')

    With diagonal matrices it is a `PeepholeLSTMCell`.

    Attributes:
        weight_ch: W_ci, W_cf and W_co in one, (3 * hidden_size, hidden_size).

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state `(h, c)`.
        forget_bias: What the forget gate's two biases add up to at the start.
        bias: Whether the products of the inputs and of h have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> cell = FullPeepholeLSTMCell(3, 5)
        >>> cell.weight_ch.shape
        torch.Size([15, 5])
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0, bias: bool = True) -> None:
        self.forget_bias = forget_bias  # first, because the base class draws the parameters
        super().__init__(input_size, hidden_size, bias)
        self.weight_ch = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        set_forget_bias(self.bias_ih, self.forget_bias)
        if "weight_ch" in self._parameters:  # not yet, while the base class is made
            for matrix in self.weight_ch.chunk(3):
                nn.init.xavier_uniform_(matrix)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`. The product with the new memory needs the wide contract."""
        h, c = state
        i, f, g, o = (projected + F.linear(h, self.weight_hh, self.bias_hh)).chunk(4, -1)
        weight_old, weight_new = self.weight_ch.split([2 * self.hidden_size, self.hidden_size])
        i_c, f_c = F.linear(c, weight_old).chunk(2, -1)
        c = torch.sigmoid(f + f_c) * c + torch.sigmoid(i + i_c) * torch.tanh(g)
        h = torch.sigmoid(o + F.linear(c, weight_new)) * torch.tanh(c)
        return h, (h, c)

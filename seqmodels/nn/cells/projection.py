"""Long short-term memory with a projection of its output."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.state import State


class ProjectedLSTMCell(GatedCell):
    """LSTM with recurrent projection (Sak, Senior and Beaufays, 2014, arXiv:1402.1128).

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh          each expansion * hidden_size wide
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = W_hr (sigmoid(o) * tanh(c))

    `hidden_size` is the projected size, that of h and of the output. The memory is `expansion` times as wide, and lies
    in the state as that many tensors. The weights are those of `torch.nn.LSTM(input_size, expansion * hidden_size,
    proj_size=hidden_size)`.

    Attributes:
        weight_hr: (hidden_size, expansion * hidden_size).

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state `(h, c_1, ..., c_expansion)`.
        expansion: How many times wider than the output the memory is.
        forget_bias: What the forget gate's two biases add up to at the start.
        bias: Whether the products of the inputs and of h have biases.

    Raises:
        ValueError: `expansion` or a size is below 1.

    Example:
        >>> cell = ProjectedLSTMCell(3, 5, expansion=4)
        >>> output, state = cell(torch.randn(2, 3))
        >>> output.shape, len(state), cell.weight_hr.shape
        (torch.Size([2, 5]), 5, torch.Size([5, 20]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, expansion: int = 2, forget_bias: float = 1.0, bias: bool = True
    ) -> None:
        if expansion < 1:
            raise ValueError(f"expansion: expected an integer of at least 1, got {expansion}")
        # All first, because the base class makes and draws the parameters.
        self.expansion, self.forget_bias = expansion, forget_bias
        self.num_gates, self.num_states = 4 * expansion, 1 + expansion
        super().__init__(input_size, hidden_size, bias)
        self.weight_hr = nn.Parameter(torch.empty(hidden_size, expansion * hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        if self.bias_ih is not None:
            nn.init.constant_(self.bias_ih.chunk(4)[1], self.forget_bias)
        if "weight_hr" in self._parameters:  # not yet, while the base class is made
            nn.init.orthogonal_(self.weight_hr)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`. The projection needs the wide contract."""
        h, *memory = state
        c = torch.cat(memory, -1)
        i, f, g, o = (projected + F.linear(h, self.weight_hh, self.bias_hh)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = F.linear(torch.sigmoid(o) * torch.tanh(c), self.weight_hr)
        return h, (h, *c.chunk(self.expansion, -1))

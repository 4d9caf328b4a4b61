"""The scalar memory of xLSTM."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.state import State


class SLSTMCell(GatedCell):
    """sLSTM with exponential gates (Beck et al., 2024, arXiv:2405.04517), one head.

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
        log_f = log(sigmoid(f)), or f itself where the forget gate is exponential
        m' = max(log_f + m, i)
        c = exp(log_f + m - m') * c + exp(i - m') * tanh(g)
        n = exp(log_f + m - m') * n + exp(i - m')
        h = sigmoid(o) * c / n

    m keeps the exponentials within range; it scales c and n alike and so leaves h as it is. It starts far below any
    gate, so that the first step gives n = 1 whatever the gates are, and n never falls below that.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of all tensors of the state `(h, c, n, m)`.
        forget_gate: "sigmoid" or "exp".
        forget_bias: What the forget gate's two biases add up to at the start.
        bias: Whether the products have biases.

    Raises:
        ValueError: The forget gate is unknown, or a size is below 1.

    Example:
        >>> output, (h, c, n, m) = SLSTMCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 4
    num_states = 4
    num_free = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_gate: str = "sigmoid",
        forget_bias: float = 1.0,
        bias: bool = True,
    ) -> None:
        if forget_gate not in ("sigmoid", "exp"):
            raise ValueError(f"forget_gate: expected one of sigmoid, exp, got {forget_gate!r}")
        self.forget_gate, self.forget_bias = forget_gate, forget_bias  # first, as the base class draws the parameters
        super().__init__(input_size, hidden_size, bias)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        if self.bias_ih is not None:
            nn.init.constant_(self.bias_ih.chunk(4)[1], self.forget_bias)

    def initial_state(self, batch_size: int) -> State:
        """Gives the state before the first step; see `Cell.initial_state`."""
        *zeros, m = super().initial_state(batch_size)
        return *zeros, m - 1e4

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, c, n, m = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        kept = (F.logsigmoid(f) if self.forget_gate == "sigmoid" else f) + m
        m = torch.maximum(kept, i)
        f, i = torch.exp(kept - m), torch.exp(i - m)
        c = f * c + i * torch.tanh(g)
        n = f * n + i
        h = torch.sigmoid(o) * c / n
        return h, (h, c, n, m)

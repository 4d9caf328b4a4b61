"""Gated cells with layer normalisation (Ba, Kiros and Hinton, 2016, arXiv:1607.06450).

    LN(v; gain, shift) = gain * (v - mean(v)) / sqrt(var(v) + eps) + shift

where mean and variance are taken over the features of one row. The products have no biases, for the shifts take their
place; where two shifts would only be added, one is kept.
"""

import torch
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.cells.initialization import set_forget_bias
from seqmodels.nn.state import State


class LayerNormLSTMCell(GatedCell):
    """LSTM with layer normalisation, equations 20 to 22 of Ba et al. (2016, arXiv:1607.06450).

        i, f, g, o = LN_ih(W_ih x) + LN_hh(W_hh h)          each over all four gates together
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(LN_c(c))

    The state keeps c as it is; only what h reads of it is normalised. LN_hh has no shift, for LN_ih's does its work.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state `(h, c)`.
        forget_bias: The shift of the forget gate at the start.
        eps: What is added to the variance.

    Raises:
        ValueError: A size is below 1, or `eps` is not above 0.

    Example:
        >>> cell = LayerNormLSTMCell(3, 5)
        >>> output, (h, c) = cell(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0, eps: float = 1e-5) -> None:
        _check_eps(eps)
        super().__init__(input_size, hidden_size, bias=False)
        self.forget_bias = forget_bias
        self.norm_ih = nn.LayerNorm(4 * hidden_size, eps)
        self.norm_hh = nn.LayerNorm(4 * hidden_size, eps, bias=False)
        self.norm_c = nn.LayerNorm(hidden_size, eps)
        set_forget_bias(self.norm_ih.bias, forget_bias)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        _reset_norms(self)
        if "norm_ih" in self._modules:  # not yet, while the base class is made
            set_forget_bias(self.norm_ih.bias, self.forget_bias)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, c = state
        i, f, g, o = (self.norm_ih(projected) + self.norm_hh(recurrent)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(self.norm_c(c))
        return h, (h, c)


class LayerNormGRUCell(GatedCell):
    """GRU with layer normalisation, as in the supplement of Ba et al. (2016, arXiv:1607.06450).

        r, z = sigmoid(LN_ih(W_ih x) + LN_hh(W_hh h))       each over both gates together
        n = tanh(LN_in(W_in x) + r * LN_hn(W_hn h))
        h = (1 - z) * n + z * h

    LN_hh has no shift, for LN_ih's does its work. The paper's z is 1 - z here, as in `GRUCell`.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        eps: What is added to the variance.

    Raises:
        ValueError: A size is below 1, or `eps` is not above 0.

    Example:
        >>> output, (h,) = LayerNormGRUCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 3

    def __init__(self, input_size: int, hidden_size: int, eps: float = 1e-5) -> None:
        _check_eps(eps)
        super().__init__(input_size, hidden_size, bias=False)
        self.norm_ih = nn.LayerNorm(2 * hidden_size, eps)
        self.norm_hh = nn.LayerNorm(2 * hidden_size, eps, bias=False)
        self.norm_in = nn.LayerNorm(hidden_size, eps)
        self.norm_hn = nn.LayerNorm(hidden_size, eps)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        _reset_norms(self)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        (h,) = state
        sizes = [2 * self.hidden_size, self.hidden_size]
        gates_x, n_x = projected.split(sizes, -1)
        gates_h, n_h = recurrent.split(sizes, -1)
        r, z = torch.sigmoid(self.norm_ih(gates_x) + self.norm_hh(gates_h)).chunk(2, -1)
        n = torch.tanh(self.norm_in(n_x) + r * self.norm_hn(n_h))
        h = (1 - z) * n + z * h
        return h, (h,)


def _check_eps(eps: float) -> None:
    if not eps > 0:
        raise ValueError(f"eps: expected a number above 0, got {eps}")


def _reset_norms(cell: nn.Module) -> None:
    for norm in cell.children():
        assert isinstance(norm, nn.LayerNorm)
        norm.reset_parameters()

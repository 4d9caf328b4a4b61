"""Gated units whose gate acts on the state before the product, as they were first published."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.state import State


class ResetBeforeGRUCell(GatedCell):
    """Gated recurrent unit, reset before the product (Cho et al., 2014, arXiv:1406.1078, first version).

        r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)
        n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)
        h = (1 - z) * n + z * h

    Two products a step, one after the other; `GRUCell` resets after the product and needs one.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> output, (h,) = ResetBeforeGRUCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 3

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`. The product with the reset state needs the wide contract."""
        (h,) = state
        H = self.hidden_size
        gates_x, n_x = projected.split([2 * H, H], -1)
        bias_gates, bias_n = (None, None) if self.bias_hh is None else (self.bias_hh[: 2 * H], self.bias_hh[2 * H :])
        gates = torch.sigmoid(gates_x + F.linear(h, self.weight_hh[: 2 * H], bias_gates))
        r, z = gates.chunk(2, -1)
        n = torch.tanh(n_x + F.linear(r * h, self.weight_hh[2 * H :], bias_n))
        h = (1 - z) * n + z * h
        return h, (h,)


class MGUCell(GatedCell):
    """Minimal gated unit (Zhou et al., 2016, arXiv:1603.09420): one gate both forgets and resets.

        f = sigmoid(W_if x + b_if + W_hf h + b_hf)
        n = tanh(W_in x + b_in + W_hn (f * h) + b_hn)
        h = (1 - f) * h + f * n

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> output, (h,) = MGUCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 2

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`. The product with the gated state needs the wide contract."""
        (h,) = state
        f_x, n_x = projected.chunk(2, -1)
        weight_f, weight_n = self.weight_hh.chunk(2)
        bias_f, bias_n = (None, None) if self.bias_hh is None else self.bias_hh.chunk(2)
        f = torch.sigmoid(f_x + F.linear(h, weight_f, bias_f))
        n = torch.tanh(n_x + F.linear(f * h, weight_n, bias_n))
        h = (1 - f) * h + f * n
        return h, (h,)

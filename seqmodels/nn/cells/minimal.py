"""Gated units stripped until a scan can train them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqmodels.nn.cells.linear import LinearCell


class MinGRUCell(LinearCell):
    """minGRU (Feng et al., 2024, arXiv:2410.01201).

        z, n = W_ih x + b_ih
        h = (1 - sigmoid(z)) * h + sigmoid(z) * n

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        positive: Whether n is replaced by g(n), n + 0.5 where it is above 0 and sigmoid(n) elsewhere. The paper needs
            it to compute in logarithms; the scan here does not.
        bias: Whether the product has a bias.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> output, (h,) = MinGRUCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 2

    def __init__(self, input_size: int, hidden_size: int, positive: bool = False, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.positive = positive

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Computes decay and drive; see `LinearCell.coefficients`."""
        z, n = projected.chunk(2, -1)
        return torch.sigmoid(-z), torch.sigmoid(z) * (_positive(n) if self.positive else n)


class MinLSTMCell(LinearCell):
    """minLSTM with gates that add up to one (Feng et al., 2024, arXiv:2410.01201).

        f, i, n = W_ih x + b_ih
        h = sigmoid(f) / (sigmoid(f) + sigmoid(i)) * h + sigmoid(i) / (sigmoid(f) + sigmoid(i)) * n

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        positive: Whether n is replaced by g(n); see `MinGRUCell`.
        bias: Whether the product has a bias.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> output, (h,) = MinLSTMCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 3

    def __init__(self, input_size: int, hidden_size: int, positive: bool = False, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.positive = positive

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Computes decay and drive; see `LinearCell.coefficients`."""
        f, i, n = projected.chunk(3, -1)
        odds = F.logsigmoid(f) - F.logsigmoid(i)  # the quotients in logarithms, where gates near 0 divide nothing by 0
        return torch.sigmoid(odds), torch.sigmoid(-odds) * (_positive(n) if self.positive else n)


def _positive(n: Tensor) -> Tensor:
    return torch.where(n >= 0, n + 0.5, torch.sigmoid(n))

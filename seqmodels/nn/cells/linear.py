"""The third contract: recurrences that are linear in the state, which a scan runs over all steps at once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.state import State


class LinearCell(Cell):
    """A cell of the form `h = decay * h + drive`, where neither sees the state. Subclass it, give `coefficients`.

    Such a recurrence can be scanned (Martin and Cundy, 2018, arXiv:1709.04057): the kernel `scan` has no step.

    Attributes:
        num_gates: Blocks of `hidden_size` rows in the weights; a subclass sets it.
        weight_ih: (num_gates * hidden_size, input_size), Glorot uniform in each gate.
        bias_ih: (num_gates * hidden_size,), zero; None without bias.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        bias: Whether the product has a bias.

    Raises:
        ValueError: A size is below 1.

    Example:
        A running mean with a rate that depends on the input:

        >>> class RunningMeanCell(LinearCell):
        ...     num_gates = 2
        ...
        ...     def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        ...         rate, value = projected.chunk(2, -1)
        ...         return 1 - torch.sigmoid(rate), torch.sigmoid(rate) * value
        >>> output, state = RunningMeanCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates: int = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        rows = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.bias_ih = nn.Parameter(torch.empty(rows)) if bias else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        for gate in self.weight_ih.chunk(self.num_gates):
            nn.init.xavier_uniform_(gate)
        if self.bias_ih is not None:
            nn.init.zeros_(self.bias_ih)

    def project(self, inputs: Tensor) -> Tensor:
        """Gives `W_ih x + b_ih` for any number of steps at once; see `Cell.project`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the recurrence of any number of steps.

        Args:
            projected: What `project` gave, (..., num_gates * hidden_size).

        Returns:
            decay and drive, each (..., hidden_size).
        """
        raise NotImplementedError(f"{type(self).__name__} must define coefficients(projected)")

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`."""
        (h,) = state
        decay, drive = self.coefficients(projected)
        h = decay * h + drive
        return h, (h,)

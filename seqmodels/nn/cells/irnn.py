"""The rectified network that starts as the identity."""

import torch
from torch import nn

from seqmodels.nn.cells.elman import ElmanCell


class IRNNCell(ElmanCell):
    """The IRNN of Le, Jaitly and Hinton (2015, arXiv:1504.00941): rectified, recurrence starting as the identity.

        h = relu(W_ih x + b_ih + W_hh h + b_hh),    W_hh = scale * I and biases 0 at the start

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        scale: Of the identity; the paper takes 1, and 0.01 where the data asks for a short memory.
        input_std: Standard deviation of the input weights at the start; the paper's 0.001.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1, or `input_std` is negative.

    Example:
        >>> cell = IRNNCell(3, 2)
        >>> cell.weight_hh.detach()
        tensor([[1., 0.],
                [0., 1.]])
    """

    def __init__(
        self, input_size: int, hidden_size: int, scale: float = 1.0, input_std: float = 0.001, bias: bool = True
    ) -> None:
        if input_std < 0:
            raise ValueError(f"input_std: expected a number of at least 0, got {input_std}")
        self.scale, self.input_std = scale, input_std  # first, because the base class draws the parameters
        super().__init__(input_size, hidden_size, "relu", bias)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        nn.init.normal_(self.weight_ih, std=self.input_std)
        nn.init.eye_(self.weight_hh).mul_(self.scale)

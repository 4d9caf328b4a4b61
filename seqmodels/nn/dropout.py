"""Dropout that holds its mask over time."""

import torch.nn.functional as F
from torch import Tensor, nn


def variational_dropout(inputs: Tensor, probability: float, training: bool, time_axis: int) -> Tensor:
    """Zeroes features at random, the same at every step, and scales the others up, as in `torch.nn.functional.dropout`.

    Args:
        inputs: Any shape.
        probability: Of zeroing a feature.
        training: Whether to do anything.
        time_axis: The axis over which the mask holds.

    Returns:
        The same shape.
    """
    if not training or probability == 0:
        return inputs
    shape = list(inputs.shape)
    shape[time_axis] = 1
    return inputs * F.dropout(inputs.new_ones(shape), probability)


class VariationalDropout(nn.Module):
    """Zeroes features of a sequence, the same at every step (Gal and Ghahramani, 2016, arXiv:1512.05287).

    Args:
        probability: Of zeroing a feature, while training.

    Raises:
        ValueError: The probability is out of range.

    Example:
        >>> import torch
        >>> outputs = VariationalDropout(0.5)(torch.ones(2, 7, 3))
        >>> bool((outputs == outputs[:, :1]).all())
        True
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"probability: expected a probability in [0, 1), got {probability}")
        self.probability = probability

    def forward(self, inputs: Tensor) -> Tensor:
        """Draws a mask for each row: (batch, time, features) to the same shape."""
        return variational_dropout(inputs, self.probability, self.training, time_axis=1)

    def extra_repr(self) -> str:
        """Shows the probability in `print(dropout)`."""
        return f"{self.probability}"

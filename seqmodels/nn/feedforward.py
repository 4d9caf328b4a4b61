"""The feed-forward layer that can stand between two recurrent ones."""

import torch
from torch import Tensor, nn

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


class FeedForward(nn.Module):
    """One feed-forward layer, `activation(W x + b)`, for `Stacking(between=...)` (Pascanu et al., 2014,
    "How to Construct Deep Recurrent Neural Networks", arXiv:1312.6026, for depth between recurrent layers).

    Args:
        input_size: Features of the inputs.
        output_size: Features of the outputs; as many as of the inputs if None.
        activation: "relu", "tanh" or "sigmoid".

    Raises:
        ValueError: The size is below 1, or the activation is unknown.

    Example:
        >>> FeedForward(3, output_size=5)(torch.randn(2, 7, 3)).shape
        torch.Size([2, 7, 5])
    """

    def __init__(self, input_size: int, output_size: int | None = None, activation: str = "relu") -> None:
        super().__init__()
        if output_size is not None and output_size < 1:
            raise ValueError(f"output_size: expected an integer of at least 1, got {output_size}")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation: expected one of {', '.join(_ACTIVATIONS)}, got {activation!r}")
        self.linear = nn.Linear(input_size, output_size or input_size)
        self.activation = activation

    def forward(self, inputs: Tensor) -> Tensor:
        """Gives (..., output_size) for (..., input_size)."""
        outputs: Tensor = _ACTIVATIONS[self.activation](self.linear(inputs))
        return outputs

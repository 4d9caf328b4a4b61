"""Front ends of vectors, such as the channels of a time series."""

from torch import Tensor, nn

from seqmodels.models.checks import check_sizes
from seqmodels.models.frontends.frontend import Frontend


class Identity(Frontend):
    """The vectors as they are: the recurrent layers' own input weights are linear already.

    Args:
        num_features: Features of each step.

    Raises:
        ValueError: The size is below 1.
    """

    def __init__(self, num_features: int):
        super().__init__()
        check_sizes(num_features=num_features)
        self.features = num_features

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the inputs `(..., num_features)`."""
        return inputs


class Linear(Frontend):
    """A learned linear map of each vector, to more or to fewer features.

    Args:
        num_features: Features of each step.
        size: Features that are made of them.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> import torch
        >>> Linear(num_features=12, size=32)(torch.randn(2, 7, 12)).shape
        torch.Size([2, 7, 32])
    """

    def __init__(self, num_features: int, size: int = 64):
        super().__init__()
        check_sizes(num_features=num_features, size=size)
        self.features = size
        self.map = nn.Linear(num_features, size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps `(..., num_features)` to `(..., size)`."""
        return self.map(inputs)

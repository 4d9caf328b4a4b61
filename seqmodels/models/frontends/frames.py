"""Front ends of frames of sound."""

from torch import Tensor
from torch.nn.functional import pad

from seqmodels.models.checks import check_sizes
from seqmodels.models.frontends.frontend import Frontend


class StackedFrames(Frontend):
    """Several frames side by side as one, so that there are fewer steps.

    After Sak et al. 2015, "Fast and accurate recurrent neural network acoustic models for speech recognition", section
    4. Frames that are left at the end, too few for another, are dropped, so that padding is never a part of one; only
    of a sequence that has too few for a single one are there some behind its end.

    Args:
        num_features: Features of a frame.
        factor: How many frames are one.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> import torch
        >>> frontend = StackedFrames(num_features=40, factor=3)
        >>> frontend(torch.randn(2, 98, 40)).shape, frontend.lengths(torch.tensor([98, 50]))
        (torch.Size([2, 32, 120]), tensor([32, 16]))
    """

    def __init__(self, num_features: int, factor: int = 3):
        super().__init__()
        check_sizes(num_features=num_features, factor=factor)
        self.factor = factor
        self.features = num_features * factor

    def forward(self, inputs: Tensor) -> Tensor:
        """Turns frames `(batch, steps, num_features)` into `(batch, steps // factor, features)`, at least one."""
        steps = inputs.shape[1] // self.factor * self.factor
        whole = inputs[:, :steps] if steps else pad(inputs, (0, 0, 0, self.factor - inputs.shape[1]))
        return whole.unflatten(1, (-1, self.factor)).flatten(2)

    def lengths(self, lengths: Tensor) -> Tensor:
        """Tells how many steps are made of so many frames `(batch,)`."""
        return (lengths // self.factor).clamp(min=1)

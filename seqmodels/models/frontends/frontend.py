"""What every front end gives."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Frontend(nn.Module, ABC):
    """Turns each step of the inputs into a vector; a subclass sets `features` and gives `forward`.

    Attributes:
        features: Size of the vectors.
    """

    features: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Turns `(..., *step)`, with whatever one step is made of, into `(..., features)`."""

    def lengths(self, lengths: Tensor) -> Tensor:
        """Tells how many vectors it makes of so many steps `(batch,)`; as many, unless a subclass says otherwise."""
        return lengths

"""Losses of numbers with one linear output each; a target that is NaN is not scored."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seqmodels.errors import UserError
from seqmodels.tasks.losses.loss import Loss, masked_sum


class PointLoss(Loss):
    """A loss of each number by itself; a subclass gives `of`."""

    kind: ClassVar[str] = "numbers"

    @abstractmethod
    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of each number."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the numbers that are scored."""
        scored = ~targets.isnan()
        return masked_sum(self.of(outputs, torch.where(scored, targets, 0).to(outputs.dtype)), scored)

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the numbers."""
        return {"value": outputs}

    def sample(self, outputs: Tensor) -> Tensor:
        """Returns the numbers: without a distribution there is nothing to draw."""
        return outputs


@dataclass(frozen=True)
class MSE(PointLoss):
    """Mean squared error.

    Example:
        >>> total, count = MSE()(torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, float("nan")]]))
        >>> float(total), int(count)
        (4.0, 1)
    """

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the squares of the differences."""
        return (outputs - targets).square()


@dataclass(frozen=True)
class MAE(PointLoss):
    """Mean absolute error."""

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the sizes of the differences."""
        return (outputs - targets).abs()


@dataclass(frozen=True)
class MSLE(PointLoss):
    """Mean squared logarithmic error, of numbers from 0 up: the square of `log(1 + prediction) - log(1 + target)`.

    The output stands for the first of the two logarithms, so that it may be any number.

    Example:
        >>> outputs = torch.tensor([[0.0]])
        >>> float(MSLE().describe(outputs)["value"]), float(MSLE()(outputs, torch.tensor([[0.0]]))[0])
        (0.0, 0.0)
    """

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the squares of the differences of the logarithms.

        Raises:
            UserError: For a target below 0.
        """
        if bool((targets < 0).any()):
            raise UserError(f"loss=msle: needs targets of at least 0, got {float(targets.min()):g}; fitting: loss=mse")
        return (outputs - targets.log1p()).square()

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the numbers that the logarithms stand for."""
        return {"value": outputs.clamp(min=0).expm1()}

    def sample(self, outputs: Tensor) -> Tensor:
        """Returns the same numbers."""
        return self.describe(outputs)["value"]

"""What every loss gives, and which losses fit which targets."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqmodels.errors import UserError

FITTING = {
    "classes": "cross_entropy, or binary_cross_entropy where there are two",
    "labels": "multi_label_cross_entropy",
    "distribution": "kl_divergence",
    "numbers": "mse, mae, msle, quantile, gaussian or student_t",
}
"""The losses of each kind of targets, by the names of their configuration."""


class Loss(ABC):
    """A head's outputs, a loss on them and the predictions that they stand for belong together.

    Attributes:
        kind: The targets it fits: "classes", "labels", "distribution" or "numbers".
    """

    kind: ClassVar[str]

    def fitted(self, targets: Mapping[str, Any]) -> "Loss":
        """Returns the loss for the targets of some data, with what it learns of them.

        Args:
            targets: The data's description of them, the "targets" of its spec.

        Raises:
            UserError: Where they are of another kind; with the losses that fit.
        """
        kind = targets["kind"]
        if kind != self.kind:
            raise UserError(
                f"loss._target_=seqmodels.tasks.{type(self).__name__}: fits {self.kind}, and the targets of these data "
                f"are {kind}; fitting: loss={FITTING[kind]}"
            )
        return self

    def output_size(self, num_targets: int) -> int:
        """Returns how many outputs a head needs.

        Args:
            num_targets: Classes, labels, or numbers that are predicted of each item.
        """
        return num_targets

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the summed loss and how many items it was summed over; what is not scored is left out.

        Args:
            outputs: Of the head `(..., output_size)`.
            targets: Classes `(...)`, anything else `(..., targets)`.
        """

    @abstractmethod
    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns what is predicted: "class" `(...)`, "probabilities" `(..., targets)`, "value" `(..., targets)`, ...

        Args:
            outputs: Of the head `(..., output_size)`.
        """


def mean_loss(total: Tensor, count: Tensor) -> Tensor:
    """Returns the mean of what a loss summed; 0 where nothing was scored.

    Args:
        total: The sum.
        count: How many items, or the sum of their weights, which may be below 1.
    """
    return total / torch.where(count > 0, count, torch.ones_like(count))


def num_targets(targets: Mapping[str, Any]) -> int:
    """Returns how many classes, labels or numbers a description of targets names."""
    return len(targets[{"labels": "labels", "numbers": "names"}.get(targets["kind"], "classes")])


def masked_sum(losses: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
    """Sums losses where they are scored, in single precision at least, and counts them."""
    losses = losses if losses.dtype == torch.float64 else losses.float()
    return losses.masked_fill(~scored, 0).sum(), scored.sum()

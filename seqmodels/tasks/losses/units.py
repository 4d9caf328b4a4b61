"""Losses of numbers in the units of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqmodels.tasks.losses.loss import Loss
from seqmodels.tasks.losses.numbers import MSLE

_SHIFTED = ("value", "quantiles")


@dataclass(frozen=True)
class InUnits(Loss):
    """A loss of numbers brought to mean 0 and variance 1, whose predictions are in the units of the data.

    So a model learns numbers in the thousands as easily as those about 1.

    Args:
        loss: The loss.
        center: What is taken from each number `(targets,)`.
        scale: What each is then divided by `(targets,)`.

    Example:
        >>> from seqmodels.tasks import MSE
        >>> loss = InUnits(MSE(), center=[1000.0], scale=[50.0])
        >>> outputs = torch.tensor([[2.0]])
        >>> float(loss(outputs, torch.tensor([[1100.0]]))[0]), loss.describe(outputs)["value"].tolist()
        (0.0, [[1100.0]])
    """

    kind: ClassVar[str] = "numbers"
    loss: Loss
    center: Sequence[float]
    scale: Sequence[float]

    @property
    def levels(self) -> Sequence[float]:
        """The levels of its quantiles, where it has any."""
        return getattr(self.loss, "levels", ())

    def output_size(self, num_targets: int) -> int:
        """Returns what the loss needs."""
        return self.loss.output_size(num_targets)

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the numbers that are scored, brought to mean 0 and variance 1."""
        return self.loss(outputs, (targets - targets.new_tensor(self.center)) / targets.new_tensor(self.scale))

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns what the loss describes, in the units of the data."""
        return {name: self._restored(name, tensor) for name, tensor in self.loss.describe(outputs).items()}

    def _restored(self, name: str, described: Tensor) -> Tensor:
        center, scale = described.new_tensor(self.center), described.new_tensor(self.scale)
        if name == "quantiles":
            center, scale = center[:, None], scale[:, None]
        return described * scale + (center if name in _SHIFTED else torch.zeros_like(center))


def in_units(loss: Loss, targets: Mapping[str, Any]) -> Loss:
    """Returns a loss in the units of the data, where these tell the deviations of their numbers.

    Args:
        loss: A loss that fits them. One of logarithms is left as it is: they make large numbers small.
        targets: The data's description of their targets.
    """
    if "deviations" not in targets or isinstance(loss, MSLE):
        return loss
    return InUnits(loss, targets["means"], targets["deviations"])

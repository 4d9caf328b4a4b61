"""Losses of classes and labels; their outputs are logits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from seqmodels.data import IGNORE_INDEX
from seqmodels.errors import UserError
from seqmodels.tasks.losses.loss import Loss, masked_sum


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of one of several classes, in nats, with a softmax over the outputs.

    Args:
        class_weights: A factor on the loss of each class; "balanced" gives rare classes more, in inverse proportion to
            their share of the training part, and nothing to one that it lacks. The mean is then over the weights.
        label_smoothing: Share of the target's probability that is spread over all classes (Szegedy et al. 2016).

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> total, count = CrossEntropy()(torch.zeros(3, 4), torch.tensor([0, 3, IGNORE_INDEX]))
        >>> round(float(total / count), 4), int(count)
        (1.3863, 2)
    """

    kind: ClassVar[str] = "classes"
    class_weights: list[float] | Literal["balanced"] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing={self.label_smoothing}: expected a share, 0 <= s < 1")
        if isinstance(self.class_weights, list) and any(weight < 0 for weight in self.class_weights):
            raise ValueError(f"class_weights={self.class_weights}: expected numbers of at least 0")

    def fitted(self, targets: Mapping[str, Any]) -> "CrossEntropy":
        """Returns the loss with a weight for each class of the data."""
        super().fitted(targets)
        classes = targets["classes"]
        if self.class_weights == "balanced":
            if "counts" not in targets:
                raise UserError("loss.class_weights=balanced: these data count no classes; give a list of weights")
            counts = targets["counts"]
            share = sum(counts) / sum(count > 0 for count in counts)
            return replace(self, class_weights=[share / count if count else 0.0 for count in counts])
        if self.class_weights is not None and len(self.class_weights) != len(classes):
            raise UserError(
                f"loss.class_weights: expected a weight for each of the {len(classes)} classes, "
                f"got {len(self.class_weights)}"
            )
        return self

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the items that are scored, each by its class's weight."""
        outputs, targets = outputs.flatten(0, -2), targets.flatten()
        outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
        weights = None if self.class_weights is None else outputs.new_tensor(self.class_weights)
        total = functional.cross_entropy(
            outputs,
            targets,
            weights,
            ignore_index=IGNORE_INDEX,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        scored = targets != IGNORE_INDEX
        return total, scored.sum() if weights is None else weights[targets[scored]].sum()

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the likeliest class and the probabilities of all."""
        return {"class": outputs.argmax(-1), "probabilities": outputs.float().softmax(-1)}


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of two classes, in nats, with one output: the logit of the second class.

    Args:
        positive_weight: Factor on the loss of the second class.

    Raises:
        ValueError: Where it is not above 0.

    Example:
        >>> BinaryCrossEntropy().describe(torch.tensor([[0.0], [2.0]]))["class"]
        tensor([0, 1])
    """

    kind: ClassVar[str] = "classes"
    positive_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.positive_weight <= 0:
            raise ValueError(f"positive_weight={self.positive_weight}: expected more than 0")

    def fitted(self, targets: Mapping[str, Any]) -> "BinaryCrossEntropy":
        """Returns the loss; refuses data of more than two classes."""
        super().fitted(targets)
        if len(targets["classes"]) != 2:
            raise UserError(
                "loss._target_=seqmodels.tasks.BinaryCrossEntropy: fits two classes, and these data have "
                f"{len(targets['classes'])}; fitting: loss=cross_entropy"
            )
        return self

    def output_size(self, num_targets: int) -> int:
        """Returns 1."""
        return 1

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the items that are scored."""
        scored = targets != IGNORE_INDEX
        losses = functional.binary_cross_entropy_with_logits(
            outputs.squeeze(-1),
            targets.clamp(min=0).to(outputs.dtype),
            pos_weight=outputs.new_tensor(self.positive_weight),
            reduction="none",
        )
        return masked_sum(losses, scored)

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the likelier class and the probabilities of both."""
        positive = outputs.float().sigmoid()
        return {"class": (outputs > 0).long().squeeze(-1), "probabilities": torch.cat([1 - positive, positive], -1)}


@dataclass(frozen=True)
class MultiLabelCrossEntropy(Loss):
    """Binary cross-entropy of any number of labels that hold at once, in nats, summed over the labels of an item.

    Args:
        positive_weight: Factor on the loss of labels that hold.

    Raises:
        ValueError: Where it is not above 0.

    Example:
        >>> total, count = MultiLabelCrossEntropy()(torch.zeros(1, 2, 88), torch.zeros(1, 2, 88))
        >>> round(float(total / count), 3), int(count)
        (60.997, 2)
    """

    kind: ClassVar[str] = "labels"
    positive_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.positive_weight <= 0:
            raise ValueError(f"positive_weight={self.positive_weight}: expected more than 0")

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the items that are scored."""
        scored = ~targets.isnan().any(-1)
        losses = functional.binary_cross_entropy_with_logits(
            outputs,
            targets.nan_to_num().to(outputs.dtype),
            pos_weight=outputs.new_tensor(self.positive_weight),
            reduction="none",
        )
        return masked_sum(losses.sum(-1), scored)

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns which labels hold and the probability of each."""
        return {"labels": outputs > 0, "probabilities": outputs.float().sigmoid()}


@dataclass(frozen=True)
class KLDivergence(Loss):
    """Kullback-Leibler divergence of the softmax over the outputs from a target distribution, in nats.

    Example:
        >>> target = torch.tensor([[0.5, 0.5]])
        >>> float(KLDivergence()(target.log(), target)[0])
        0.0
    """

    kind: ClassVar[str] = "distribution"

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the items that are scored."""
        scored = ~targets.isnan().any(-1)
        logs = outputs.log_softmax(-1)
        losses = functional.kl_div(logs, targets.nan_to_num().to(logs.dtype), reduction="none")
        return masked_sum(losses.sum(-1), scored)

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the likeliest class and the distribution."""
        return {"class": outputs.argmax(-1), "probabilities": outputs.float().softmax(-1)}

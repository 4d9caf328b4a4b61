"""Whether whole sequences are right."""

from collections.abc import Mapping

from torch import Tensor

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.tasks.measures.measure import Measure


class ExactMatch(Measure):
    """The share of sequences all of whose steps have the right class, or just the right labels.

    Example:
        >>> from seqmodels.data import Example, collate
        >>> import numpy as np, torch
        >>> measure = ExactMatch()
        >>> window = collate([Example(np.zeros(2), np.array([0, 1])), Example(np.zeros(1), np.array([1]))])
        >>> measure.update({"class": torch.tensor([[0, 0], [1, 0]])}, window)
        >>> measure.compute()
        {'exact_match': 0.5}
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.right, self.count = 0, 0

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Compares each sequence; what is not scored counts as right."""
        targets = window.targets
        if "labels" in described:
            right = (described["labels"] == (targets > 0.5)) | targets.isnan()
        else:
            right = (described["class"] == targets) | (targets == IGNORE_INDEX)
        self.right += int(right.reshape(len(right), -1).all(1).sum())
        self.count += len(right)

    def compute(self) -> dict[str, float]:
        """Returns the share."""
        return {"exact_match": self.right / self.count if self.count else float("nan")}

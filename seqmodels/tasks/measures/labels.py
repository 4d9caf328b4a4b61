"""Measures of labels that hold at once."""

from collections.abc import Mapping

from torch import Tensor

from seqmodels.data import Window
from seqmodels.tasks.measures.measure import Measure


class Labels(Measure):
    """Precision, recall and F1 over all labels, and accuracy as right / (right + missed + wrong).

    That accuracy is the one of Bay et al. 2009, "Evaluation of multiple-F0 estimation and tracking systems", by which
    polyphonic music is measured.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.right, self.missed, self.wrong = 0, 0, 0

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Counts the labels of the items that are scored."""
        scored = ~window.targets.isnan().any(-1)
        holds, predicted = window.targets[scored] > 0.5, described["labels"][scored]
        self.right += int((holds & predicted).sum())
        self.missed += int((holds & ~predicted).sum())
        self.wrong += int((~holds & predicted).sum())

    def compute(self) -> dict[str, float]:
        """Returns the four figures."""
        right, missed, wrong = self.right, self.missed, self.wrong
        return {
            "accuracy": _share(right, right + missed + wrong),
            "precision": _share(right, right + wrong),
            "recall": _share(right, right + missed),
            "f1": _share(2 * right, 2 * right + missed + wrong),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")

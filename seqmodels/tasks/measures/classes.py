"""Measures of classes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.tasks.measures.measure import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES_DRAWN = 30
"""A confusion matrix of more classes than these is not drawn: nobody could read it."""


class Classification(Measure):
    """Accuracy, macro F1 and the confusion matrix of sequences, or of steps, that have a class each.

    Macro F1 is the mean over the classes that occur, as target or as prediction.

    Args:
        classes: Their names.

    Example:
        >>> from seqmodels.data import Example, collate
        >>> import numpy as np
        >>> measure = Classification(["no", "yes"])
        >>> window = collate([Example(np.zeros(3), np.array([0, 1, 1]))])
        >>> measure.update({"class": torch.tensor([[0, 1, 0]])}, window)
        >>> {name: round(value, 3) for name, value in measure.compute().items()}
        {'accuracy': 0.667, 'macro_f1': 0.667}
    """

    def __init__(self, classes: Sequence[str]):
        self.classes = classes
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.confusion = torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Counts each pair of target and prediction."""
        targets, predicted = window.targets.flatten(), described["class"].flatten()
        scored = targets != IGNORE_INDEX
        count = len(self.classes)
        pairs = (targets * count + predicted)[scored]
        self.confusion = self.confusion.to(pairs.device)
        self.confusion += torch.bincount(pairs, minlength=count * count).view(count, count)

    def compute(self) -> dict[str, float]:
        """Returns accuracy and macro F1."""
        confusion = self.confusion.double()
        right, targets, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        occurring = targets + predicted > 0
        f1 = (2 * right / (targets + predicted))[occurring]
        return {"accuracy": float(right.sum() / confusion.sum()), "macro_f1": float(f1.mean())}

    def pictures(self) -> "dict[str, Figure]":
        """Draws the confusion matrix: a row for each class, shares of the row as shade, counts as numbers."""
        if not int(self.confusion.sum()) or len(self.classes) > MOST_CLASSES_DRAWN:
            return {}
        from matplotlib.figure import Figure

        side = 2.5 + 0.45 * len(self.classes)
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        counts = self.confusion.cpu().double()
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
        places = range(len(self.classes))
        axes.set_xticks(places, self.classes, rotation=90, parse_math=False)
        axes.set_yticks(places, self.classes, parse_math=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("target")
        for row in places:
            for column in places:
                if count := int(counts[row, column]):
                    colour = "white" if shares[row, column] > 0.5 else "black"
                    axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
        return {"confusion_matrix": figure}

"""Measures of numbers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqmodels.data import Window
from seqmodels.tasks.measures.measure import Measure


class Regression(Measure):
    """Mean squared and absolute error, beside the squared error of always predicting the mean of the training part.

    Args:
        means: Of each number over the training part; what needs them is left out where they are.

    Example:
        >>> from seqmodels.data import Example, Form, collate
        >>> import numpy as np
        >>> measure = Regression([2.0])
        >>> window = collate([Example(np.zeros(3), np.float32([3.0]))], form=Form(targets=False))
        >>> measure.update({"value": torch.tensor([[2.5]])}, window)
        >>> measure.compute()
        {'mse': 0.25, 'mae': 0.5, 'mse_constant': 1.0}
    """

    def __init__(self, means: Sequence[float] | None = None):
        self.means = means
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.squares, self.sizes, self.constant, self.count = 0.0, 0.0, 0.0, 0

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Adds the numbers that are scored."""
        scored = ~window.targets.isnan()
        targets = window.targets.double()
        errors = (described["value"].double() - targets)[scored]
        self.squares += float(errors.square().sum())
        self.sizes += float(errors.abs().sum())
        self.count += int(scored.sum())
        if self.means is not None:
            self.constant += float((targets - torch.tensor(self.means).to(targets))[scored].square().sum())

    def compute(self) -> dict[str, float]:
        """Returns the errors."""
        count = self.count or float("nan")
        figures = {"mse": self.squares / count, "mae": self.sizes / count}
        return figures if self.means is None else {**figures, "mse_constant": self.constant / count}

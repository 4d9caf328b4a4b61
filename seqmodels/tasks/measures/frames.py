"""Accuracy by how much of a clip has been seen."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.tasks.measures.measure import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FRAMES_TOLD = 16
"""Of longer clips, single frames are drawn, not told."""


class FrameAccuracy(Measure):
    """The share of clips whose class is right at each frame, which is after so many frames seen.

    Args:
        classes: Names of the classes.
        num_frames: Frames of the longest clip; what lies behind them is left out.
        factors: Where a class is a pair or more of things, the values of each by its name, the last one going round
            first; the accuracy of each thing is then told by itself, its probability summed over all others.

    Example:
        >>> classes = ["up 0", "up 1", "down 0", "down 1"]
        >>> measure = FrameAccuracy(classes, 1, {"way": ["up", "down"], "digit": ["0", "1"]})
        >>> window = Window(torch.zeros(1, 1, 1, 8, 8), torch.tensor([[3]]), torch.tensor([1]), True, 1, 0)
        >>> measure.update({"probabilities": torch.tensor([[[0.1, 0.4, 0.3, 0.2]]])}, window)
        >>> measure.compute()["way_accuracy_frame_1"], measure.compute()["digit_accuracy_frame_1"]
        (0.0, 1.0)
    """

    def __init__(self, classes: Sequence[str], num_frames: int, factors: dict[str, list[str]] | None = None):
        self.factors = factors or {"": list(classes)}
        if prod(map(len, self.factors.values())) != len(classes):
            raise ValueError(f"factors={list(self.factors)}: their values do not make {len(classes)} classes")
        self.num_frames = num_frames
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.right = {name: torch.zeros(self.num_frames, dtype=torch.float64) for name in self.factors}
        self.count = torch.zeros(self.num_frames, dtype=torch.float64)

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Compares each frame."""
        targets = window.targets[:, : self.num_frames].cpu()
        probabilities = described["probabilities"][:, : self.num_frames].cpu()
        frames = targets.shape[1]
        scored = targets != IGNORE_INDEX
        self.count[:frames] += scored.sum(0)
        sizes = [len(values) for values in self.factors.values()]
        joint = probabilities.unflatten(-1, sizes)
        for place, name in enumerate(self.factors):
            others = [2 + other for other in range(len(sizes)) if other != place]
            predicted = (joint.sum(others) if others else joint).argmax(-1)
            wanted = targets // prod(sizes[place + 1 :]) % sizes[place]
            self.right[name][:frames] += ((predicted == wanted) & scored).sum(0)

    def compute(self) -> dict[str, float]:
        """Returns each accuracy from the second frame on, and at each frame."""
        figures: dict[str, float] = {}
        for name, right in self.right.items():
            name = f"{name}_accuracy" if name else "accuracy"
            figures[f"{name}_from_frame_2"] = float(right[1:].sum() / self.count[1:].sum())
            if self.num_frames <= MOST_FRAMES_TOLD:
                shares = (right / self.count).tolist()
                figures |= {f"{name}_frame_{frame}": share for frame, share in enumerate(shares, 1)}
        return figures

    def pictures(self) -> "dict[str, Figure]":
        """Draws the accuracies over the frames seen."""
        if not bool(self.count.any()):
            return {}
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for name, right in self.right.items():
            axes.plot(range(1, self.num_frames + 1), (right / self.count).tolist(), marker="o", label=name or "class")
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("frames seen")
        axes.set_ylabel("accuracy")
        axes.legend()
        return {"accuracy_by_frame": figure}

"""The likelihood of music."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from seqmodels.data import Window
from seqmodels.tasks.measures.measure import Measure


class StepNLL(Measure):
    """Negative log-likelihood of the labels of a time step, in nats, summed over the labels.

    "nll" is its mean over all time steps of the part, as polyphonic music is reported (Boulanger-Lewandowski et al.
    2012; Chung et al. 2014, "Empirical evaluation of gated recurrent neural networks on sequence modeling"); in
    "nll_by_piece" each sequence has the same weight, however long it is.

    Example:
        >>> from seqmodels.data import Example, collate
        >>> import numpy as np, torch
        >>> measure = StepNLL()
        >>> sure, guessing = Example(np.zeros(1), np.float32([[1]])), Example(np.zeros(3), np.float32([[1], [0], [1]]))
        >>> probabilities = torch.tensor([[[1.0], [0.5], [0.5]], [[0.5], [0.5], [0.5]]])
        >>> measure.update({"probabilities": probabilities}, collate([sure, guessing]))
        >>> {name: round(value, 4) for name, value in measure.compute().items()}
        {'nll': 0.5199, 'nll_by_piece': 0.3466}
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.total, self.steps, self.means, self.pieces = 0.0, 0, 0.0, 0

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Adds the steps of each sequence that are scored."""
        scored = ~window.targets.isnan().any(-1)
        # In single precision a probability can be 1; what is lost by one that is wrong stays finite.
        probabilities = described["probabilities"].double().clamp(1e-9, 1 - 1e-9)
        losses = binary_cross_entropy(probabilities, window.targets.nan_to_num().double(), reduction="none").sum(-1)
        sums, counts = (losses * scored).sum(1), scored.sum(1)
        self.total += float(sums.sum())
        self.steps += int(counts.sum())
        self.means += float((sums / counts.clamp(min=1)).sum())
        self.pieces += int((counts > 0).sum())

    def compute(self) -> dict[str, float]:
        """Returns both means."""
        nan = float("nan")
        return {"nll": self.total / (self.steps or nan), "nll_by_piece": self.means / (self.pieces or nan)}

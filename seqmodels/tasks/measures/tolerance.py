"""Whether all outputs of a sequence are close enough to their targets."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import one_hot

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.tasks.measures.measure import Measure


class Solved(Measure):
    """The share of sequences all of whose outputs err by less than a tolerance: numbers, or probabilities of classes.

    By this the problems of Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", are said to be solved; the
    documentation of each names its tolerance.

    Args:
        tolerance: The error that is too large. Of a probability 0.5 is the least that takes one class for another.

    Raises:
        ValueError: Where it is not above 0.

    Example:
        >>> from seqmodels.data import Example, Form, collate
        >>> import numpy as np, torch
        >>> measure = Solved(tolerance=0.3)
        >>> examples = [Example(np.zeros(2), np.array(0)), Example(np.zeros(2), np.array(1))]
        >>> window = collate(examples, form=Form(targets=False))
        >>> measure.update({"probabilities": torch.tensor([[0.8, 0.2], [0.4, 0.6]])}, window)
        >>> measure.compute()
        {'solved': 0.5}
    """

    def __init__(self, tolerance: float):
        if tolerance <= 0:
            raise ValueError(f"tolerance={tolerance}: expected more than 0")
        self.tolerance = tolerance
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.solved, self.count = 0, 0

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Compares each sequence; what is not scored is no error."""
        outputs = described["value" if "value" in described else "probabilities"]
        targets = window.targets
        if targets.is_floating_point():
            errors = (outputs - targets).abs().nan_to_num(0.0)
        else:
            wanted = one_hot(targets.clamp(min=0), outputs.shape[-1])
            errors = (outputs - wanted).abs().masked_fill((targets == IGNORE_INDEX)[..., None], 0.0)
        self.solved += int((errors < self.tolerance).reshape(len(targets), -1).all(1).sum())
        self.count += len(targets)

    def compute(self) -> dict[str, float]:
        """Returns the share."""
        return {"solved": self.solved / self.count if self.count else float("nan")}

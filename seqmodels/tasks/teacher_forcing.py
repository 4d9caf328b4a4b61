"""Teacher forcing: how often a model that reads its own predictions is given the truth instead, while training.

Bengio, Vinyals, Jaitly and Shazeer 2015, "Scheduled sampling for sequence prediction with recurrent neural networks",
with their three forms of decay.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from seqmodels.tasks.schedules import Progress

Per = Literal["token", "sequence"]
Unit = Literal["step", "epoch", "run"]


class TeacherForcing(ABC):
    """A ratio that changes while training, and the draws it leads to; a subclass gives `ratio`."""

    per: Per

    @property
    def always(self) -> bool:
        """Whether the truth is read throughout training."""
        return False

    @abstractmethod
    def ratio(self, progress: Progress) -> float:
        """Returns the probability of reading the truth in the next update, 0 to 1."""

    def draw(self, batch_size: int, steps: int, progress: Progress, device: torch.device | str = "cpu") -> Tensor:
        """Draws where the truth is read, with torch's global generator.

        Args:
            batch_size: Rows.
            steps: Steps that can be given the truth.
            progress: How far training is.
            device: Of the result. The draw itself is made on the processor, so that it is the same for all devices.

        Returns:
            `(batch, steps)` bool, True where the truth is read; the same in a whole row where `per` is "sequence".
        """
        ratio = self.ratio(progress)
        if ratio in (0.0, 1.0):
            return torch.full((batch_size, steps), ratio == 1.0, device=device)
        columns = 1 if self.per == "sequence" else steps
        return (torch.rand(batch_size, columns) < ratio).expand(batch_size, steps).to(device)


@dataclass(frozen=True)
class ConstantForcing(TeacherForcing):
    """The same ratio throughout: 1 always reads the truth, 0 always the model's own predictions.

    Args:
        value: The ratio.
        per: Whether each "token" is drawn by itself or each "sequence" as a whole.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> ConstantForcing(1.0).draw(2, 3, Progress(step=0, epoch=0, fraction=0.0))
        tensor([[True, True, True],
                [True, True, True]])
    """

    value: float = 1.0
    per: Per = "token"

    def __post_init__(self) -> None:
        _check_ratio("value", self.value)
        _check_choice("per", self.per, get_args(Per))

    @property
    def always(self) -> bool:
        """Whether the truth is read throughout training."""
        return self.value == 1

    def ratio(self, progress: Progress) -> float:
        """Returns the ratio."""
        return self.value


@dataclass(frozen=True)
class DecayingForcing(TeacherForcing):
    """A ratio that falls over updates, epochs or the whole run; a subclass gives `decay`.

    Args:
        floor: The ratio never falls below this.
        unit: What the decay counts: each "step" (update), each "epoch", or hundredths of the "run".
        per: Whether each "token" is drawn by itself or each "sequence" as a whole.

    Raises:
        ValueError: An argument is out of range.
    """

    floor: float = 0.0
    unit: Unit = "run"
    per: Per = "token"

    def __post_init__(self) -> None:
        _check_ratio("floor", self.floor)
        _check_choice("unit", self.unit, get_args(Unit))
        _check_choice("per", self.per, get_args(Per))

    @abstractmethod
    def decay(self, count: float) -> float:
        """Returns the ratio after `count` units, without the floor."""

    def ratio(self, progress: Progress) -> float:
        """Returns the ratio, no less than the floor."""
        counts = {"step": progress.step, "epoch": progress.epoch, "run": 100 * progress.fraction}
        return min(1.0, max(self.floor, self.decay(counts[self.unit])))


@dataclass(frozen=True)
class LinearForcing(DecayingForcing):
    """A straight line: `start - slope * i`, and the floor from where it meets it.

    Args:
        floor: See `DecayingForcing`.
        unit: See `DecayingForcing`.
        per: See `DecayingForcing`.
        start: The ratio at the beginning.
        slope: What it loses in one unit.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> forcing = LinearForcing(floor=0.1, slope=0.02)
        >>> [round(forcing.ratio(Progress(0, 0, fraction)), 2) for fraction in (0.0, 0.25, 0.5)]
        [1.0, 0.5, 0.1]
    """

    start: float = 1.0
    slope: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_ratio("start", self.start)
        if not self.slope > 0:
            raise ValueError(f"slope={self.slope}: expected more than 0")

    def decay(self, count: float) -> float:
        """Returns the point on the line."""
        return self.start - self.slope * count


@dataclass(frozen=True)
class ExponentialForcing(DecayingForcing):
    """The power `k ** i`.

    Args:
        floor: See `DecayingForcing`.
        unit: See `DecayingForcing`.
        per: See `DecayingForcing`.
        k: What the ratio is multiplied by in one unit, below 1.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> ExponentialForcing(k=0.5, unit="epoch").ratio(Progress(step=900, epoch=3, fraction=0.0))
        0.125
    """

    k: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.k < 1:
            raise ValueError(f"k={self.k}: expected 0 < k < 1")

    def decay(self, count: float) -> float:
        """Returns the power."""
        return self.k**count


@dataclass(frozen=True)
class InverseSigmoidForcing(DecayingForcing):
    """The inverse sigmoid `k / (k + exp(i / k))`: late, then steep. It passes 1/2 at `i = k ln k`.

    Args:
        floor: See `DecayingForcing`.
        unit: See `DecayingForcing`.
        per: See `DecayingForcing`.
        k: At least 1; the larger, the later and the less steep.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> forcing = InverseSigmoidForcing(k=10, unit="step")
        >>> [round(forcing.ratio(Progress(step, 0, 0.0)), 2) for step in (0, 23, 60)]
        [0.91, 0.5, 0.02]
    """

    k: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.k >= 1:
            raise ValueError(f"k={self.k}: expected at least 1")

    def decay(self, count: float) -> float:
        """Returns the point on the curve."""
        return self.k / (self.k + math.exp(min(count / self.k, 700.0)))


def _check_ratio(name: str, ratio: float) -> None:
    if not 0 <= ratio <= 1:
        raise ValueError(f"{name}={ratio}: expected a probability, 0 <= p <= 1")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value}: expected one of {', '.join(choices)}")

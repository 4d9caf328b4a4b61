"""Learning-rate schedules: a factor on the base learning rate, as a function of how far training is."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Progress(NamedTuple):
    """How far training is: updates made, epochs begun before this one, and the fraction of the whole run (0 to 1)."""

    step: int
    epoch: int
    fraction: float


class Schedule(Protocol):
    """A factor on the base learning rate."""

    def factor(self, progress: Progress) -> float:
        """Returns the factor for the next update."""


@dataclass(frozen=True)
class Constant:
    """The base learning rate throughout, after a linear warm-up over `warmup_steps` updates."""

    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _check_warmup(self.warmup_steps)

    def factor(self, progress: Progress) -> float:
        """Returns 1 after the warm-up."""
        return _warmup(progress.step, self.warmup_steps)


@dataclass(frozen=True)
class StepDecay:
    """Multiplies the learning rate by `gamma` after every `every_epochs` epochs."""

    every_epochs: int = 1
    gamma: float = 0.5
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _check_warmup(self.warmup_steps)
        if self.every_epochs < 1:
            raise ValueError(f"every_epochs={self.every_epochs}: expected at least 1")
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma={self.gamma}: expected 0 < gamma <= 1")

    def factor(self, progress: Progress) -> float:
        """Returns `gamma ** (epochs // every_epochs)`."""
        return _warmup(progress.step, self.warmup_steps) * self.gamma ** (progress.epoch // self.every_epochs)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the base learning rate down to `final` of it at the end of the run.

    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", without the restarts. The end is
    that of `trainer.max_epochs` or `trainer.max_steps`; where neither is set, that of `trainer.max_seconds`.

    Example:
        >>> schedule = Cosine(warmup_steps=10)
        >>> [round(schedule.factor(Progress(step, 0, step / 100)), 2) for step in (0, 9, 50, 100)]
        [0.1, 0.98, 0.5, 0.0]
    """

    warmup_steps: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        _check_warmup(self.warmup_steps)
        if not 0 <= self.final <= 1:
            raise ValueError(f"final={self.final}: expected 0 <= final <= 1")

    def factor(self, progress: Progress) -> float:
        """Returns the point on the half cosine."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(progress.fraction, 1.0)))
        return _warmup(progress.step, self.warmup_steps) * (self.final + (1 - self.final) * cosine)


@dataclass
class Plateau:
    """Multiplies the learning rate by `gamma` when `val/loss` has not improved for more than `patience` validations.

    Example:
        >>> schedule = Plateau(gamma=0.5, patience=0)
        >>> for loss in (2.0, 1.5, 1.6):
        ...     schedule.observe(loss)
        >>> schedule.factor(Progress(step=0, epoch=0, fraction=0.0))
        0.5
    """

    gamma: float = 0.5
    patience: int = 1
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _check_warmup(self.warmup_steps)
        if self.patience < 0:
            raise ValueError(f"patience={self.patience}: expected at least 0")
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma={self.gamma}: expected 0 < gamma < 1")
        self.scale, self.best, self.waited = 1.0, math.inf, 0

    def factor(self, progress: Progress) -> float:
        """Returns what the validations so far have made of the learning rate."""
        return _warmup(progress.step, self.warmup_steps) * self.scale

    def observe(self, loss: float) -> None:
        """Takes in the loss of one validation."""
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.scale, self.waited = self.scale * self.gamma, 0

    def state_dict(self) -> dict[str, float]:
        """Returns what a checkpoint has to keep."""
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Takes back what `state_dict` gave."""
        self.scale, self.best, self.waited = float(state["scale"]), float(state["best"]), int(state["waited"])


def _warmup(step: int, warmup_steps: int) -> float:
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def _check_warmup(warmup_steps: int) -> None:
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps={warmup_steps}: expected at least 0")

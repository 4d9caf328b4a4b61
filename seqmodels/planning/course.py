"""The course of a run: how often it does what beside its updates, and where the limit of time ends it."""

import math
import sys
from bisect import bisect_left
from dataclasses import dataclass

from seqmodels.callbacks import Checkpoints
from seqmodels.trainers import TrainerSettings

Shown = tuple[tuple[int, float], ...]
"""For each that shows something: after how many validations or epochs it does, and for how many seconds."""


@dataclass(frozen=True)
class Rates:
    """What a run's parts take, in seconds.

    Args:
        update: An update.
        validation: Measuring the validation part; 0 where there is none.
        shown: After validations, such as samples.
        inspections: After epochs.
        checkpoint: Writing one.
    """

    update: float
    validation: float
    shown: Shown
    inspections: Shown
    checkpoint: float


@dataclass(frozen=True)
class Course:
    """A run of so many updates.

    Args:
        settings: The keys under `trainer`.
        windows: Windows of an epoch.
        checkpoints: When checkpoints are written.
        rates: What things take.
        validated: Whether there is a validation part.
        updates: How many there are.
        stopped: Whether a limit stops them, which one more validation follows, and not the end of an epoch.
    """

    settings: TrainerSettings
    windows: int
    checkpoints: Checkpoints
    rates: Rates
    validated: bool
    updates: int
    stopped: bool

    @property
    def epochs(self) -> int:
        """How many end, a last one that is stopped among them."""
        return math.ceil(self.updates / math.ceil(self.windows / self.settings.accumulate_grad_batches))

    @property
    def validations(self) -> int:
        """How often is validated."""
        if not self.validated:
            return 0
        interval, accumulated = self.settings.val_check_interval, self.settings.accumulate_grad_batches
        epochs, rest = divmod(self.updates, math.ceil(self.windows / accumulated))
        made = epochs * self.windows + rest * accumulated
        regular, left = (made // interval, made % interval) if interval else (epochs, rest)
        return regular + (self.stopped and left > 0)

    @property
    def showing(self) -> float:
        """Seconds of all that is shown after validations."""
        return sum(math.ceil(self.validations / every) * seconds for every, seconds in self.rates.shown)

    @property
    def inspections(self) -> int:
        """How often the model is looked into."""
        return max((self.epochs // every for every, _ in self.rates.inspections), default=0)

    @property
    def inspecting(self) -> float:
        """Seconds of that."""
        return sum(self.epochs // every * seconds for every, seconds in self.rates.inspections)

    @property
    def saving(self) -> float:
        """Seconds of all checkpoints."""
        callback, training = self.checkpoints, self.updates * self.rates.update
        by_steps = self.updates // callback.every_n_steps if callback.every_n_steps else 0
        by_time = int(training / callback.every_seconds) if callback.every_seconds else 0
        return self.rates.checkpoint * (1 + self.epochs + self.validations + max(by_steps, by_time))

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        updating = self.updates * self.rates.update + self.validations * self.rates.validation
        return updating + self.showing + self.inspecting + self.saving


def find_course(
    settings: TrainerSettings, windows: int, checkpoints: Checkpoints, rates: Rates, validated: bool
) -> Course:
    """Returns the course of a run to the limit that comes first."""

    def course(updates: int, stopped: bool) -> Course:
        return Course(settings, windows, checkpoints, rates, validated, updates, stopped)

    most = settings.total_steps(windows)
    updates = most or sys.maxsize
    if settings.max_seconds is not None:
        updates = min(updates, 1 + int(settings.max_seconds / rates.update))
        numbers = range(1, updates)
        updates = 1 + bisect_left(numbers, settings.max_seconds, key=lambda number: course(number, False).seconds)
    return course(updates, updates != most or updates == settings.max_steps)

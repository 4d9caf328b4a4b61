"""The limits of a run: seconds over all its sessions, and updates."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from seqmodels import processes
from seqmodels.callbacks.trainer_state import accumulating
from seqmodels.tasks import Task


class Budget(Callback):
    """Counts the seconds of training, validation included, and stops at the first limit, after one more validation.

    Lightning is told no limit of updates: with one, it takes an epoch for done that a resumed run has not begun.

    Args:
        max_seconds: The limit of time; `None` only counts.
        max_steps: The limit of updates; `None` for none.

    Raises:
        ValueError: Where the limit of time is not above zero.
    """

    def __init__(self, max_seconds: float | None = None, max_steps: int | None = None):
        if max_seconds is not None and max_seconds <= 0:
            raise ValueError(f"max_seconds={max_seconds}: expected more than 0, or null")
        self.max_seconds = max_seconds
        self.max_steps = max_steps
        self.earlier = 0.0
        self.started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self.earlier + (0.0 if self.started is None else time.monotonic() - self.started)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock; nothing is trained where a run that is resumed has made all its updates."""
        self.started = time.monotonic()
        if self._all_made(trainer):
            trainer.should_stop = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Tells the task how much of the time is gone, for its learning-rate schedule."""
        if self.max_seconds is not None and isinstance(pl_module, Task):
            pl_module.time_fraction = min(processes.largest(self.seconds) / self.max_seconds, 1.0)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stops where the time is up or the updates are made."""
        if accumulating(trainer):
            return
        out_of_time = self.max_seconds is not None and processes.largest(self.seconds) >= self.max_seconds
        if out_of_time or self._all_made(trainer):
            trainer.should_stop = True

    def _all_made(self, trainer: Trainer) -> bool:
        return self.max_steps is not None and trainer.global_step >= self.max_steps

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        self.earlier, self.started = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """Returns the seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the seconds of earlier sessions."""
        self.earlier = float(state_dict["seconds"])

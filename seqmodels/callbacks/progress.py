"""Progress bars; a line every few seconds where nobody watches a terminal, and one now and then in `log.txt`."""

import io
import logging
import math
import sys
import threading
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from seqmodels.callbacks.budget import Budget
from seqmodels.callbacks.monitor import Monitor
from seqmodels.callbacks.trainer_state import find_callback
from seqmodels.tasks import Task

log = logging.getLogger("seqmodels")


class _Bar(ProgressBar):
    """A bar that goes by a clock that only goes on.

    Args:
        heartbeat_seconds: Seconds between two lines where the output is no terminal.
        log_seconds: Seconds between two lines in the run's log.
    """

    def __init__(self, heartbeat_seconds: float = 10.0, log_seconds: float = 60.0):
        super().__init__()
        self.heartbeat_seconds = heartbeat_seconds
        self.log_seconds = log_seconds
        self.enabled = True
        self.bar: tqdm | None = None
        self.refreshed = self.logged = 0.0

    def disable(self) -> None:
        """Shows nothing from now on."""
        self.enabled = False

    def enable(self) -> None:
        """Shows again."""
        self.enabled = True

    def _open(self, doing: str, unit: str, total: int | None, leave: bool = True) -> None:
        if not self.enabled:
            return
        watched = sys.stderr.isatty()
        tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a process that is killed leaves
        self.bar = tqdm(
            total=total,
            unit=unit,
            desc=doing,
            leave=leave,
            file=sys.stderr if watched else io.StringIO(),  # unwatched, only the heartbeat lines are shown
            dynamic_ncols=True,
            mininterval=0.5 if watched else self.heartbeat_seconds,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total_fmt} {unit} [{elapsed}<{remaining}{postfix}]",
        )
        # The wall clock, which tqdm looks at, may be set while we run.
        vars(self.bar)["_time"] = time.monotonic
        self.bar.start_t = self.bar.last_print_t = self.logged = time.monotonic()

    def _due(self) -> bool:
        """Whether it is time to move the bar."""
        now = time.monotonic()
        if self.bar is None or now - self.refreshed < self.bar.mininterval:
            return False
        self.refreshed = now
        return True

    def _show(self) -> None:
        assert self.bar is not None
        if sys.stderr.isatty():
            self.bar.refresh()
        else:
            print(str(self.bar).strip(), file=sys.stderr, flush=True)
        if self.refreshed - self.logged >= self.log_seconds:
            self.logged = self.refreshed
            log.debug("%s", str(self.bar).strip())

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bar where it stands."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class ProgressReport(_Bar):
    """One bar over the whole run: loss, tokens/s and time left, by steps or by time, whichever ends the run first.

    Args:
        unit: What a token is called, "characters" or "tokens".
        heartbeat_seconds: Seconds between two lines where the output is no terminal.
        log_seconds: Seconds between two lines in the run's log.
    """

    def __init__(self, unit: str = "tokens", heartbeat_seconds: float = 10.0, log_seconds: float = 60.0):
        super().__init__(heartbeat_seconds, log_seconds)
        self.unit = unit
        self.began: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the bar."""
        places = _places(trainer)
        self.began = {unit: done for unit, (done, _) in places.items()}
        unit = _nearest_end(places)
        self._open("training", unit, places[unit][1])
        self._place(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Moves the bar, at most twice a second."""
        if self._due():
            self._move(trainer)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        """Tells how far a validation is, which may take long too."""
        if self._due():
            self._move(trainer, f"validating {batch_idx + 1}/{sum(map(int, trainer.num_val_batches))}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes in the log what was found."""
        if self.bar is not None:
            found = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
            figures = "  ".join(f"{name} {float(value):.6g}" for name, value in found.items())
            log.debug("step %d: %s", trainer.global_step, figures)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar at its last place."""
        if self.bar is not None:
            self._move(trainer)
            self._close()

    def _place(self, trainer: Trainer) -> None:
        """Puts the bar where the run stands, in steps or in seconds."""
        if self.bar is not None:
            places = _places(trainer)
            self.bar.unit = _nearest_end(places)
            self.bar.n, self.bar.total = places[self.bar.unit]
            self.bar.initial = self.began[self.bar.unit]

    def _move(self, trainer: Trainer, doing: str = "") -> None:
        assert self.bar is not None
        self._place(trainer)
        monitor = find_callback(trainer, Monitor)
        latest = monitor.latest if monitor else {}
        words = [doing] if doing else []
        words += [f"loss {latest['train/loss']:.3f}"] if "train/loss" in latest else []
        if "train/tokens_per_second" in latest:
            words.append(f"{latest['train/tokens_per_second']:,.0f} {self.unit}/s")
        if "val/loss" in trainer.callback_metrics:
            words.append(f"val {float(trainer.callback_metrics['val/loss']):.3f}")
        self.bar.set_postfix_str("  ".join(words), refresh=False)
        self._show()


def _places(trainer: Trainer) -> dict[str, tuple[float, int | None]]:
    """Returns where a run stands, and where it ends, in steps and, where its time is limited, in seconds."""
    task, budget = trainer.lightning_module, find_callback(trainer, Budget)
    assert isinstance(task, Task)
    steps = task.total_steps
    places: dict[str, tuple[float, int | None]] = {"step": (min(trainer.global_step, steps or sys.maxsize), steps)}
    if budget is not None and budget.max_seconds is not None:
        seconds = math.ceil(budget.max_seconds)
        places["s"] = (seconds * min(budget.seconds / budget.max_seconds, 1.0), seconds)
    return places


def _nearest_end(places: dict[str, tuple[float, int | None]]) -> str:
    """Returns the unit in which a run is nearest to its end."""
    return max(places, key=lambda unit: places[unit][0] / total if (total := places[unit][1]) else -1)


class MeasuringReport(_Bar):
    """A bar over the batches of a part of the data that is measured; it goes when they are done.

    Args:
        part: "train", "val" or "test".
        heartbeat_seconds: Seconds between two lines where the output is no terminal.
        log_seconds: Seconds between two lines in the run's log.
    """

    def __init__(self, part: str, heartbeat_seconds: float = 10.0, log_seconds: float = 60.0):
        super().__init__(heartbeat_seconds, log_seconds)
        self.part = part

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the bar; nothing is told before its first seconds have passed."""
        self.refreshed = time.monotonic()
        self._open(f"measuring {self.part}", "batches", sum(map(int, trainer.num_val_batches)), leave=False)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        """Moves the bar."""
        if self._due():
            assert self.bar is not None
            self.bar.n = batch_idx + 1
            self._show()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar."""
        self._close()

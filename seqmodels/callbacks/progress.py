"""The progress bar; a line every few seconds where nobody watches a terminal, and one now and then in `log.txt`."""

import io
import logging
import sys
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


class ProgressReport(ProgressBar):
    """One bar over the whole run: loss, tokens/s and time left, by steps or, where their number is open, by time.

    Args:
        unit: What a token is called, "characters" or "tokens".
        heartbeat_seconds: Seconds between two lines where the output is no terminal.
        log_seconds: Seconds between two lines in the run's log.
    """

    def __init__(self, unit: str = "tokens", heartbeat_seconds: float = 10.0, log_seconds: float = 60.0):
        super().__init__()
        self.unit = unit
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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the bar."""
        assert isinstance(pl_module, Task)
        if not self.enabled:
            return
        total, done, unit = pl_module.total_steps, trainer.global_step, "step"
        budget = find_callback(trainer, Budget)
        if total is None and budget is not None and budget.max_seconds is not None:
            total, done, unit = round(budget.max_seconds), round(budget.seconds), "s"
        watched = sys.stderr.isatty()
        self.bar = tqdm(
            total=total,
            initial=min(done, total) if total else done,
            unit=unit,
            desc="training",
            file=sys.stderr if watched else io.StringIO(),  # unwatched, only the heartbeat lines are shown
            dynamic_ncols=True,
            mininterval=0.5 if watched else self.heartbeat_seconds,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}{postfix}]",
        )
        # The wall clock, which tqdm looks at, may be set while we run.
        vars(self.bar)["_time"] = time.monotonic
        self.bar.start_t = self.bar.last_print_t = self.logged = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Moves the bar, at most twice a second."""
        self._beat(trainer)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        """Tells how far a validation is, which may take long too."""
        self._beat(trainer, f"validating {batch_idx + 1}/{sum(map(int, trainer.num_val_batches))}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes in the log what was found."""
        if self.bar is not None:
            found = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
            figures = "  ".join(f"{name} {float(value):.6g}" for name, value in found.items())
            log.debug("step %d: %s", trainer.global_step, figures)

    def _beat(self, trainer: Trainer, doing: str = "") -> None:
        now = time.monotonic()
        if self.bar is None or now - self.refreshed < self.bar.mininterval:
            return
        self.refreshed = now
        self._move(trainer, doing)
        if now - self.logged >= self.log_seconds:
            self.logged = now
            log.debug("%s", str(self.bar).strip())

    def _move(self, trainer: Trainer, doing: str = "") -> None:
        assert self.bar is not None
        budget, monitor = find_callback(trainer, Budget), find_callback(trainer, Monitor)
        place = trainer.global_step if self.bar.unit == "step" else round(budget.seconds) if budget else 0
        self.bar.n = min(place, self.bar.total) if self.bar.total else place
        latest = monitor.latest if monitor else {}
        words = [doing] if doing else []
        words += [f"loss {latest['train/loss']:.3f}"] if "train/loss" in latest else []
        if "train/tokens_per_second" in latest:
            words.append(f"{latest['train/tokens_per_second']:,.0f} {self.unit}/s")
        if "val/loss" in trainer.callback_metrics:
            words.append(f"val {float(trainer.callback_metrics['val/loss']):.3f}")
        self.bar.set_postfix_str("  ".join(words), refresh=False)
        if sys.stderr.isatty():
            self.bar.refresh()
        else:
            print(str(self.bar).strip(), file=sys.stderr, flush=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar at its last place."""
        if self.bar is not None:
            self._move(trainer)
            self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bar where it stands."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

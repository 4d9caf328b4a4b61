"""Checkpoints: the best and the last, written so that a kill or a full disk never costs the one before."""

import logging
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from seqmodels import processes
from seqmodels.callbacks.trainer_state import accumulating, validation_follows
from seqmodels.errors import UserError
from seqmodels.tasks import Task

log = logging.getLogger("seqmodels")

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to disk, then renames: the target is always whole, old or new."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike, storage_options: Any = None) -> None:
        """Writes a checkpoint.

        Raises:
            UserError: Where it cannot be written (disk full, folder not writable); what stood there stays.
        """
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if target.name == LAST:
                _keep(target)
            os.replace(beside, target)
        except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
            with suppress(OSError):
                beside.unlink()
            if "DataLoader worker" in str(error):  # one that dies is told wherever this process happens to be
                raise
            raise UserError(f"{target}: cannot write the checkpoint ({error}); the one before is kept") from error


def _keep(last: Path) -> None:
    """Lets `previous.ckpt` name what `last.ckpt` is; only now that a newer one is whole, or a full disk costs one."""
    beside = last.with_name(f".{PREVIOUS}.{os.getpid()}")
    with suppress(OSError):
        # A hard link and a rename: at no moment is there no `last.ckpt`.
        beside.unlink(missing_ok=True)
        os.link(last, beside)
        os.replace(beside, last.with_name(PREVIOUS))


class Checkpoints(Callback):
    """Keeps `best.ckpt` by a monitored metric, `last.ckpt` to resume from, and `previous.ckpt`, the last before it.

    `last.ckpt` is written at the start, at each epoch's end and, in between, by steps or by seconds. Of models that the
    metric cannot tell apart, such as by a BLEU of 0, that of the lowest `val/loss` is best.

    Args:
        every_n_steps: Also after every so many updates.
        every_seconds: Also when so many seconds have passed since the last one.
        monitor: The metric whose lowest value (`mode="min"`) or highest is best.
        mode: "min" or "max".

    Raises:
        ValueError: Where a value is out of range.
    """

    def __init__(
        self,
        every_n_steps: int | None = None,
        every_seconds: float | None = 30.0,
        monitor: str = "val/loss",
        mode: str = "min",
    ):
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps={every_n_steps}: expected at least 1, or null")
        if every_seconds is not None and every_seconds <= 0:
            raise ValueError(f"every_seconds={every_seconds}: expected more than 0, or null")
        if mode not in ("min", "max"):
            raise ValueError(f"mode={mode}: expected min or max")
        self.every_n_steps = every_n_steps
        self.every_seconds = every_seconds
        self.monitor = monitor
        self.sign = 1 if mode == "min" else -1
        self.folder: Path | None = None
        self.best = (math.inf, math.inf)  # by the metric, the less the better, and by the loss
        self.saved_step = -1
        self.saved_at = 0.0
        self.due_after_validation = False
        self.told = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Finds the folder: `checkpoints/` in the run directory."""
        self.folder = Path(trainer.default_root_dir) / "checkpoints"
        # What a kill left half written; what another process writes now is not.
        for unfinished in self.folder.glob(".*.ckpt.*") if trainer.is_global_zero else ():
            unfinished.unlink(missing_ok=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes a first checkpoint, so that a run can be resumed from its first second, and a full disk shows now."""
        if trainer.global_step == 0:
            self.save_last(trainer)
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Writes `last.ckpt` where it is due; before a validation or an epoch's end, those write it."""
        step = trainer.global_step
        if trainer.is_last_batch or step == self.saved_step or accumulating(trainer):
            return
        by_steps = self.every_n_steps is not None and step % self.every_n_steps == 0
        since = time.monotonic() - self.saved_at
        by_time = self.every_seconds is not None and processes.largest(since) >= self.every_seconds
        if trainer.should_stop or by_steps or by_time:
            if validation_follows(trainer):
                self.due_after_validation = True
            else:
                self.save_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes `best.ckpt` where the metric is the best so far, and `last.ckpt` where it waited for this."""
        if trainer.state.fn != "fit":
            return
        value = _finite(trainer, self.monitor)
        loss = _finite(trainer, "val/loss")
        if value is None:
            self._tell_of_none(trainer)
        else:
            rank = (self.sign * value, math.inf if loss is None else loss)
            if rank < self.best:
                self.best = rank
                self._save(trainer, BEST)
        if (self.due_after_validation or trainer.should_stop) and not trainer.is_last_batch:
            self.save_last(trainer)
        self.due_after_validation = False

    def _tell_of_none(self, trainer: Trainer) -> None:
        """Says once that a validation came to no number."""
        if not self.told and self.monitor in trainer.callback_metrics:
            self.told = True
            found, step = float(trainer.callback_metrics[self.monitor]), trainer.global_step
            log.warning("%s is %s at update %d: such a model is never the best", self.monitor, found, step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes `last.ckpt`, unless training stopped inside the epoch, which is written then."""
        if trainer.is_last_batch:
            self.save_last(trainer)

    def save_last(self, trainer: Trainer) -> None:
        """Writes `last.ckpt`, keeping the one there was as `previous.ckpt`."""
        self._save(trainer, LAST)
        self.saved_step, self.saved_at = trainer.global_step, time.monotonic()

    def _save(self, trainer: Trainer, name: str) -> None:
        assert self.folder is not None
        if isinstance(trainer.lightning_module, Task):
            trainer.lightning_module.assert_finite()
        trainer.save_checkpoint(self.folder / name)

    def state_dict(self) -> dict[str, Any]:
        """Returns the best value so far, and the loss that came with it."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the best value back; older checkpoints have it without the loss."""
        best = state_dict["best"]
        value, loss = (best, math.inf) if isinstance(best, float) else best
        self.best = (float(value), float(loss))


def _finite(trainer: Trainer, name: str) -> float | None:
    """Returns a figure of the validation, if it is there and a finite number."""
    value = trainer.callback_metrics.get(name)
    return float(value) if value is not None and math.isfinite(value) else None

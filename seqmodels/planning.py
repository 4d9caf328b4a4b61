"""How long a run will take and how much memory it needs, from a few of its updates, of which nothing is kept."""

import math
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from seqmodels import resources
from seqmodels.callbacks import Checkpoints
from seqmodels.evaluation import measure
from seqmodels.tasks import Task
from seqmodels.trainers import TrainerSettings, make_trainer, quiet
from seqmodels.training import Prepared, prepare

WARM_UP, TIMED, LONGEST = 3, 40, 20.0
"""Updates that are not counted, updates that are at most, and the seconds after which no more are made."""

BATCHES = 8
"""Batches of each part that are measured on, to know what measuring on all of them takes."""


@dataclass(frozen=True)
class Plan:
    """What a run will take. Bytes are bytes, times are seconds.

    Args:
        name: The run's name.
        parameters: How many numbers are trained.
        updates: How many there will be; `None` where time alone ends the run.
        max_seconds: The limit on training, if there is one.
        windows: Batches of an epoch.
        tokens: Tokens that an update is made of, on average.
        padding: The share of padding beside them.
        update: Time of an update.
        timed: Updates that this is the mean of.
        validations: How often the validation part is measured while training.
        validation: Time of one.
        measuring: Time to measure the best model at the end, on validation and test.
        saving: Time of all checkpoints.
        checkpoint: Bytes of one, of which three are kept.
        memory: The most that this process has used, in bytes.
        worker: The most that one worker has used, in bytes; 0 where there is none.
        num_workers: How many there are.
        gpu: The most that was used of the GPU's memory, in bytes; 0 where there is none.
        may_stop: Whether the run may end before, as it does by early stopping.
    """

    name: str
    parameters: int
    updates: int | None
    max_seconds: float | None
    windows: int
    tokens: float
    padding: float
    update: float
    timed: int
    validations: int
    validation: float
    measuring: float
    saving: float
    checkpoint: int
    memory: int
    worker: int
    num_workers: int
    gpu: int
    may_stop: bool

    @property
    def seconds(self) -> float:
        """The time of the whole run."""
        training = math.inf
        if self.updates is not None:
            training = self.updates * self.update + self.validations * self.validation + self.saving
        return min(training, self.max_seconds or math.inf) + self.measuring

    def text(self) -> str:
        """Returns what is printed."""
        updates = self.updates if self.updates is not None else round((self.max_seconds or 0) / self.update)
        about = "" if self.updates is not None else "about "
        padding = f", {self.padding:.0%} padding beside them" if self.padding else ""
        lines = {
            "plan": f"{self.name}, from {self.timed} updates; nothing was written",
            "parameters": f"{self.parameters:,}",
            "updates": f"{about}{updates:,}, {self.windows:,} windows an epoch",
            "tokens": f"{self.tokens:,.0f} an update{padding}, {about}{round(self.tokens * updates):,} in all",
            "time": f"{'at most ' if self.may_stop else 'about '}{duration(self.seconds)}: {self._parts()}",
            "memory": self._memory(),
            "disk": f"{size(3 * self.checkpoint)}: three checkpoints of {size(self.checkpoint)}",
        }
        return "\n".join(f"{name:<12} {line}" for name, line in lines.items())

    def _parts(self) -> str:
        parts = [f"{duration(self.update)} an update"]
        if self.validations:
            times = "once" if self.validations == 1 else f"{self.validations:,} times"
            parts.append(f"validation {times} {duration(self.validation)}")
        return ", ".join([*parts, f"{duration(self.measuring)} to measure at the end"])

    def _memory(self) -> str:
        parts = [f"{size(self.memory)} at most so far"]
        if self.num_workers:
            parts.append(f"up to {size(self.worker)} in each of {self.num_workers} workers, much of it shared")
        return ", ".join([*parts, *([f"{size(self.gpu)} on the GPU"] if self.gpu else [])])


def duration(seconds: float) -> str:
    """Writes a time in the units that suit it.

    Example:
        >>> duration(0.0123), duration(4.56), duration(754), duration(7500), duration(200000)
        ('12.3 ms', '4.6 s', '12 min 34 s', '2 h 05 min', '2 d 7 h')
    """
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60:02d} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Writes a number of bytes.

    Example:
        >>> size(812), size(5_300_000), size(2_500_000_000)
        ('0.8 kB', '5.3 MB', '2.5 GB')
    """
    unit, factor = next((pair for pair in (("GB", 1e9), ("MB", 1e6)) if count >= pair[1]), ("kB", 1e3))
    return f"{count / factor:.1f} {unit}"


class _Stopwatch(Callback):
    """Notes when updates end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Notes the time where an update was made, once the device is done with it."""
        if trainer.global_step > len(self.ends):
            _wait(pl_module.device)
            self.ends.append(time.perf_counter())

    @property
    def update(self) -> tuple[float, int]:
        """The mean time of an update, and of how many; the first ones, which warm up, are left out where others are."""
        ends = self.ends[min(WARM_UP, len(self.ends) - 2) :]
        return (ends[-1] - ends[0]) / (len(ends) - 1), len(ends) - 1


def plan(config: Mapping[str, Any]) -> Plan:
    """Makes a few updates of a run, and tells from them what all of it will take.

    Args:
        config: Plain configuration, as `train` takes it.

    Raises:
        UserError: For a mistake in the configuration or the data, and for memory that is not there.
    """
    with resources.told(config), TemporaryDirectory() as folder:
        prepared = prepare(config)
        task, data, settings = prepared.task, prepared.data, prepared.settings
        stopwatch = _Stopwatch()
        few = replace(settings, max_epochs=None, max_steps=WARM_UP + TIMED, max_seconds=None, val_check_interval=None)
        with quiet():
            trainer = make_trainer(few, Path(folder), [_Limit(LONGEST), stopwatch])
            trainer.fit(task, data.train_dataloader())
            began = time.perf_counter()
            trainer.save_checkpoint(Path(folder) / "last.ckpt")
            saving = time.perf_counter() - began
        update, timed = stopwatch.update
        tokens, padding = int(task.tokens_seen) / len(stopwatch.ends), int(task.padding_seen) / len(stopwatch.ends)
        windows = min(len(data.train_dataloader()), settings.limit_train_batches or sys.maxsize)
        times = {part: _measuring(prepared, part) for part in ("val", "test") if part in data.splits}
        validations = _validations(task, settings, windows) if "val" in times else 0
        return Plan(
            name=str(config["name"]),
            parameters=sum(parameter.numel() for parameter in prepared.model.parameters()),
            updates=task.total_steps,
            max_seconds=settings.max_seconds,
            windows=windows,
            tokens=tokens,
            padding=padding / (tokens + padding),
            update=update,
            timed=timed,
            validations=validations,
            validation=times.get("val", 0.0),
            measuring=sum(times.values()),
            saving=saving * _checkpoints(prepared, update, windows, validations),
            checkpoint=(Path(folder) / "last.ckpt").stat().st_size,
            memory=_peak(resource.RUSAGE_SELF),
            worker=_peak(resource.RUSAGE_CHILDREN) if data.num_workers else 0,
            num_workers=data.num_workers,
            gpu=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
            may_stop=any(isinstance(callback, EarlyStopping) for callback in prepared.callbacks),
        )


class _Limit(Callback):
    """Ends training after so many seconds, once there are two updates."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stops where the time is up."""
        if time.monotonic() >= self.end and trainer.global_step >= 2:
            trainer.should_stop = True


def _measuring(prepared: Prepared, part: str) -> float:
    """Returns the time that measuring on a part takes, from that of its first batches."""
    loader = prepared.data.evaluation_dataloader(part)
    every = min(len(loader), prepared.settings.limit_val_batches or sys.maxsize)
    few = min(every, BATCHES)
    began = time.perf_counter()
    measure(prepared.task, prepared.data, part, replace(prepared.settings, limit_val_batches=few))
    return (time.perf_counter() - began) * every / few


def _validations(task: Task, settings: TrainerSettings, windows: int) -> int:
    """Returns how often is validated while training."""
    if task.total_steps is None:
        return 0
    all_windows = task.total_steps * settings.accumulate_grad_batches
    return max(1, all_windows // (settings.val_check_interval or windows))


def _checkpoints(prepared: Prepared, update: float, windows: int, validations: int) -> int:
    """Returns how many checkpoints are written."""
    updates = prepared.task.total_steps or 0
    (callback,) = (callback for callback in prepared.callbacks if isinstance(callback, Checkpoints))
    by_steps = updates // callback.every_n_steps if callback.every_n_steps else 0
    by_time = int(updates * update / callback.every_seconds) if callback.every_seconds else 0
    epochs = updates * prepared.settings.accumulate_grad_batches // windows
    return 1 + epochs + validations + max(by_steps, by_time)


def _peak(who: int) -> int:
    """Returns the most memory that this process, or the largest of its children that ended, has used."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()

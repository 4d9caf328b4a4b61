"""The trial: a few updates, a few batches measured, all that is shown made once."""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.profilers import SimpleProfiler
from torch.utils.data import DataLoader

from seqmodels import resources
from seqmodels.callbacks import Checkpoints, Samples, keep_pictures
from seqmodels.evaluation import measure
from seqmodels.planning.course import Rates, Shown, find_course
from seqmodels.planning.estimate import Plan
from seqmodels.tasks import Hypotheses, SequenceTask
from seqmodels.trainers import make_trainer, quiet
from seqmodels.training import Prepared, prepare

WARM_UP, TIMED, LONGEST = 3, 40, 20.0
"""Updates that are not counted, updates that are at most, and the seconds after which no more are made."""

BATCHES = 8
"""Batches of each part that are measured on, to know what measuring on all of them takes."""


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
        windows = len(data.train_dataloader())
        shown, inspections = _showing(prepared, Path(folder)) if "val" in data.splits else ((), ())
        parts = {part: _measuring(prepared, part, Path(folder)) for part in ("val", "test") if part in data.splits}
        measuring, pictures = zip(*parts.values(), strict=True) if parts else ((), ())
        rates = Rates(update, measuring[0] if "val" in parts else 0.0, shown, inspections, saving)
        (checkpoints,) = (callback for callback in prepared.callbacks if isinstance(callback, Checkpoints))
        course = find_course(settings, windows, checkpoints, rates, "val" in parts)
        return Plan(
            name=str(config["name"]),
            parameters=sum(parameter.numel() for parameter in prepared.model.parameters()),
            updates=course.updates,
            by_time=course.updates != task.total_steps,
            windows=windows,
            tokens=tokens,
            padding=padding / (tokens + padding),
            update=update,
            timed=timed,
            validations=course.validations,
            validation=rates.validation + course.showing / max(1, course.validations),
            inspections=course.inspections,
            inspection=sum(seconds for _, seconds in inspections),
            measuring=sum((*measuring, *pictures)) + _final_samples(prepared),
            writing=isinstance(task, SequenceTask) and any(isinstance(one, Hypotheses) for one in task.measures),
            saving=course.saving,
            checkpoint=(Path(folder) / "last.ckpt").stat().st_size,
            memory=_peak(resource.RUSAGE_SELF),
            worker=_peak(resource.RUSAGE_CHILDREN) if data.num_workers else 0,
            num_workers=data.num_workers,
            gpu=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
            may_stop=any(isinstance(callback, EarlyStopping) for callback in prepared.callbacks),
        )


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


class _Limit(Callback):
    """Ends training after so many seconds, once there are two updates."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stops where the time is up."""
        if time.monotonic() >= self.end and trainer.global_step >= 2:
            trainer.should_stop = True


def _showing(prepared: Prepared, folder: Path) -> tuple[Shown, Shown]:
    """Returns after how many validations, and after how many epochs, callbacks show something, and for how long.

    All is shown twice, since the first time takes longer.
    """
    hooks = {"every_n_validations": "on_validation_end", "every_n_epochs": "on_train_epoch_end"}
    callbacks = [(callback, vars(callback)) for callback in prepared.callbacks]
    due = [(callback, key, keys[key]) for callback, keys in callbacks for key in hooks.keys() & keys.keys()]
    for callback, key, _ in due:
        setattr(callback, key, 1)
    few = replace(prepared.settings, max_epochs=None, max_steps=2, max_seconds=None, accumulate_grad_batches=1)
    few = replace(few, val_check_interval=1, limit_val_batches=1)
    prepared.data.limit_train_batches = 1  # so that each update ends an epoch
    profiler = SimpleProfiler()
    with quiet():
        trainer = make_trainer(few, folder, [callback for callback, _, _ in due], _board(folder))
        vars(trainer)["profiler"] = profiler
        trainer.fit(prepared.task, prepared.data.train_dataloader(), prepared.data.val_dataloader())
    took: dict[str, list[tuple[int, float]]] = {key: [] for key in hooks}
    for callback, key, every in due:
        took[key].append((every, profiler.recorded_durations[f"[Callback]{callback.state_key}.{hooks[key]}"][-1]))
    return tuple(took["every_n_validations"]), tuple(took["every_n_epochs"])


def _final_samples(prepared: Prepared) -> float:
    """Returns the time that the samples take which a finished run shows."""
    began = time.perf_counter()
    for callback in prepared.callbacks:
        if isinstance(callback, Samples):
            callback.texts()
    return time.perf_counter() - began


def _board(folder: Path) -> list[Any]:
    return [TensorBoardLogger(folder, name=None, version="tensorboard")]


def _measuring(prepared: Prepared, part: str, folder: Path) -> tuple[float, float]:
    """Returns the time that measuring a part takes, from that of batches all over it, and that of its pictures."""
    loader = prepared.data.evaluation_dataloader(part)
    keys = list(loader.sampler)[: prepared.settings.limit_val_batches]
    few = keys[:: -(-len(keys) // BATCHES)]
    some: DataLoader = DataLoader(loader.dataset, batch_size=None, sampler=few, collate_fn=loader.collate_fn)
    began = time.perf_counter()
    measure(prepared.task, some, part, prepared.settings)
    measured = time.perf_counter()
    loggers = _board(folder)
    keep_pictures(prepared.task, part, folder, loggers, 0)
    for logger in loggers:
        logger.finalize("success")  # or it writes on when the folder is gone
    return (measured - began) * len(keys) / len(few), time.perf_counter() - measured


def _peak(who: int) -> int:
    """Returns the most memory that this process, or the largest of its children that ended, has used."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()

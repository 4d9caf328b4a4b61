"""`train(config)`: one run from configuration to results."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from seqmodels import processes, resources, runs
from seqmodels.building import GROUPS, OPTIONAL_GROUPS, build, check_config
from seqmodels.callbacks import (
    Budget,
    Checkpoints,
    CsvMetrics,
    EarlyStopping,
    Monitor,
    ProgressReport,
    Samples,
    find_callback,
    keep_pictures,
)
from seqmodels.data import DataModule
from seqmodels.errors import UserError
from seqmodels.evaluation import build_task, measure
from seqmodels.locks import locked
from seqmodels.resuming import Underway, check_same_data
from seqmodels.tasks import Task
from seqmodels.trainers import TrainerSettings, make_trainer, processes_to_start, quiet, read_settings

log = logging.getLogger("seqmodels")


@dataclass
class Outcome:
    """What a finished run has to show.

    Args:
        run: The run directory.
        results: The final figures, as in `results.json`.
        samples: Texts, for a model that writes.
    """

    run: Path
    results: dict[str, float]
    samples: list[str]


def train(
    config: dict[str, Any], resumed: runs.Run | None = None, job: int | None = None, watchers: Sequence[Callback] = ()
) -> Outcome:
    """Trains a model, or goes on with one.

    Nothing is written before configuration and data are known to be good. Of several processes each trains on its rows
    of every batch; the first one alone writes, and measures what came of it.

    Args:
        config: Plain configuration, as in the run directory's `config.yaml`.
        resumed: The run to go on with, in its own directory.
        job: The number of the job in a sweep.
        watchers: Callbacks beside those of the configuration.

    Returns:
        The run's results, which are in the run directory too; of several processes the first has them.

    Raises:
        UserError: For a mistake in the configuration or the data.
    """
    check_config(config)
    with resources.told(config) as where, locked(resumed.path) if resumed else nullcontext():
        if resumed:
            runs.check_unchanged(resumed)
        prepared = prepare(config, resumed, watchers)
        run = _open_run(config, prepared.data.spec, resumed, job)
        logged = runs.logged_to(run / "log.txt") if processes.rank() == 0 else nullcontext()
        where.run = run
        with nullcontext() if resumed else locked(run), logged:
            return _run(config, prepared, run, resumed)


@dataclass
class Prepared:
    """What a configuration describes, built and held against each other; nothing is written yet.

    Args:
        settings: The keys under `trainer`.
        data: The data, ready.
        model: The model.
        task: The task around it.
        callbacks: What the configuration adds.
    """

    settings: TrainerSettings
    data: DataModule
    model: nn.Module
    task: Task
    callbacks: list[Callback]


def prepare(config: Mapping[str, Any], resumed: runs.Run | None = None, watchers: Sequence[Callback] = ()) -> Prepared:
    """Builds all that a run is made of.

    Args:
        config: Plain configuration.
        resumed: The run to go on with.
        watchers: Callbacks beside those of the configuration.

    Raises:
        UserError: For a mistake in the configuration or the data.
    """
    settings = read_settings(config["trainer"])
    seed_everything(config["seed"], verbose=False)
    with quiet():
        make_trainer(settings)  # refuses a device that is not there before anything is written
    _meet(settings)
    with runs.from_files(resumed.path) if resumed else nullcontext():
        if resumed:
            runs.check_model(resumed)
        data = build(config["data"], "data", spec=resumed.spec if resumed else None)
        data.share, data.limit_train_batches = processes.share(), settings.limit_train_batches
        with processes.one_ahead():
            data.setup("fit")
        if resumed:
            check_same_data(data, resumed)
        model = runs.build_model(config, data.spec)
        task = build_task(dict(config), model, data.spec, data)
        task.check_tbptt(build(config["tbptt"], "tbptt"))
        task.check_data(data)
        task.total_steps = settings.total_steps(len(data.train_dataloader()))
        callbacks = [*_callbacks(config["callbacks"], model, data.spec), *watchers, ProgressReport(_unit(data.spec))]
    _check_monitors(callbacks, task, data.splits)
    return Prepared(settings, data, model, task, callbacks)


def _run(config: dict[str, Any], prepared: Prepared, run: Path, resumed: runs.Run | None) -> Outcome:
    """Trains, measures the best model, and writes down what it found."""
    task, data, settings = prepared.task, prepared.data, prepared.settings
    parameters = sum(parameter.numel() for parameter in prepared.model.parameters())
    log.info("%s: %s parameters, %s", runs.shown(run), f"{parameters:,}", _length(task, settings))
    _tell_of_processes(resumed)
    loggers = _loggers(run, resumed)
    with quiet():
        underway = Underway(resumed)
        trainer = make_trainer(settings, run, [*prepared.callbacks, underway], loggers)
        checkpoint = resumed.checkpoint_path if resumed else None
        with underway.told():
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if resumed and trainer.global_step == resumed.checkpoint["global_step"]:
        log.info("nothing was left to train: the run has made %s updates", f"{trainer.global_step:,}")
    first = processes.rank() == 0
    processes.leave()
    if not first:
        return Outcome(run, {}, [])

    runs.load_weights(prepared.model, runs.load_run(str(run)))
    results = _results(task, data, trainer, settings, run)
    # JSON knows no infinity.
    finite = {name: value if math.isfinite(value) else None for name, value in results.items()}
    runs.write_json(run / runs.RESULTS, finite)
    _log_hyperparameters(loggers[0], config, results)
    log.info("finished: %s", results)
    samples = next((callback.texts() for callback in prepared.callbacks if isinstance(callback, Samples)), [])
    return Outcome(run, results, samples)


def _meet(settings: TrainerSettings) -> None:
    """Joins the other processes of a run, where it has several.

    Raises:
        UserError: Where they have not been started, or cannot meet.
    """
    to_start = processes_to_start(settings)
    if to_start > 1:
        raise UserError(
            f"trainer.devices={settings.devices}: {to_start} processes train together when `seqmodels train`, torchrun "
            "or srun starts them"
        )
    processes.join(cuda=settings.accelerator != "cpu" and torch.cuda.is_available())


def _open_run(config: dict[str, Any], spec: dict[str, Any], resumed: runs.Run | None, job: int | None) -> Path:
    """Returns the run directory; the first process makes it and tells the others."""
    run = None
    if processes.rank() == 0:
        run = resumed.path if resumed else runs.create(config, spec, job)
        if resumed:
            runs.write_config(run, config)
    run = processes.of_first(run)
    assert run is not None
    return run


def _tell_of_processes(resumed: runs.Run | None) -> None:
    """Says how many processes train, and that it is not as many as before."""
    now = processes.count()
    before = 1 + len(resumed.checkpoint.get("generators_of_others", [])) if resumed else now
    if now != before:
        log.info("trained by %d before, and by %d from here on: the rows are dealt out anew", before, now)
    elif now > 1:
        log.info("%d processes share each batch", now)


def _check_monitors(callbacks: list[Callback], task: Task, splits: tuple[str, ...]) -> None:
    """Refuses a callback that waits for a metric nobody reports, and a run that keeps no checkpoints."""
    metrics = [f"val/{name}" for name in task.metric_names()]
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in metrics:
            raise UserError(f"callbacks: monitor={monitor}: no such metric; valid: {', '.join(metrics)}")
        if isinstance(callback, EarlyStopping) and "val" not in splits:
            raise UserError("callbacks.early_stopping: needs a validation part, and data.val_fraction is 0")
    if not any(isinstance(callback, Checkpoints) for callback in callbacks):
        raise UserError("callbacks.checkpoints=null: a run needs its checkpoints")


def _length(task: Task, settings: TrainerSettings) -> str:
    return f"{task.total_steps:,} updates" if task.total_steps else f"{settings.max_seconds:g} s"


def _unit(spec: Mapping[str, Any]) -> str:
    return "characters" if spec.get("tokenizer", {}).get("kind") == "char" else "tokens"


def _loggers(run: Path, resumed: runs.Run | None) -> list[Any]:
    """Returns TensorBoard's logger and that of `metrics.csv`; none in a process that does not write."""
    if processes.rank() > 0:
        return []
    step = resumed.checkpoint["global_step"] if resumed else None
    purge: dict[str, Any] = {} if step is None else {"purge_step": step + 1}
    board = TensorBoardLogger(run, name=None, version="tensorboard", default_hp_metric=False, **purge)
    return [board, CsvMetrics(run / runs.METRICS, step)]


def _callbacks(config: Mapping[str, Any], model: nn.Module, spec: Mapping[str, Any]) -> list[Callback]:
    """Builds the configured callbacks in their order; samples are for models that write text."""
    provided: dict[str, Any] = {"spec": spec}
    if runs.writes_text(spec):
        provided["writer"] = runs.text_writer(model, spec)
    return [
        build(node, f"callbacks.{name}", **provided)
        for name, node in config.items()
        if node is not None and (name != "samples" or "writer" in provided)
    ]


def _results(task: Task, data: Any, trainer: Trainer, settings: TrainerSettings, run: Path) -> dict[str, float]:
    """Measures the best model on validation and, where there is one, the test part, and keeps their pictures."""
    results: dict[str, float] = {}
    for split in ("val", "test"):
        if split in data.splits:
            results |= measure(task, data.evaluation_dataloader(split), split, settings)
            keep_pictures(task, split, run, trainer.loggers, trainer.global_step)
    budget, monitor = find_callback(trainer, Budget), find_callback(trainer, Monitor)
    if budget is not None:
        results["train/seconds"] = round(budget.seconds, 2)
    if monitor is not None and monitor.seconds:
        results["train/tokens_per_second"] = round(monitor.tokens / monitor.seconds, 1)
    results["train/steps"] = trainer.global_step
    return results


def _log_hyperparameters(logger: TensorBoardLogger, config: Mapping[str, Any], results: Mapping[str, float]) -> None:
    """Writes what a sweep compares: the settings as plain leaves, the final figures under one tag in every run."""
    leaves = {"seed": config["seed"]}
    for group in (*(name for name in GROUPS if name != "callbacks"), *OPTIONAL_GROUPS):
        leaves |= _leaves(config.get(group, {}), group)
    logger.log_hyperparams(leaves, {f"hparams/{name}": value for name, value in results.items()})
    logger.finalize("success")


def _leaves(node: Any, path: str) -> dict[str, Any]:
    """Returns the settings under a path by their full names; lists and null as text, which TensorBoard can show."""
    if isinstance(node, Mapping):
        nested = [_leaves(value, f"{path}.{key}") for key, value in node.items() if key != "_partial_"]
        return {key: value for leaves in nested for key, value in leaves.items()}
    return {path: node if isinstance(node, bool | int | float | str) else json.dumps(node, default=str)}

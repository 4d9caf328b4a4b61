"""Measuring a trained run on a part of its data, or on other data."""

from typing import Any

import torch
from torch import nn

from seqmodels.building import build, call
from seqmodels.data import DataModule
from seqmodels.runs import Run, load_model
from seqmodels.tasks import Task
from seqmodels.trainers import TrainerSettings, make_trainer, quiet


def build_task(config: dict[str, Any], model: nn.Module, spec: dict[str, Any]) -> Task:
    """Builds the task of a configuration around a model."""
    optimizer = build(config["optimizer"], "optimizer")
    call(optimizer, {"params": [torch.zeros(1, requires_grad=True)]}, "optimizer")  # refuses what is out of range
    schedule = build(config["scheduler"], "scheduler")
    return build(
        config["task"],
        "task",
        model=model,
        optimizer=optimizer,
        schedule=schedule,
        characters_per_token=spec.get("characters_per_token"),
    )


def measure(task: Task, data: DataModule, split: str, settings: TrainerSettings) -> dict[str, float]:
    """Runs a task over one part of the data.

    Args:
        task: The task with its trained model.
        data: Gives `evaluation_dataloader(split)`.
        split: "train", "val" or "test".
        settings: The device and precision.

    Returns:
        Metrics by name, such as `{"val/loss": 1.5, ...}`.

    Raises:
        UserError: Where the data have no such part.
    """
    loader = data.evaluation_dataloader(split)
    task.evaluation_split = split
    try:
        with quiet():
            trainer = make_trainer(settings)
            trainer.validate(task, loader, verbose=False)
    finally:
        task.evaluation_split = "val"
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def evaluate(run: Run, split: str, data_overrides: dict[str, Any], settings: TrainerSettings) -> dict[str, float]:
    """Measures a run's best model.

    Args:
        run: The run.
        split: "train", "val" or "test".
        data_overrides: Keys under `data` that differ from the run's own, such as another `path`.
        settings: The device and precision.

    Returns:
        Metrics by name.
    """
    config = {**run.config, "data": {**run.config["data"], **data_overrides}}
    data = build(config["data"], "data", spec=run.spec)
    data.setup("validate")
    task = build_task(config, load_model(run), data.spec)
    return measure(task, data, split, settings)

"""Measuring a trained run on a part of its data, or on other data."""

from typing import Any

import torch
from torch import nn

from seqmodels.building import build, call
from seqmodels.data import DataModule
from seqmodels.runs import Run, build_loss, load_model
from seqmodels.tasks import Task, default_measures
from seqmodels.trainers import TrainerSettings, make_trainer, quiet


def build_task(config: dict[str, Any], model: nn.Module, spec: dict[str, Any], data: DataModule | None = None) -> Task:
    """Builds the task of a configuration around a model.

    What it measures is what fits the targets of the data, and what `task.measures` adds. A measure may ask for the
    model, the spec, or the data, to hold what is predicted against what was there to learn from.
    """
    optimizer = build(config["optimizer"], "optimizer")
    call(optimizer, {"params": [torch.zeros(1, requires_grad=True)]}, "optimizer")  # refuses what is out of range
    schedule = build(config["scheduler"], "scheduler")
    node = {key: value for key, value in config["task"].items() if key not in ("loss", "measures")}
    known = {**(spec.get("targets") or {}), "spec": spec, "model": model, "data": data}
    added = build(config["task"].get("measures") or {}, "task.measures", **known)
    return build(
        node,
        "task",
        model=model,
        optimizer=optimizer,
        schedule=schedule,
        loss=build_loss(config, spec),
        measures=[*default_measures(spec), *(measure for measure in added.values() if measure is not None)],
        spec=spec,
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
    # Lightning keeps figures in single precision: what lies beyond is no figure of ours.
    return {name: float(f"{float(value):.7g}") for name, value in trainer.callback_metrics.items()}


def evaluate(
    run: Run, split: str | None, data_overrides: dict[str, Any], settings: TrainerSettings
) -> dict[str, float]:
    """Measures a run's best model.

    Args:
        run: The run.
        split: "train", "val" or "test"; where left out, the test part, or all of another `path`.
        data_overrides: Keys under `data` that differ from the run's own, such as another `path`.
        settings: The device and precision.

    Returns:
        Metrics by name.
    """
    config = {**run.config, "data": {**run.config["data"], **data_overrides}}
    fractions = {"val_fraction", "test_fraction"}
    whole = split is None and "path" in data_overrides and not fractions & data_overrides.keys()
    if whole:  # nothing of other data was trained on, so that no part of them has to be held out
        config["data"] |= dict.fromkeys(fractions & config["data"].keys(), 0.0)
    data = build(config["data"], "data", spec=run.spec)
    data.setup("validate")
    task = build_task(config, load_model(run), data.spec, data)
    results = measure(task, data, "train" if whole else split or "test", settings)
    return {name.replace("train/", "test/") if whole else name: value for name, value in results.items()}

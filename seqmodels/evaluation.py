"""Measuring a trained run on a part of its data, or on other data."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from seqmodels.building import build, call, unknown_key
from seqmodels.callbacks import MeasuringReport
from seqmodels.data import DataModule
from seqmodels.decoding import BeamSearch
from seqmodels.errors import UserError
from seqmodels.runs import Run, build_loss, from_files, load_model
from seqmodels.tasks import Hypotheses, Measure, SequenceTask, Task, Transcripts, default_measures
from seqmodels.trainers import TrainerSettings, make_trainer, quiet


def build_task(config: dict[str, Any], model: nn.Module, spec: dict[str, Any], data: DataModule | None = None) -> Task:
    """Builds the task of a configuration around a model.

    What it measures is what fits the targets of the data, and what `task.measures` adds. A measure may ask for the
    model, the spec, or the data, to hold what is predicted against what was there to learn from.

    Raises:
        UserError: Where something does not fit.
    """
    _check_shape(model, spec)
    optimizer = build(config["optimizer"], "optimizer")
    call(optimizer, {"params": [torch.zeros(1, requires_grad=True)]}, "optimizer")  # refuses what is out of range
    schedule = build(config["scheduler"], "scheduler")
    node = {key: value for key, value in config["task"].items() if key not in ("loss", "measures")}
    known = {**(spec.get("targets") or {}), "spec": spec, "model": model, "data": data}
    added = build(config["task"].get("measures") or {}, "task.measures", **known)
    for name, added_one in added.items():
        if not isinstance(added_one, Measure | None):
            raise UserError(f"task.measures.{name}: expected null, or a measure with a _target_")
    task = build(
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
    if not isinstance(task, Task):
        raise UserError("task: expected a task with a _target_")
    return task


def _check_shape(model: nn.Module, spec: Mapping[str, Any]) -> None:
    """Refuses a model that is not of the shape of the data: whole sequences, a target at each step, or a source."""
    shape = spec.get("shape")
    if shape == "sequence_to_sequence" and not hasattr(model, "encoder"):
        raise UserError(
            "data: have a source for each target, and the model reads none; expected model=encoder_decoder "
            "task=sequence_to_sequence"
        )
    if "copied_unk" in (spec.get("context") or {}) and getattr(model, "copied_unk", None) is None:
        raise UserError(
            "data.copy_unknown=true: numbers words to be copied, and the model copies none; expected "
            "model=encoder_decoder model.copying=true"
        )
    if shape is None or not hasattr(model, "readout") or (shape == "many_to_one") == (model.readout is not None):
        return
    told = "one target for each sequence" if shape == "many_to_one" else "a target at each step"
    given = "at each step" if model.readout is None else "one thing for each sequence"
    others = {
        "one_to_many": "language_model task=language_modelling",
        "sequence_to_sequence": "encoder_decoder task=sequence_to_sequence",
    }
    fitting = others.get(shape, f"{shape} task={shape}")
    raise UserError(f"data: have {told} ({shape}), and the model predicts {given}; expected model={fitting}")


def measure(task: Task, loader: DataLoader, split: str, settings: TrainerSettings) -> dict[str, float]:
    """Runs a task over one part of the data.

    Args:
        task: The task with its trained model.
        loader: Gives the part, see `DataModule.evaluation_dataloader`.
        split: "train", "val" or "test".
        settings: The device and precision.

    Returns:
        Metrics by name, such as `{"val/loss": 1.5, ...}`.
    """
    task.evaluation_split = split
    try:
        with quiet():
            trainer = make_trainer(settings, callbacks=[MeasuringReport(split)])
            trainer.validate(task, loader, verbose=False)
    finally:
        task.evaluation_split = "val"
    # Lightning keeps figures in single precision: what lies beyond is no figure of ours.
    return {name: float(f"{float(value):.7g}") for name, value in trainer.callback_metrics.items()}


def evaluate(
    run: Run,
    split: str | None,
    data_overrides: dict[str, Any],
    settings: TrainerSettings,
    search: BeamSearch | None = None,
) -> dict[str, float]:
    """Measures a run's best model.

    Args:
        run: The run.
        split: "train", "val" or "test"; where left out, the test part, or of another `path` the test part that it
            names, or all of it where it names no parts.
        data_overrides: Keys under `data` that differ from the run's own, such as another `path`. With that, the files
            that belong to the run's own are not read, but those that are given anew.
        settings: The device and precision.
        search: How texts that are measured are searched for; as the run's configuration says where left out.

    Returns:
        Metrics by name.

    Raises:
        UserError: Where the data do not fit, or have no such part, or texts are to be searched for where none are
            measured.
    """
    node = changed_data(run.config["data"], data_overrides)
    elsewhere = "path" in data_overrides
    if elsewhere:
        node |= {key: None for key in node if _belongs_to_path(key) and key not in data_overrides}
    whole = split is None and elsewhere and not _SHARES & data_overrides.keys()
    if whole:  # nothing of other data was trained on, so that no part of them has to be held out
        node |= dict.fromkeys(_SHARES & node.keys(), 0.0)
    own = not data_overrides.keys() - _OF_NO_ACCOUNT
    with from_files(run.path):
        model = load_model(run)
        data = build(node, "data", spec=run.spec)
        data.setup("validate")
        task = build_task({**run.config, "data": node}, model, data.spec, data if own else None)
    if search is not None:
        _set_search(task, search)
    part = _part_of_other(data.splits, node["path"]) if whole else split or "test"
    results = measure(task, data.evaluation_dataloader(part), part, settings)
    return {name.replace("train/", "test/") if whole else name: value for name, value in results.items()}


def _set_search(task: Task, search: BeamSearch) -> None:
    """Has the measures of texts search for what they measure.

    Raises:
        UserError: Where there are none, or they know nothing but the size of a beam.
    """
    measures = task.measures if isinstance(task, SequenceTask) else []
    writing = [measure for measure in measures if isinstance(measure, Hypotheses | Transcripts)]
    if not writing:
        raise UserError(f"beam_size={search.beam_size}: this run measures no texts that it writes; leave it out")
    for measure in writing:
        measure.search_by(search)


_SHARES = {"val_fraction", "test_fraction"}
_OF_NO_ACCOUNT = {"batch_size", "num_workers", "cache_dir"}
"""Keys that change nothing of what was trained on."""


def _belongs_to_path(key: str) -> bool:
    """Whether a key of data names a part or a companion of the file `path`, which another file has not."""
    return key.endswith("_path") or key in ("captions", "transcripts", "test_speaker")


def _part_of_other(splits: tuple[str, ...], path: Any) -> str:
    """Returns the part of other data that is measured: what they name a test, or all of them."""
    if "test" in splits:
        return "test"
    if splits != ("train",):
        named = " and ".join(f"split={split}" for split in splits)
        raise UserError(f"data.path={path}: names its parts, and none is a test; expected one of them, {named}")
    return "train"


def changed_data(node: Mapping[str, Any], changes: Mapping[str, Any], path: str = "data") -> dict[str, Any]:
    """Returns a configuration with some keys changed, in what it holds of mappings too.

    Args:
        node: The configuration.
        changes: Values by keys; mappings go into those of the configuration.
        path: Where the node stands, for messages.

    Raises:
        UserError: Where keys are given under one that has none.

    Example:
        >>> changed_data({"path": "a.npz", "arrays": {"inputs": "x", "targets": "y"}}, {"arrays": {"inputs": "series"}})
        {'path': 'a.npz', 'arrays': {'inputs': 'series', 'targets': 'y'}}
    """
    changed = dict(node)
    for key, value in changes.items():
        if isinstance(value, Mapping):
            if key not in node:
                raise UserError(unknown_key(path, key, dict(value), list(node)))
            if not isinstance(node[key], Mapping):
                inner, given = next(iter(value.items()))
                raise UserError(f"{path}.{key}.{inner}={given}: {path}.{key} of this run has no keys under it")
            value = changed_data(node[key], value, f"{path}.{key}")
        changed[key] = value
    return changed

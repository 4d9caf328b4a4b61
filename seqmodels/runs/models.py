"""The model of a run, built from its configuration and what is known of its data."""

import warnings
from collections.abc import Mapping
from typing import Any

from torch import nn

from seqmodels import trust
from seqmodels.building import build
from seqmodels.decoding import TextWriter
from seqmodels.errors import UserError
from seqmodels.runs.reading import Run, from_files, writes_text
from seqmodels.runs.writing import CONFIG
from seqmodels.tasks.losses import Loss, in_units, num_targets
from seqmodels.verified.sizes import check_layers, check_size, outlined


def check_model(run: Run) -> None:
    """Refuses a run whose files describe another model than its weights are of, before memory is taken for it.

    Raises:
        UserError: Where they do, or describe none.
    """
    if trust.names_own_code(run.config["model"]):  # which may need numbers to make a cell, and was said to be trusted
        return
    weights = run.checkpoint["state_dict"]
    with from_files(run.path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that are not copied, for which there is no place
        check_layers(run.config["model"], weights, "model")
        with outlined(weights, str(run.path)):
            model = build_model(run.config, run.spec)
        load_weights(model, run)
        check_size(model, weights, str(run.path))


def build_model(config: Mapping[str, Any], spec: Mapping[str, Any]) -> nn.Module:
    """Builds the model of a configuration; sizes that it leaves open come from the spec of the data and the loss.

    Raises:
        UserError: Where model, loss and data do not fit each other.
    """
    sizes = sizes_of(spec)
    loss = build_loss(config, spec)
    if loss is not None:
        sizes["output_size"] = loss.output_size(num_targets(spec["targets"]))
        given = config["model"].get("output_size")
        if given not in (None, sizes["output_size"]):
            raise UserError(f"model.output_size={given}: the loss needs {sizes['output_size']}; leave it out")
    with trust.naming_own_code(config.get("model"), "model"):
        model = build(config.get("model"), "model", **sizes)
        trust.try_out(model)
    return model


def sizes_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a model may ask of the data: their sizes."""
    parts = [spec, *(spec.get(name) or {} for name in ("inputs", "context"))]
    return {key: value for part in parts for key, value in part.items() if isinstance(value, int)}


def build_loss(config: Mapping[str, Any], spec: Mapping[str, Any]) -> Loss | None:
    """Builds the loss of a configuration for its data; `None` for a task that has its own.

    Raises:
        UserError: Where the loss does not fit the targets.
    """
    node = config["task"].get("loss")
    if node is None:
        return None
    if "targets" not in spec:
        raise UserError(f"task: has a loss to choose, and data of kind {spec['kind']} bring no targets for it")
    loss = build(node, "loss")
    try:
        return in_units(loss.fitted(spec["targets"]), spec["targets"])
    except UserError as error:
        if loss.kind == "classes" and "target_kind" in (config.get("data") or {}):
            raise UserError(f"{error}; or data.target_kind=classes, where these numbers stand for classes") from error
        raise


def load_model(run: Run) -> nn.Module:
    """Builds a run's model with its trained weights, in evaluation mode.

    Raises:
        UserError: Where weights and configuration do not fit each other.
    """
    check_model(run)
    model = build_model(run.config, run.spec)
    load_weights(model, run)
    return model.eval()


def load_weights(model: nn.Module, run: Run) -> None:
    """Copies the weights of a run's checkpoint into a model.

    Raises:
        UserError: Where they do not fit.
    """
    weights = run.checkpoint["state_dict"]
    own = {name.removeprefix("model."): value for name, value in weights.items() if name.startswith("model.")}
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UserError(f"{run.checkpoint_path}: the weights do not fit {run.path / CONFIG}: {first}") from error


def text_writer(model: nn.Module, spec: Mapping[str, Any]) -> TextWriter:
    """Makes the writer of a language model.

    Raises:
        UserError: Where the data of the run are not text.
    """
    if not writes_text(spec):
        raise UserError(f"a run over data of kind {spec.get('kind')!r} generates no text")
    return TextWriter.from_spec(model, spec)

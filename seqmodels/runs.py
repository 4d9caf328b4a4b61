"""A run directory: what is written into it, and what rebuilds everything from it alone."""

import itertools
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from seqmodels import exports, trust
from seqmodels.building import build, check_config
from seqmodels.callbacks.checkpoints import BEST, LAST, PREVIOUS
from seqmodels.decoding import TextWriter
from seqmodels.errors import UserError
from seqmodels.tasks.losses import Loss, in_units, num_targets
from seqmodels.verified.checkpoints import check_progress, load_checkpoint
from seqmodels.verified.documents import read_json, read_yaml
from seqmodels.verified.links import check_links
from seqmodels.verified.sizes import check_layers, check_size, outlined
from seqmodels.verified.specs import check_spec

CONFIG, SPEC, RESULTS, METRICS = "config.yaml", "spec.json", "results.json", "metrics.csv"


@dataclass(frozen=True)
class Run:
    """A trained run, rebuilt from its directory.

    Args:
        path: The run directory.
        config: Its configuration, plain.
        spec: What its model knows of the data.
        checkpoint: The loaded checkpoint.
        checkpoint_path: Where that came from.
        last_written: When `last.ckpt` was written, in nanoseconds, as it was before anything was read.
    """

    path: Path
    config: dict[str, Any]
    spec: dict[str, Any]
    checkpoint: dict[str, Any]
    checkpoint_path: Path
    last_written: int


def create(config: Mapping[str, Any], spec: Mapping[str, Any], job: int | None = None) -> Path:
    """Makes `<output_dir>/<name>/<date>_<time>[_<job>]` with `config.yaml` and `spec.json`, and lets `latest` name it.

    Args:
        config: The configuration.
        spec: What the model knows of the data.
        job: The number of the job in a sweep.

    Raises:
        UserError: Where it cannot be made.
    """
    output_dir = Path(config["output_dir"])
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
        run = _claim(output_dir / config["name"], moment if job is None else f"{moment}_{job}")
        write_config(run, config)
        write_json(run / SPEC, spec)
        point(output_dir / "latest", run)
    except OSError as error:
        raise UserError(f"output_dir={output_dir}: cannot make a run directory there: {error.strerror}") from error
    return run.resolve()


def _claim(folder: Path, name: str) -> Path:
    """Makes a folder that was not there; with a number behind its name, where a run of the same second has taken it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        run = folder / (name if number == 1 else f"{name}-{number}")
        try:
            run.mkdir()
            return run
        except FileExistsError:
            continue
    raise AssertionError("itertools.count ends never")


def point(link: Path, run: Path) -> None:
    """Lets a link, such as `latest` in the output folder, name a run; it is swapped in one step."""
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(os.path.relpath(run.resolve(), link.parent.resolve()), target_is_directory=True)
    os.replace(beside, link)


def write_text(path: Path, text: str) -> None:
    """Writes a small file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def write_config(run: Path, config: Mapping[str, Any]) -> None:
    """Writes `config.yaml`."""
    write_text(run / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes `spec.json` or `results.json`."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def shown(path: Path) -> str:
    """Returns a path as a user would type it: from the working folder, where it lies below that."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def find_run(name: str, key: str = "run", to_resume: bool = False) -> tuple[Path, Path | None]:
    """Finds a run by what a user types.

    Args:
        name: A run directory, a checkpoint file in one, or `latest` for the newest under `outputs/`.
        key: The key it was given by, for messages.
        to_resume: Whether training is to go on, which it cannot from what was exported.

    Returns:
        The run directory, and the checkpoint file where one was named.

    Raises:
        UserError: Where there is none, or it cannot be gone on with.
    """
    path = Path("outputs", "latest") if name == "latest" else Path(name)
    if name == "latest" and not path.exists():
        raise UserError(f"{key}=latest: there is no run under {Path('outputs').resolve()}; train one: seqmodels train")
    if path.is_file() and path.suffix == ".ckpt":
        return path.parent.parent.resolve(), path.resolve()
    if not path.is_dir():
        raise UserError(f"{key}={name}: no such run directory, checkpoint file or `latest`")
    if not (path / CONFIG).is_file() and not exports.is_export(path):
        raise UserError(f"{key}={name}: not a run directory, it has no {CONFIG}")
    if to_resume and exports.is_export(path):
        raise UserError(f"{key}={name}: was exported for use, without what training goes on from")
    return path.resolve(), None


def read_config(run: Path) -> dict[str, Any]:
    """Reads `config.yaml` as plain values; nothing in it is executed or interpolated.

    Raises:
        UserError: Where it cannot be read.
    """
    path = run / CONFIG
    return _checked_config(read_yaml(path), path)


def _checked_config(config: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        check_config(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if "cache_dir" in config["data"]:  # a run says what is read, never where something is written
        config = {**config, "data": {**config["data"], "cache_dir": None}}
    return config


def read_spec(run: Path) -> dict[str, Any]:
    """Reads `spec.json`.

    Raises:
        UserError: Where it cannot be read.
    """
    path = run / SPEC
    return _checked_spec(read_json(path), path)


def _checked_spec(spec: dict[str, Any], path: Path) -> dict[str, Any]:
    if writes_text(spec) and not (isinstance(spec.get("tokenizer"), dict) and isinstance(spec.get("vocab_size"), int)):
        raise UserError(f"{path}: damaged: it lacks a tokenizer (a mapping) or a vocab_size (an integer)")
    if not isinstance(spec.get("kind"), str):
        raise UserError(f"{path}: damaged: it lacks a kind")
    try:
        check_spec(spec)
    except UserError as error:
        raise UserError(f"{path}: damaged: {error}") from error
    return spec


def load_first(run: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], Path]:
    """Loads the first of several checkpoints that is whole, and says on stderr which were passed over.

    Raises:
        UserError: Where there is none.
    """
    folder = run / "checkpoints"
    present = [folder / name for name in names if (folder / name).is_file()]
    if not present:
        raise UserError(f"{run}: the run has no checkpoint ({', '.join(names)}) in {folder.name}/")
    for path in present:
        try:
            return load_checkpoint(path), path
        except UserError as error:
            last_error = error
            if path != present[-1]:
                print(f"warning: {error}; taking the one before", file=sys.stderr)
    raise last_error


def load_run(name: str, key: str = "run", to_resume: bool = False) -> Run:
    """Reads a run directory.

    Args:
        name: What `find_run` takes.
        key: The key it was given by, for messages.
        to_resume: Prefers the last checkpoint; the best one otherwise.

    Raises:
        UserError: Where something is missing or damaged.
    """
    path, checkpoint_path = find_run(name, key, to_resume)
    written = _last_written(path)
    if exports.is_export(path):
        about = path / exports.ABOUT
        config, spec, checkpoint = exports.read_export(path)
        config, spec = _checked_config(config, about), _checked_spec(spec, about)
        run = Run(path, config, spec, checkpoint, path / exports.WEIGHTS, written)
    else:
        config, spec = read_config(path), read_spec(path)
        if checkpoint_path is not None:
            checkpoint = load_checkpoint(checkpoint_path)
        else:
            order = (LAST, PREVIOUS, BEST) if to_resume else (BEST, LAST, PREVIOUS)
            checkpoint, checkpoint_path = load_first(path, order)
        run = Run(path, config, spec, checkpoint, checkpoint_path, written)
    if to_resume:
        check_links(path)
        check_progress(checkpoint, run.checkpoint_path)
    return run


def _last_written(run: Path) -> int:
    last = run / "checkpoints" / LAST
    return last.stat().st_mtime_ns if last.is_file() else 0


def check_unchanged(run: Run) -> None:
    """Refuses a run that has gone on since it was read; to be asked once no other process can.

    Raises:
        UserError: Where it has.
    """
    if _last_written(run.path) != run.last_written:
        raise UserError(f"{run.path}: another process has trained in it meanwhile; resume it again")


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


@contextmanager
def from_files(run: Path) -> Iterator[None]:
    """Tells failures within the block as those of a run's files, of which everything there is made.

    Args:
        run: The run directory.

    Raises:
        UserError: In place of another exception.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{run}: there is not enough memory for what its files describe") from error
    except Exception as error:
        raise damaged(run, error) from error


def damaged(run: Path, error: BaseException) -> UserError:
    """Returns what to tell of a run whose files fail in an unforeseen way."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return UserError(f"{run}: its files are damaged or do not go together ({reason}); debug=true shows where")


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


def writes_text(spec: Mapping[str, Any]) -> bool:
    """Whether a model for data of this spec writes text."""
    return spec.get("kind") == "text"


def text_writer(model: nn.Module, spec: Mapping[str, Any]) -> TextWriter:
    """Makes the writer of a language model.

    Raises:
        UserError: Where the data of the run are not text.
    """
    if not writes_text(spec):
        raise UserError(f"a run over data of kind {spec.get('kind')!r} generates no text")
    return TextWriter.from_spec(model, spec)

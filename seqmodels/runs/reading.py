"""What is read back from a run directory; nothing in it is executed."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqmodels import exports, resources
from seqmodels.building import check_config
from seqmodels.callbacks.checkpoints import BEST, LAST, PREVIOUS
from seqmodels.errors import UserError
from seqmodels.runs.writing import CONFIG, SPEC
from seqmodels.verified.checkpoints import check_progress, load_checkpoint
from seqmodels.verified.documents import read_json, read_yaml
from seqmodels.verified.entries import check_entries
from seqmodels.verified.specs import check_spec


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
        check_entries(path)
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
        if resources.explain(error) is not None:
            raise
        raise damaged(run, error) from error


def damaged(run: Path, error: BaseException) -> UserError:
    """Returns what to tell of a run whose files fail in an unforeseen way."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return UserError(f"{run}: its files are damaged or do not go together ({reason}); debug=true shows where")


def writes_text(spec: Mapping[str, Any]) -> bool:
    """Whether a model for data of this spec writes text."""
    return spec.get("kind") == "text"

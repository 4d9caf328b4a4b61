"""A run as two files for others: `weights.safetensors`, and `run.json` with all else that is needed to use it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import seqmodels
from seqmodels.errors import UserError
from seqmodels.verified.checkpoints import load_weights_file
from seqmodels.verified.documents import read_json

ABOUT, WEIGHTS = "run.json", "weights.safetensors"
FORMATS = ("safetensors",)
_VERSION = 1
_MODEL = "model."


def write_export(
    folder: Path, config: Mapping[str, Any], spec: Mapping[str, Any], checkpoint: Mapping[str, Any], kind: str
) -> None:
    """Writes a run's model for others; each file appears when it is whole.

    Args:
        folder: Where, made where it is missing.
        config: The run's configuration.
        spec: What its model knows of the data.
        checkpoint: What its weights are taken from.
        kind: How, one of `FORMATS`.

    Raises:
        UserError: For another format, a folder that has such files already, or one that cannot be written.
    """
    from safetensors.torch import save

    check_format(kind)
    stored = checkpoint["state_dict"].items()
    weights = {name.removeprefix(_MODEL): tensor for name, tensor in stored if name.startswith(_MODEL)}
    about = {
        "format": kind,
        "version": _VERSION,
        "seqmodels": seqmodels.__version__,
        "global_step": checkpoint["global_step"],
        "config": dict(config),
        "spec": dict(spec),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if taken := [name for name in (ABOUT, WEIGHTS) if (folder / name).exists()]:
            raise UserError(f"output={folder}: has {' and '.join(taken)} already; expected another folder")
        beside = folder / f".{WEIGHTS}.{os.getpid()}"
        # Copies: what shares its values, as tied weights do, is stored for each name.
        beside.write_bytes(save({name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}))
        os.replace(beside, folder / WEIGHTS)
        beside = folder / f".{ABOUT}.{os.getpid()}"
        beside.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(beside, folder / ABOUT)
    except OSError as error:
        raise UserError(f"output={folder}: cannot be written: {error.strerror or error}") from error


def check_format(kind: str) -> None:
    """Refuses a format that is not known.

    Raises:
        UserError: For such a one.
    """
    if kind not in FORMATS:
        raise UserError(f"format={kind}: no such format; valid: {', '.join(FORMATS)}")


def is_export(folder: Path) -> bool:
    """Tells whether a folder is what `write_export` made."""
    return (folder / ABOUT).is_file()


def read_export(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Reads what `write_export` made; nothing in it is executed.

    Returns:
        Configuration, spec, and a checkpoint of weights alone, with the updates that made them.

    Raises:
        UserError: Where a file is missing, damaged, or of a later version.
    """
    path = folder / ABOUT
    about = read_json(path)
    if about.get("format") not in FORMATS or about.get("version") != _VERSION:
        shown = f"format={about.get('format')!r} version={about.get('version')!r}"
        raise UserError(f"{path}: {shown}: expected format={FORMATS[0]!r} version={_VERSION}, as this program writes")
    for name in ("config", "spec"):
        if not isinstance(about.get(name), dict):
            raise UserError(f"{path}: damaged: it lacks {name}, a mapping")
    step = about.get("global_step")
    if type(step) is not int or step < 0:
        raise UserError(f"{path}: damaged: global_step={step!r}: expected an integer of at least 0")
    weights = {_MODEL + name: tensor for name, tensor in load_weights_file(folder / WEIGHTS).items()}
    return about["config"], about["spec"], {"state_dict": weights, "global_step": step, "generators": {}}

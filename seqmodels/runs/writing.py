"""What is written into a run directory, and where that is made."""

import itertools
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from seqmodels.errors import UserError, escaped

CONFIG, SPEC, RESULTS, METRICS = "config.yaml", "spec.json", "results.json", "metrics.csv"


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
    return escaped(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))

"""A folder for what is computed once, keyed by what it was computed from."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from seqmodels.errors import UserError

T = TypeVar("T")


def default_cache_dir() -> Path:
    """Returns `$SEQMODELS_CACHE`, else `$XDG_CACHE_HOME/seqmodels`, else `~/.cache/seqmodels`."""
    if own := os.environ.get("SEQMODELS_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seqmodels"


def open_cache_dir(cache_dir: str | None) -> Path:
    """Makes the cache folder where it is missing.

    Raises:
        UserError: Where it cannot be written.
    """
    folder = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def unwritable(folder: Path, error: OSError) -> UserError:
    """Returns what to tell of a cache that cannot be written."""
    return UserError(f"data.cache_dir={folder}: cannot be written: {error.strerror}; expected a folder with free space")


def cached(cache_dir: str | None, key: dict[str, Any], build: Callable[[Path], None], load: Callable[[Path], T]) -> T:
    """Loads what was built before from the same key, or builds it first.

    It is built beside its place and then renamed, so that what is found is whole, and two processes that build at once
    end with one of two equal results.

    Args:
        cache_dir: The folder of all that is cached, `None` for the default one.
        key: Everything the result depends on, plain JSON.
        build: Writes the result into an empty folder.
        load: Reads it from there; raises `OSError`, `ValueError` or `KeyError` where it is damaged.
    """
    folder = open_cache_dir(cache_dir)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    place = folder / digest
    if place.exists():
        try:
            return load(place)
        except (OSError, ValueError, KeyError):
            shutil.rmtree(place, ignore_errors=True)
    _build_aside(place, build)
    return load(place)


def _build_aside(place: Path, build: Callable[[Path], None]) -> None:
    try:
        aside = place.with_name(f"{place.name}.{uuid.uuid4().hex}")
        aside.mkdir()
        try:
            build(aside)
            os.replace(aside, place)
        except OSError:
            if not place.exists():  # otherwise another process was quicker
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise unwritable(place.parent, error) from error

"""Files from the network, kept in the cache and held to their checksum."""

import hashlib
import os
import shutil
import urllib.request
import uuid
from pathlib import Path

from seqmodels.data.cache import open_cache_dir, unwritable
from seqmodels.errors import UserError

TIMEOUT_SECONDS = 30


def download(url: str, sha256: str, cache_dir: str | None = None) -> Path:
    """Returns a file that is downloaded once.

    Args:
        url: Where it is.
        sha256: What it must be, in hexadecimal.
        cache_dir: Where it is kept; `None` is the default cache.

    Raises:
        UserError: Where it cannot be fetched, is not what it should be, or cannot be kept.
    """
    folder = open_cache_dir(cache_dir)
    place = folder / f"{sha256[:16]}{Path(url).suffix}"
    if place.exists() and _sha256(place) == sha256:
        return place
    aside = place.with_name(f"{place.name}.{uuid.uuid4().hex}")
    try:
        _fetch(url, aside)
        found = _sha256(aside)
        if found != sha256:
            raise UserError(f"{url}: has SHA-256 {found}, expected {sha256}; data.path= takes a local file")
        os.replace(aside, place)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        aside.unlink(missing_ok=True)
    return place


def _fetch(url: str, target: Path) -> None:
    try:
        response = urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)
    except OSError as error:  # URLError, HTTPError and a timeout are all of this kind
        raise UserError(
            f"{url}: cannot be downloaded ({getattr(error, 'reason', error)}); data.path= takes a local file"
        ) from error
    with response, open(target, "wb") as file:
        shutil.copyfileobj(response, file)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

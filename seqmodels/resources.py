"""What the machine refuses a run, such as memory or disk, and what to do about it, told in one line."""

import errno
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqmodels.errors import UserError

_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_OUT_OF_MEMORY = re.compile(r"not enough memory|can't allocate memory|bad_alloc|out of memory|Cannot allocate memory")
_ASKED = re.compile(
    r"tried to allocate (\d+) bytes|[Tt]ried to allocate ([\d.]+ \wi?B)|Unable to allocate ([\d.]+ \wiB)"
)
_WORKER_DIED = re.compile(r"DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\)[^.]*?(?:killed by signal: (\w+)|exited)")


@dataclass
class Where:
    """Where a run is written, once that is known.

    Args:
        run: Its directory.
    """

    run: Path | None = None


@contextmanager
def told(config: Mapping[str, Any]) -> Iterator[Where]:
    """Turns what the machine refuses within the block into one line that names keys of the configuration.

    Args:
        config: The configuration of the run.

    Yields:
        What is to be given the run's directory when there is one: torch tells of a dead worker in whatever code is
        running, so that one block has to cover all of it.

    Raises:
        UserError: For memory that is not there, a worker that died, a disk that takes no more.
    """
    where = Where()
    of_threads = threading.excepthook

    def keep_quiet(failed: threading.ExceptHookArgs) -> None:
        """Leaves what the disk refuses a thread, as that of TensorBoard, to the block: it meets the same."""
        error = failed.exc_value
        if not isinstance(error, OSError) or explain(error, config, where.run) is None:
            of_threads(failed)

    threading.excepthook = keep_quiet
    try:
        yield where
    except Exception as error:
        line = explain(error, config, where.run)
        if line is None:
            raise
        raise UserError(line) from error
    finally:
        threading.excepthook = of_threads


def explain(error: Exception, config: Mapping[str, Any] | None = None, run: Path | None = None) -> str | None:
    """Returns the one line for something that the machine refused; `None` for anything else.

    Args:
        error: What was raised.
        config: The configuration of the run, where it is known.
        run: The run directory, where files of it are being written.

    Example:
        >>> explain(MemoryError("Unable to allocate 7.28 TiB for an array"), {"data": {"batch_size": 64}})
        'out of memory (7.28 TiB more were asked for) with data.batch_size=64; lower it'
        >>> explain(ValueError("something else")) is None
        True
    """
    text = str(error)
    if text.startswith("Caught UserError in DataLoader worker"):
        return text.strip().splitlines()[-1].partition("UserError: ")[2]
    if isinstance(error, UserError):
        return None
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError | OSError) and _OUT_OF_MEMORY.search(text)
    ):
        return _memory(text, config or {})
    if isinstance(error, RuntimeError) and (found := _WORKER_DIED.search(text)):
        return _worker(found, config or {}, run)
    if isinstance(error, OSError) and error.errno in _WRITING and run is not None:
        path = error.filename or run
        return f"{path}: cannot be written: {error.strerror}; the last checkpoint is kept{_go_on(run)}"
    return None


def _memory(text: str, config: Mapping[str, Any]) -> str:
    """Says what was asked for, what the size of a batch is, and what to lower."""
    found = _ASKED.search(text)
    asked = next((group for group in found.groups() if group), "") if found else ""
    if asked.isdigit():
        asked = f"{int(asked) / 2**30:.3g} GiB"
    where = "out of GPU memory" if "CUDA" in text else "out of memory"
    more = f" ({asked} more were asked for)" if asked else ""
    sizes = _sizes(config)
    if not sizes:
        return f"{where}{more}; lower data.batch_size"
    if len(sizes) == 1:
        return f"{where}{more} with {sizes[0]}; lower it"
    return (
        f"{where}{more} with {', '.join(sizes)}; lower one of them; half the batch and twice "
        "trainer.accumulate_grad_batches make the same updates"
    )


def _sizes(config: Mapping[str, Any]) -> list[str]:
    """Returns the keys that memory goes with, and their values."""
    keys = (
        *("data.batch_size", "data.batch_tokens", "tbptt.k1", "tbptt.k2"),
        *("model.hidden_size", "model.num_layers", "model.encoder.hidden_size"),
    )
    sizes = []
    for key in keys:
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            sizes.append(f"{key}={value}")
    if "tbptt" in config and not any(size.startswith("tbptt.k2") for size in sizes):
        sizes.append("tbptt.k2=null (whole sequences)")
    return sizes


def _worker(found: re.Match[str], config: Mapping[str, Any], run: Path | None) -> str:
    reason = f"was killed ({found.group(2)})" if found.group(2) else "died"
    workers = (config.get("data") or {}).get("num_workers")
    return (
        f"data.num_workers={workers}: a worker (process {found.group(1).strip()}) that prepares batches {reason}, "
        f"which the system does where memory runs out; lower it, or 0{_go_on(run)}"
    )


def _go_on(run: Path | None) -> str:
    return f"; go on with: seqmodels train resume={run}" if run is not None else ""

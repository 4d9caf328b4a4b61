"""One process at a time trains in a run directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqmodels import processes
from seqmodels.errors import UserError

LOCK = ".lock"

_held: set[int] = set()


def _let_go() -> None:
    """Closes what a fork has copied: a loader's workers would keep the lock when the process that took it is dead."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keeps other processes from training in a run directory, within the block. A process that dies lets go.

    Of several processes that train one model together, the first one locks for all.

    Args:
        run: The run directory.

    Raises:
        UserError: Where another process trains in it, or nothing can be written there.
    """
    place = processes.find_place()
    if place is not None and place.rank:
        yield
        return
    try:
        descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{run}: cannot be trained in: {error.strerror}") from error
    _held.add(descriptor)
    try:
        _lock(descriptor, run)
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _lock(descriptor: int, run: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip() or "another process"
        raise UserError(f"{run}: {holder} trains in it; wait for its end, or stop it") from error
    except OSError:  # a file system that knows no locks: better unguarded than not at all
        return
    # A disk may be full: the lock holds without a word in the file.
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    except OSError:
        return

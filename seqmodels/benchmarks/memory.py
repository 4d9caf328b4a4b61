"""Peak memory of one forward and backward pass on the CPU.

Torch counts its own allocations alone: what oneDNN and other libraries take for themselves, and what a compiled kernel
allocates, is not among them. So the process is measured: the high-water mark of its resident memory, as the kernel of
the operating system keeps it, less what was resident before the pass. Each measurement has a fresh process (forked from
one that has imported torch and done nothing else), so that nothing kept from an earlier one, such as freed memory that
the allocator did not return or a library's scratchpad, can take the place of memory that the pass would need. The code
and the threads are warmed by a pass over a tiny layer. The mark includes the outputs and the gradients, which are as
large on both sides, and not the inputs and parameters, which were there before.
"""

import ctypes
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from seqmodels.benchmarks.contenders import CONTENDERS, TORCH, Batch, make_torch
from seqmodels.benchmarks.shapes import Shape

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_HIGH_WATER_MARK = "5"


class Scales:
    """Measures peaks, each in a process of its own.

    Args:
        pool: Starts the processes.
        threads: Threads of torch in each.
    """

    def __init__(self, pool: ProcessPoolExecutor, threads: int) -> None:
        self._pool = pool
        self._threads = threads
        self._known: dict[tuple[str, Shape], int | None] = {}

    def peak(self, name: str, shape: Shape, backend: str = "auto") -> int | None:
        """Measures one layer, once.

        Args:
            name: A key of `CONTENDERS` or of `TORCH`.
            shape: The sizes.
            backend: The kernel of our layer.

        Returns:
            Bytes; None where the operating system does not tell.
        """
        if (name, shape) not in self._known:
            self._known[name, shape] = self._pool.submit(_peak, name, shape, backend, self._threads).result()
        return self._known[name, shape]


@contextmanager
def scales(threads: int) -> Iterator[Scales]:
    """Opens what measures peaks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        yield Scales(pool, threads)


def _peak(name: str, shape: Shape, backend: str, threads: int) -> int | None:
    torch.set_num_threads(threads)
    _pass(name, replace(shape, batch=threads, time=2, input_size=4, hidden_size=16), backend)
    return _pass(name, shape, backend)


def _pass(name: str, shape: Shape, backend: str) -> int | None:
    layer = make_torch(TORCH[name], shape) if name in TORCH else CONTENDERS[name].make(shape, backend)
    batch = Batch(shape)
    try:
        _return_free_memory()
        _CLEAR.write_text(_RESET_HIGH_WATER_MARK)
        before = _resident("VmRSS")
        results = batch.backward(layer)
        peak = _resident("VmHWM") - before
    except OSError:  # no Linux, or one that does not tell
        return None
    del results
    return peak


def _return_free_memory() -> None:
    """Asks the allocator to give back what is free, which the pass would otherwise use unseen."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _resident(field: str) -> int:
    """Reads a field of the process's status, in bytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"{_STATUS} has no {field}")

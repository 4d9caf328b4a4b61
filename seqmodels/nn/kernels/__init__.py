"""How the loop over time runs, never what it computes.

A kernel is a module (or any object) with the three functions of `Kernel`. To add one, write it and name it in
`_KERNELS`, the fastest first; the tests hold every kernel to `reference`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seqmodels.nn.cells import Cell, Weights
from seqmodels.nn.kernels import aten, compiled, fused, reference, scan
from seqmodels.nn.state import State

__all__ = ["Kernel", "backends", "check_name", "running_on", "select"]

_IN_PLACE: ContextVar["Kernel | None"] = ContextVar("kernel in place of all others", default=None)


class Kernel(Protocol):
    """What a kernel must offer."""

    def available(self) -> bool:
        """Tells whether this machine can run it at all."""

    def misfit(self, cell: Cell, like: Tensor) -> str | None:
        """Tells why it cannot run a cell on tensors like this one (device and dtype), or None when it can."""

    def run(
        self,
        cell: Cell,
        inputs: Tensor,
        state: State,
        batch_sizes: list[int] | None = None,
        weights: Weights | None = None,
        recompute: bool = False,
    ) -> tuple[Tensor, State]:
        """Runs one cell over all steps, forward in time.

        Args:
            cell: The cell.
            inputs: (time, batch, input_size).
            state: The state before the first step, each (batch, hidden_size).
            batch_sizes: Rows still running at each step, never growing, as in a `PackedSequence`; all if None.
            weights: What a gated cell's products use instead of its own `weights()`.
            recompute: Whether to keep little for the backward pass and compute the rest again there.

        Returns:
            The outputs (time, batch, hidden_size), zero where a row has ended, and each row's state after its last
            step, all in the dtype of `state`.
        """


_KERNELS: dict[str, Kernel] = {
    "scan": scan,
    "compiled": compiled,
    "triton": fused,
    "aten": aten,
    "reference": reference,
}


def backends() -> tuple[str, ...]:
    """Names the kernels this machine can run, the fastest first.

    Returns:
        Names that `Recurrent(..., backend=)` takes beside "auto".

    Example:
        >>> backends()
        ('scan', 'compiled', 'aten', 'reference')
    """
    return tuple(name for name, kernel in _KERNELS.items() if kernel.available())


def check_name(backend: str) -> None:
    """Refuses a backend that this machine does not have.

    Raises:
        ValueError: With the names that are valid.
    """
    if backend != "auto" and backend not in backends():
        raise ValueError(f"backend: expected one of auto, {', '.join(backends())}, got {backend!r}")


@contextmanager
def running_on(kernel: Kernel) -> Iterator[None]:
    """Runs every cell on one kernel, whatever backend its layer names, as long as the context lasts.

    Args:
        kernel: Such as one that keeps what it sees.
    """
    token = _IN_PLACE.set(kernel)
    try:
        yield
    finally:
        _IN_PLACE.reset(token)


def select(backend: str, cell: Cell, like: Tensor) -> Kernel:
    """Picks the kernel for a cell.

    Args:
        backend: "auto" for the fastest that fits, or a name of `backends()`.
        cell: The cell.
        like: A tensor on the device and in the dtype of the loop.

    Returns:
        The kernel.

    Raises:
        ValueError: The name is unknown, or that kernel does not fit; lists those that do.
    """
    in_place = _IN_PLACE.get()
    if in_place is not None:
        return in_place
    if backend == "auto":
        return _fastest(cell, like)
    check_name(backend)
    reason = _KERNELS[backend].misfit(cell, like)
    if reason is None:
        return _KERNELS[backend]
    fitting = [name for name in backends() if _KERNELS[name].misfit(cell, like) is None]
    raise ValueError(f"backend: {backend!r} does not fit: {reason}; expected one of auto, {', '.join(fitting)}")


def _fastest(cell: Cell, like: Tensor) -> Kernel:
    if _are_operations_watched():
        return reference
    for name, kernel in _KERNELS.items():
        fits_device = name != "triton" or like.is_cuda  # off a GPU Triton is interpreted, for tests alone
        if fits_device and kernel.available() and kernel.misfit(cell, like) is None:
            return kernel
    raise AssertionError("reference fits every cell")


def _are_operations_watched() -> bool:
    """Tells whether torch compiles, exports or transforms what is done, which it can with plain operations alone."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
    )

"""Loaders that continue exactly where a checkpoint left them."""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from seqmodels.errors import UserError


class Order(Protocol):
    """Which batches an epoch has, and in which order: a pure function of the epoch (and of a seed of its own)."""

    def __len__(self) -> int:
        """Returns the number of batches, the same in every epoch."""

    def keys(self, epoch: int, start: int) -> Iterator[Any]:
        """Yields what the dataset is indexed with, for each batch of `epoch` from number `start` on."""


class InOrder:
    """Batches 0, 1, 2, ... in every epoch."""

    def __init__(self, num_batches: int):
        self.num_batches = num_batches

    def __len__(self) -> int:
        return self.num_batches

    def keys(self, epoch: int, start: int) -> Iterator[int]:
        """Yields `start` to the last number."""
        return iter(range(start, self.num_batches))


class FirstOf:
    """The first batches of each epoch of another order.

    Args:
        order: The whole one.
        num_batches: How many of each epoch, at most.

    Example:
        >>> list(FirstOf(InOrder(5), 3).keys(0, start=1)), len(FirstOf(InOrder(5), 9))
        ([1, 2], 5)
    """

    def __init__(self, order: Order, num_batches: int):
        self.order = order
        self.num_batches = min(num_batches, len(order))

    def __len__(self) -> int:
        return self.num_batches

    def keys(self, epoch: int, start: int) -> Iterator[Any]:
        """Yields those of the whole order, up to the last of them."""
        return itertools.islice(self.order.keys(epoch, start), self.num_batches - start)


class _Place(Sampler[Any]):
    """Yields an order's keys from a place that can be set."""

    def __init__(self, order: Order):
        self.order = order
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Any]:
        return self.order.keys(self.epoch, self.start)


class _Loader(DataLoader):
    """Loads whole batches; however a worker's death shows, it is told as torch tells it where it notices first."""

    def __init__(self, dataset: Dataset, place: _Place, num_workers: int):
        super().__init__(
            dataset,
            batch_size=None,
            sampler=place,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),
            worker_init_fn=_leave_signals_to_parent,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        with _sigterm_blocked():
            batches = super().__iter__()
        try:
            yield from batches
        except (ConnectionError, EOFError) as error:
            if not isinstance(batches, _MultiProcessingDataLoaderIter) or str(error).startswith("Caught "):
                raise  # was raised by the dataset
            pids = ", ".join(str(worker.pid) for worker in batches._workers if _has_ended(worker))
            raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from error


@contextmanager
def _sigterm_blocked() -> Iterator[None]:
    """Has workers that start within the block begin without SIGTERM: torch's handler would end them by anyone's."""
    if not hasattr(signal, "sigwaitinfo"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_ended(worker: BaseProcess) -> bool:
    worker.join(timeout=0.2)
    return not worker.is_alive()


class ResumableLoader(_Loader):
    """Loads whole batches and knows its place, so that training resumed within an epoch sees exactly what comes next.

    The place belongs to the loader: a new iteration goes on after the last batch that was handed out, and begins the
    next epoch once all batches of one were. Batches that workers prepared ahead do not count. The generators of Python,
    NumPy and torch are not touched.

    Args:
        dataset: Its items, indexed by the keys of `order`, are whole batches.
        order: Which keys, in which order, in each epoch.
        num_workers: Processes that prepare batches ahead; 0 prepares them in this one.

    Example:
        >>> dataset = torch.arange(4)
        >>> loader = ResumableLoader(dataset, InOrder(4))
        >>> batches = iter(loader)
        >>> int(next(batches)), int(next(batches)), loader.state_dict()
        (0, 1, {'epoch': 0, 'batches': 2, 'batches_per_epoch': 4})
        >>> resumed = ResumableLoader(dataset, InOrder(4))
        >>> resumed.load_state_dict(loader.state_dict())
        >>> [int(batch) for batch in resumed]
        [2, 3]
    """

    def __init__(self, dataset: Dataset, order: Order, num_workers: int = 0):
        self.place = _Place(order)
        super().__init__(dataset, self.place, num_workers)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        epoch, handed_out = self.place.epoch, self.place.start
        for batch in super().__iter__():
            handed_out += 1
            is_last = handed_out == len(self)
            # Set before the batch is handed out: whoever counts batches asks for no more once it has the last.
            self.place.epoch, self.place.start = (epoch + 1, 0) if is_last else (epoch, handed_out)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Returns the place: the epoch, and how many of its batches were handed out."""
        return {"epoch": self.place.epoch, "batches": self.place.start, "batches_per_epoch": len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Moves to the place that `state_dict` gave.

        Raises:
            UserError: Where the place is from other data or other batches.
        """
        if state["batches_per_epoch"] != len(self):
            raise UserError(
                f"the checkpoint's epoch has {state['batches_per_epoch']} batches and this data makes {len(self)}: "
                "a run resumes only with the same data, data.batch_size, tbptt and trainer.limit_train_batches"
            )
        epoch, batches = state["epoch"], state["batches"]
        if epoch < 0 or not 0 <= batches < max(len(self), 1):
            raise UserError(f"the checkpoint is damaged: its place is batch {batches} of epoch {epoch}")
        self.place.epoch, self.place.start = epoch, batches


def evaluation_loader(dataset: Dataset, order: Order, num_workers: int = 0) -> DataLoader:
    """Returns a loader that begins at the first batch, in the order of epoch 0, whenever it is iterated."""
    return _Loader(dataset, _Place(order), num_workers)


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_parent(worker: int) -> None:
    """Has a worker live on where a terminal or a scheduler signals all processes, so that training can end in order.

    It ends where its parent says so, by its queue or by SIGTERM, and where its parent is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # which tells who sent a signal; not everywhere
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_for_parent, daemon=True).start()


def _end_for_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        continue
    os._exit(0)

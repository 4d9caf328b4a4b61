"""The rows of a batch step by step, those that have ended left out, and how threads share them."""

import functools
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

_HOST = torch.device("cpu")  # whatever the default device is, the library reads these


def _host(numbers: list[int]) -> Tensor:
    return torch.tensor(numbers, device=_HOST)


@dataclass(frozen=True, eq=False)
class Rows:
    """Steps laid one after another, each with the rows that are still running, as in a `PackedSequence`.

    A history of states has the initial state's rows first and then those of all steps.

    Attributes:
        batch_size: Rows at the start.
        counts: Rows at each step.
        starts: First row of each step, (steps + 1,), the total last.
        before: First row of each step's earlier state in a history.
        after: First row of each step's new state in a history.
        even: Whether all rows run through all steps.
        positions: Where each row is among steps x batch_size; None where even.
        previous: Where each row's earlier state is in a history; None where even, as then it is `batch_size` above.
        last: Where the final state of each row of the batch is in a history; None where even.
    """

    batch_size: int
    counts: Tensor
    starts: Tensor
    before: Tensor
    after: Tensor
    even: bool
    positions: Tensor | None = None
    previous: Tensor | None = None
    last: Tensor | None = None
    bounds: list[int] = field(init=False)  # starts, as numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", self.starts.tolist())

    @property
    def total(self) -> int:
        """Counts the rows of all steps."""
        return self.bounds[-1]

    def pack(self, steps: Tensor) -> Tensor:
        """Turns (time, batch, features) into (total, features)."""
        flat = steps.reshape(-1, steps.shape[-1]).contiguous()
        return flat if self.positions is None else flat.index_select(0, self.positions)

    def unpack(self, rows: Tensor) -> Tensor:
        """Turns (total, features) into (time, batch, features), zero where a row has ended."""
        shape = (len(self.counts), self.batch_size, rows.shape[1])
        if self.positions is None:
            return rows.view(shape)
        flat = rows.new_zeros(shape[0] * shape[1], shape[2])
        return flat.index_copy_(0, self.positions, rows).view(shape)

    def chunks(self, rows_each: int) -> list[tuple[int, int]]:
        """Cuts the steps into runs (first, stop) of about so many rows."""
        steps, bounds = len(self.bounds) - 1, self.bounds
        if self.even:
            each = max(1, rows_each // self.batch_size)
            return [(first, min(first + each, steps)) for first in range(0, steps, each)]
        cuts = [0]
        for t in range(1, steps + 1):
            if bounds[t] - bounds[cuts[-1]] >= rows_each or t == steps:
                cuts.append(t)
        return list(pairwise(cuts))

    def tasks(self, num_threads: int) -> Tensor:
        """Cuts the batch into a part for each thread with equal numbers of steps to run, (parts + 1,)."""
        parts = max(1, min(num_threads, self.batch_size))
        if self.even:
            return _even_tasks(parts, self.batch_size)
        lengths = (self.counts[:, None] > torch.arange(self.batch_size, device=_HOST)).sum(0).cumsum(0)
        targets = torch.arange(1, parts, device=_HOST) * int(lengths[-1]) / parts
        inner = torch.searchsorted(lengths.double(), targets.double()) + 1
        return torch.cat([_host([0]), inner, _host([self.batch_size])])


@functools.lru_cache(maxsize=64)
def _even_tasks(parts: int, batch_size: int) -> Tensor:
    return torch.arange(parts + 1, device=_HOST) * batch_size // parts


@functools.lru_cache(maxsize=64)
def even_rows(steps: int, batch_size: int) -> Rows:
    """Gives the rows of a batch that all run through all steps."""
    starts = torch.arange(steps + 1, device=_HOST) * batch_size
    return Rows(batch_size, torch.full((steps,), batch_size, device=_HOST), starts, starts[:-1], starts[1:], even=True)


def ragged_rows(batch_sizes: list[int], batch_size: int) -> Rows:
    """Gives the rows of a batch sorted by length, from the number still running at each step."""
    counts = _host(batch_sizes)
    starts = torch.cat([_host([0]), counts.cumsum(0)])
    after = starts[:-1] + batch_size
    before = torch.cat([_host([0]), after[:-1]])
    step = torch.repeat_interleave(torch.arange(len(batch_sizes), device=_HOST), counts)
    row = torch.arange(int(starts[-1]), device=_HOST) - starts[step]
    lengths = (counts[:, None] > torch.arange(batch_size, device=_HOST)).sum(0)
    rows = torch.arange(batch_size, device=_HOST)
    last = torch.where(lengths > 0, torch.cat([_host([0]), after])[lengths] + rows, rows)
    positions, previous = step * batch_size + row, before[step] + row
    return Rows(batch_size, counts, starts, before, after, False, positions, previous, last)

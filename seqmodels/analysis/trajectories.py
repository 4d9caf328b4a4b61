"""The way of one sequence through a cell, and what a step does to small differences along it."""

import warnings
from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from seqmodels.analysis.recording import CellRecord
from seqmodels.nn import State
from seqmodels.nn.cells import Cell

_PROBES = 32  # steps by which `Trajectory` finds out which tensors of the state matter
_CHUNK = 512  # rows of one Jacobian that are computed at once


@dataclass(frozen=True)
class Positions:
    """States from which a cell takes one step each, as flat vectors.

    A flat vector holds the tensors of the state that move, side by side: those that may begin as anything, and those
    that they depend on smoothly. A counter is no part of it: it is held as it is.

    Attributes:
        cell: The cell.
        prepared: What the step reads, as `Cell.prepare` gives it, (rows, anything).
        state: The state before the step, each (rows, hidden_size).
        moving: Which tensors of the state the flat vector holds.
    """

    cell: Cell
    prepared: Tensor
    state: State
    moving: tuple[int, ...]

    @property
    def flat(self) -> Tensor:
        """The states as flat vectors, (rows, size)."""
        return torch.cat([self.state[number] for number in self.moving], -1)

    def at(self, flat: Tensor) -> "Positions":
        """Gives other states under the same inputs.

        Args:
            flat: (rows, size).

        Returns:
            The positions.
        """
        return replace(self, state=self._split(flat, self.state))

    def repeated(self, times: int) -> "Positions":
        """Gives every row some times, one beside the other.

        Args:
            times: How often.

        Returns:
            (rows * times) positions.
        """
        state = tuple(tensor.repeat_interleave(times, 0) for tensor in self.state)
        return replace(self, prepared=self.prepared.repeat_interleave(times, 0), state=state)

    def step(self) -> Tensor:
        """Takes the step.

        Returns:
            The flat states after it, (rows, size).
        """
        _, state = self.cell.step(self.prepared, self.state)
        return torch.cat([state[number] for number in self.moving], -1)

    def push(self, tangents: Tensor) -> Tensor:
        """Says what becomes of small differences in the step: the step Jacobian times a vector, in each row.

        Args:
            tangents: (rows, size).

        Returns:
            (rows, size), by forward differentiation, so no graph is kept.
        """
        _load_forward_mode()
        with torch.no_grad(), forward_ad.dual_level():
            zeros = tuple(torch.zeros_like(tensor) for tensor in self.state)
            moves = self._split(tangents.detach(), zeros)
            dual = tuple(forward_ad.make_dual(*pair) for pair in zip(self.state, moves, strict=True))
            after, tangent = forward_ad.unpack_dual(replace(self, state=dual).step())
            return torch.zeros_like(after) if tangent is None else tangent.clone()

    def jacobians(self) -> Tensor:
        """Computes the step Jacobian of each row, d after / d before.

        Returns:
            (rows, size, size), the entry [r, i, j] being the derivative of the i-th number after by the j-th before.

        Example:
            >>> from seqmodels.nn import LSTMCell
            >>> trajectory = follow(LSTMCell(3, 4), torch.randn(7, 3))
            >>> trajectory.positions(torch.tensor([0, 6])).jacobians().shape
            torch.Size([2, 8, 8])
        """
        unit = torch.eye(self.flat.shape[1], dtype=self.flat.dtype, device=self.flat.device)
        return torch.stack([self._jacobian(row, unit) for row in range(len(self.prepared))])

    def _jacobian(self, row: int, unit: Tensor) -> Tensor:
        state = tuple(tensor[row : row + 1] for tensor in self.state)
        here = replace(self, prepared=self.prepared[row : row + 1], state=state)
        columns = [here.repeated(len(chunk)).push(chunk) for chunk in unit.split(_CHUNK)]
        return torch.cat(columns).T

    def _split(self, flat: Tensor, still: State) -> State:
        state = list(still)
        for number, tensor in zip(self.moving, flat.chunk(len(self.moving), -1), strict=True):
            state[number] = tensor.contiguous()
        return tuple(state)


class Trajectory:
    """The steps that a cell took over one sequence, in the order in which it took them.

    Attributes:
        cell: The cell.
        inputs: What it read, (time, features).
        previous: The state before each step, each (time, hidden_size).
        moving: Which tensors of the state make its flat vector, see `Positions`.
        size: Numbers in a flat vector.

    Args:
        cell: The cell, in evaluation mode.
        inputs: What it read, (time, features), the first step first.
        previous: The state before each step, each (time, hidden_size).

    Raises:
        ValueError: There are no steps.
    """

    def __init__(self, cell: Cell, inputs: Tensor, previous: State) -> None:
        if not len(inputs):
            raise ValueError("inputs: expected at least one step, got none")
        self.cell, self.inputs = cell, inputs.detach()
        self.previous = tuple(tensor.detach() for tensor in previous)
        with torch.no_grad():
            self._prepared = cell.prepare(self.inputs)
        self.moving = _moving(cell, self._prepared, self.previous)
        self.size = sum(self.previous[number].shape[-1] for number in self.moving)

    @classmethod
    def of(cls, record: CellRecord, row: int = 0, steps: int | None = None) -> "Trajectory":
        """Takes one sequence from a record.

        Args:
            record: What `watch` saw of a cell.
            row: Which sequence of the batch.
            steps: How many steps at most, the first ones in the order of running; all if None.

        Returns:
            The trajectory; that of a backward cell begins at the end of the sequence.
        """
        inputs, previous = record.inputs[:, row], [tensor[:, row] for tensor in record.previous]
        if record.backward:
            inputs, previous = inputs.flip(0), [tensor.flip(0) for tensor in previous]
        return cls(record.cell, inputs[:steps], tuple(tensor[:steps] for tensor in previous))

    def __len__(self) -> int:
        return len(self.inputs)

    def positions(self, steps: Tensor) -> Positions:
        """Gives the states before some steps, with what the steps read.

        Args:
            steps: Their numbers, (rows,).

        Returns:
            The positions, a row for each.
        """
        steps = steps.to(self.inputs.device)
        state = tuple(tensor[steps] for tensor in self.previous)
        return Positions(self.cell, self._prepared[steps], state, self.moving)

    def spread(self, count: int) -> Tensor:
        """Chooses steps evenly from the first to the last.

        Args:
            count: How many at most.

        Returns:
            Their numbers, each once, (count or fewer,).
        """
        return torch.linspace(0, len(self) - 1, min(count, len(self))).round().long()


def follow(cell: Cell, inputs: Tensor, state: State | None = None) -> Trajectory:
    """Runs a cell over one sequence by itself, without a model around it.

    Args:
        cell: The cell, in evaluation mode.
        inputs: (time, features).
        state: The state before the first step, each (1, hidden_size); the cell's initial state if None.

    Returns:
        The trajectory.

    Raises:
        ValueError: There are no steps.

    Example:
        >>> from seqmodels.nn import LSTMCell
        >>> trajectory = follow(LSTMCell(3, 5), torch.randn(7, 3))
        >>> len(trajectory), trajectory.size
        (7, 10)
    """
    state = cell.initial_state(1) if state is None else state
    before = []
    with torch.no_grad():
        for row in cell.prepare(inputs)[:, None]:
            before.append(state)
            _, state = cell.step(row, state)
    previous = tuple(torch.cat(tensors) for tensors in zip(*before, strict=True))
    return Trajectory(cell, inputs, previous)


@cache
def _load_forward_mode() -> None:
    """Has torch load what it loads at the first use of forward differentiation, where it warns of itself."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.filterwarnings("ignore", "`torch.jit.*deprecated", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


def _moving(cell: Cell, prepared: Tensor, previous: State) -> tuple[int, ...]:
    """Finds the tensors that may begin as anything, and those that they depend on smoothly.

    Not all that may not begin as anything is a counter: the memory of an sLSTM must fit its normaliser.
    """
    probes = torch.linspace(0, len(prepared) - 1, min(_PROBES, len(prepared))).round().long().to(prepared.device)
    with torch.enable_grad():
        state = tuple(tensor[probes].clone().requires_grad_() for tensor in previous)
        _, after = cell.step(prepared[probes], state)
    moving = set(range(len(state) if cell.num_free is None else cell.num_free))
    while True:
        read = {
            number
            for target in moving
            if after[target].requires_grad
            for number, slope in enumerate(_slopes(after[target], state))
            if slope is not None and bool((slope != 0).any())
        }
        if read <= moving:
            return tuple(sorted(moving))
        moving |= read


def _slopes(after: Tensor, state: State) -> tuple[Tensor | None, ...]:
    # A weight for each number, so that slopes of opposite sign do not cancel.
    weights = torch.linspace(1, 2, after.numel(), dtype=after.dtype, device=after.device).view_as(after)
    return torch.autograd.grad(after, state, weights, retain_graph=True, allow_unused=True)

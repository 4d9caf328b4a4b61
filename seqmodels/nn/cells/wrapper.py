"""Cells around cells."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.gated import GatedCell, Weights
from seqmodels.nn.state import State


class CellWrapper(GatedCell):
    """A gated cell that leaves all to another gated cell; a subclass changes what it regularises.

    It has no products of its own: `weights()` gives those of the cell inside.

    Attributes:
        cell: The cell inside.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        cell: Makes the cell inside: a `GatedCell` class, or a `functools.partial` of one.

    Raises:
        ValueError: What it makes is not a `GatedCell`, or is one with a step of its own.
    """

    def __init__(self, input_size: int, hidden_size: int, cell: Callable[..., Cell]) -> None:
        Cell.__init__(self, input_size, hidden_size)  # past GatedCell, which would make products
        inside = cell(input_size, hidden_size)
        if not isinstance(inside, GatedCell) or type(inside).step is not GatedCell.step:
            kind = type(inside).__name__
            raise ValueError(f"cell: expected something that makes a GatedCell without a step of its own, got {kind}")
        self.cell = inside
        self.num_gates, self.num_states = inside.num_gates, inside.num_states
        self.num_free = inside.num_free

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        self.cell.reset_parameters()

    def initial_state(self, batch_size: int) -> State:
        """Gives the state before the first step; see `Cell.initial_state`."""
        return self.cell.initial_state(batch_size)

    def weights(self) -> Weights:
        """Gives the weights for one call over a sequence; see `GatedCell.weights`."""
        return self.cell.weights()

    def project(self, inputs: Tensor) -> Tensor:
        """Does what needs no state; see `GatedCell.project`."""
        return self.cell.project(inputs)

    @property
    def projects_plainly(self) -> bool:
        """Whether the cell inside does; see `GatedCell.projects_plainly`."""
        return self.cell.projects_plainly

    def draw(self, inputs: Tensor) -> Tensor | None:
        """Draws what is random; see `GatedCell.draw`. A subclass puts columns of its own after these."""
        return self.cell.draw(inputs)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        return self.cell.update(projected, recurrent, state)


def check_probability(probability: float) -> None:
    """Refuses what is no probability of dropping something.

    Raises:
        ValueError: It is not in [0, 1).
    """
    if not 0 <= probability < 1:
        raise ValueError(f"probability: expected a probability in [0, 1), got {probability}")


def bernoulli(probability: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draws ones with a probability, to within 1/65536, and zeros else.

    On a CPU four are made of each random number, as drawing them is slow.

    Args:
        probability: Of a one.
        shape: Of the result.
        like: A tensor of the dtype and device.
    """
    if like.device.type != "cpu":
        return torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(probability)
    count = math.prod(shape)
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    sixteenths = words.view(torch.int16)[:count]
    return (sixteenths < round(probability * 2**16) - 2**15).to(like.dtype).view(shape)

"""Cells around cells."""

from collections.abc import Callable

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

"""Depth, directions, lengths and resets for any cell."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn import kernels
from seqmodels.nn.cells import Cell
from seqmodels.nn.checks import check_inputs, check_options, starting_state
from seqmodels.nn.ragged import SortedRows
from seqmodels.nn.segments import run_segments
from seqmodels.nn.state import State


class Recurrent(nn.Module):
    """Runs a cell over sequences, in any number of layers and in one direction or both.

    Args:
        cell: Makes a cell of given input and hidden size: a class, or a `functools.partial` of one.
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, and of the state.
        num_layers: Layers, each reading the outputs of the one below.
        bidirectional: Whether a second cell in each layer reads the sequence from its end.
        dropout: Probability of zeroing an output between layers, while training.
        initial_state: "zero" for the cell's own initial state, "learned" for a parameter that starts at zero.
        backend: The kernel that runs the loop: a name of `backends()`, or "auto" for the fastest that fits.

    Attributes:
        num_directions: 1 or 2.
        num_states: Tensors in the state.
        output_size: Features of the outputs, num_directions * hidden_size.

    Raises:
        ValueError: An argument is out of range, or the backend is unknown or does not fit the cell.

    Example:
        >>> from functools import partial
        >>> from seqmodels.nn import LSTMCell
        >>> layer = Recurrent(partial(LSTMCell, forget_bias=2.0), 3, 5, num_layers=2, bidirectional=True)
        >>> outputs, (h, c) = layer(torch.randn(4, 7, 3), lengths=torch.tensor([7, 0, 3, 5]))
        >>> outputs.shape, h.shape
        (torch.Size([4, 7, 10]), torch.Size([4, 4, 5]))
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        initial_state: str = "zero",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_options(num_layers, dropout, initial_state)
        kernels.check_name(backend)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_directions = 2 if bidirectional else 1
        self.output_size = self.num_directions * hidden_size
        self.dropout = dropout
        self.backend = backend
        sizes = [input_size] + [self.output_size] * (num_layers - 1)
        self.cells = nn.ModuleList(
            _make_cell(cell, size, hidden_size) for size in sizes for _ in range(self.num_directions)
        )
        self.num_states = self._cell(0).num_states
        kernels.select(backend, self._cell(0), self._like())
        self.learned_state = nn.ParameterList(
            nn.Parameter(torch.zeros(len(self.cells), 1, hidden_size))
            for _ in range(self.num_states if initial_state == "learned" else 0)
        )

    def initial_state(self, batch_size: int) -> State:
        """Gives the state before the first step.

        Args:
            batch_size: Rows.

        Returns:
            Tensors of (num_layers * num_directions, batch_size, hidden_size).
        """
        if self.learned_state:
            return tuple(s.expand(-1, batch_size, -1) for s in self.learned_state)
        return _stack([self._cell(k).initial_state(batch_size) for k in range(len(self.cells))])

    def forward(
        self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Runs over sequences.

        Args:
            inputs: (batch, time, input_size).
            state: Where to start, each (num_layers * num_directions, batch, hidden_size); the initial state if None.
            lengths: Steps of each row, (batch,) integers from 0 to time; all if None. What lies beyond is never read.
            reset: (batch, time) bool; before such a step the state goes back to the initial state. Going backward in
                time it does so after the step, so that a reset parts the same steps in both directions.

        Returns:
            The outputs (batch, time, num_directions * hidden_size), zero beyond each length, and the state after each
            row's last step, each (num_layers * num_directions, batch, hidden_size).

        Raises:
            ValueError: A shape, dtype, device or length does not fit.
        """
        check_inputs(self, inputs, lengths, reset, self._like())
        B, T, _ = inputs.shape
        state = starting_state(self, state, B, self._like())
        if reset is not None:
            return run_segments(self, inputs, state, lengths, reset)
        inputs = inputs.transpose(0, 1)
        if lengths is None or bool((lengths == T).all()):
            outputs, state = self._run(inputs.contiguous(), state, None)
            return outputs.transpose(0, 1), state
        rows = SortedRows(lengths, inputs.device)
        outputs, state = self._run(rows.sort(inputs), tuple(s.index_select(1, rows.order) for s in state), rows)
        outputs = F.pad(outputs, (0, 0, 0, 0, 0, T - outputs.shape[0])).index_select(1, rows.inverse)
        return outputs.transpose(0, 1), tuple(s.index_select(1, rows.inverse) for s in state)

    def _run(self, inputs: Tensor, state: State, rows: SortedRows | None) -> tuple[Tensor, State]:
        """Runs all layers over (time, batch, input_size)."""
        final_states = []
        for layer in range(self.num_layers):
            if layer > 0:
                inputs = F.dropout(inputs, self.dropout, self.training)
            outputs = []
            for direction in range(self.num_directions):
                k = layer * self.num_directions + direction
                output, final_state = self._run_cell(k, inputs, tuple(s[k] for s in state), direction == 1, rows)
                outputs.append(output)
                final_states.append(final_state)
            inputs = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
        return inputs, _stack(final_states)

    def _run_cell(
        self, k: int, inputs: Tensor, state: State, backward: bool, rows: SortedRows | None
    ) -> tuple[Tensor, State]:
        """Runs cell k over (time, batch, features), from the end if backward."""
        cell = self._cell(k)
        kernel = kernels.select(self.backend, cell, inputs)
        inputs = _reverse(inputs, rows) if backward else inputs
        outputs, state = kernel.run(cell, inputs, state, None if rows is None else rows.batch_sizes)
        return _reverse(outputs, rows) if backward else outputs, state

    def _cell(self, k: int) -> Cell:
        cell = self.cells[k]
        assert isinstance(cell, Cell)
        return cell

    def _like(self) -> Tensor:
        """Gives a tensor on the device and in the dtype of the layer."""
        return next(self.parameters(), torch.empty(0))

    def extra_repr(self) -> str:
        """Shows what the cells do not, in `print(layer)`."""
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
            f"bidirectional={self.num_directions == 2}, dropout={self.dropout}, backend={self.backend!r}"
        )


def _make_cell(cell: Callable[[int, int], Cell], input_size: int, hidden_size: int) -> Cell:
    made = cell(input_size, hidden_size)
    if not isinstance(made, Cell):
        raise ValueError(f"cell: expected something that makes a seqmodels.nn.Cell, got one that makes {type(made)}")
    return made


def _stack(states: list[State]) -> State:
    """Stacks states of single cells, each (batch, hidden_size), into the state of all."""
    return tuple(torch.stack(tensors) for tensors in zip(*states, strict=True))


def _reverse(sequence: Tensor, rows: SortedRows | None) -> Tensor:
    return sequence.flip(0) if rows is None else rows.reverse(sequence)

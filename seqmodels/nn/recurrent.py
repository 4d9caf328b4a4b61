"""Depth, directions, lengths and resets for any cell."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn import kernels
from seqmodels.nn.cells import Cell
from seqmodels.nn.dropout import variational_dropout
from seqmodels.nn.layer import Context, RecurrentLayer
from seqmodels.nn.ragged import SortedRows
from seqmodels.nn.stacking import (
    Stacking,
    check_residual,
    join,
    joined_size,
    stack_states,
    unstack_state,
    width_after,
)
from seqmodels.nn.state import State


class Recurrent(RecurrentLayer):
    """Runs a cell over sequences, in any number of layers and in one direction or both.

    Args:
        cell: Makes a cell of given input and hidden size: a class, or a `functools.partial` of one.
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, and of the state: one number for all layers or one for each.
        num_layers: Layers, each reading the outputs of the one below.
        bidirectional: Whether a second cell in each layer reads the sequence from its end.
        dropout: Probability of zeroing an output between layers, while training.
        initial_state: "zero" for the cell's own initial state, "learned" for a parameter that starts at zero, "noisy"
            for the cell's own with Gaussian noise added while training, so that the layer learns not to depend on where
            it starts (Zimmermann et al., 2012, "Forecasting with Recurrent Neural Networks: 12 Tricks").
        backend: The kernel that runs the loop: a name of `backends()`, or "auto" for the fastest that fits.
        stacking: Residual or dense connections, layers between, what comes out; plain layers if None.
        context: Lets the layer take a vector for each sequence, as initial state, as input at each step, or both.
        noise: The standard deviation of a "noisy" initial state.
        recompute: Whether to keep little for the backward pass and compute the rest again there: the states alone
            with the "compiled" kernel, about sqrt(time) segments' states with others.

    Attributes:
        hidden_size: Features of the state, the widest layer's; what lies beyond a layer's own width is zero.
        hidden_sizes: Each layer's own width.
        num_directions: 1 or 2.
        num_states: Tensors in the state.
        num_free: How many of them, from the first on, may begin as anything, see `Cell`.
        output_size: Features of the outputs: num_directions * the last layer's hidden size, unless `stacking.outputs`
            says otherwise.

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
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        initial_state: str = "zero",
        backend: str = "auto",
        stacking: Stacking | None = None,
        context: Context | None = None,
        noise: float = 0.1,
        recompute: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bidirectional, dropout, context)
        kernels.check_name(backend)
        self.backend = backend
        self.recompute = recompute
        self._make_layers(cell, stacking or Stacking())
        kernels.select(backend, self._cell(0), self._like())
        self.make_initial_state(self._cell(0).num_states, initial_state, noise, self._cell(0).num_free)

    def _make_layers(self, cell: Callable[[int, int], Cell], stacking: Stacking) -> None:
        """Makes the cells, and what stands between layers, each for the width it reads."""
        self.connections = stacking.connections
        self.outputs = stacking.outputs
        self.variational_dropout = stacking.variational_dropout
        self.cells = nn.ModuleList()
        self.between = nn.ModuleList()
        sizes = []
        read_size = self.first_input_size
        for layer, hidden_size in enumerate(self.hidden_sizes):
            self.cells.extend(_make_cell(cell, read_size, hidden_size) for _ in range(self.num_directions))
            size = self.num_directions * hidden_size
            sizes.append(size)
            if self.connections == "residual":
                check_residual(layer, read_size, size)
            if stacking.between is not None and layer < self.num_layers - 1:
                self.between.append(stacking.between(size))
                size = width_after(self.between[layer], size)
            read_size = read_size + size if self.connections == "dense" else size
        self.output_size = joined_size(self.outputs, sizes)

    def _run(self, inputs: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        inputs = inputs.transpose(0, 1)
        if lengths is None:
            outputs, state = self._run_layers(inputs.contiguous(), state, None)
            return outputs.transpose(0, 1), state
        T = inputs.shape[0]
        rows = SortedRows(lengths, inputs.device)
        sorted_state = tuple(s.index_select(1, rows.order) for s in state)
        outputs, state = self._run_layers(rows.sort(inputs), sorted_state, rows)
        outputs = F.pad(outputs, (0, 0, 0, 0, 0, T - outputs.shape[0])).index_select(1, rows.inverse)
        return outputs.transpose(0, 1), tuple(s.index_select(1, rows.inverse) for s in state)

    def _run_layers(self, inputs: Tensor, state: State, rows: SortedRows | None) -> tuple[Tensor, State]:
        """Runs all layers over (time, batch, first_input_size); padding stays zero throughout."""
        states = unstack_state(state, self._cell_sizes)
        final_states: list[State] = []
        sequences: list[Tensor] = []
        below = inputs  # what the layer below hands on; `inputs` is what this layer makes of it and reads
        for layer in range(self.num_layers):
            outputs = self._run_layer(layer, inputs, states, final_states, rows)
            if self.connections == "residual" and outputs.shape[-1] == below.shape[-1]:
                outputs = outputs + below
            if self.outputs == "last":
                sequences.clear()
            sequences.append(outputs)
            if layer < self.num_layers - 1:
                below = self._hand_on(layer, outputs, rows)
                dropped = self._drop(below)
                inputs = torch.cat([inputs, dropped], -1) if self.connections == "dense" else dropped
        return join(self.outputs, sequences), stack_states(final_states, self.hidden_size)

    def _run_layer(
        self, layer: int, inputs: Tensor, states: list[State], final_states: list[State], rows: SortedRows | None
    ) -> Tensor:
        """Runs a layer's directions, and adds to the final states."""
        outputs = []
        for direction in range(self.num_directions):
            k = layer * self.num_directions + direction
            output, final_state = self._run_cell(k, inputs, states[k], direction == 1, rows)
            outputs.append(output)
            final_states.append(final_state)
        return torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]

    def _run_cell(
        self, k: int, inputs: Tensor, state: State, backward: bool, rows: SortedRows | None
    ) -> tuple[Tensor, State]:
        """Runs cell k over (time, batch, features), from the end if backward."""
        cell = self._cell(k)
        backend = "reference" if len(inputs) == 1 and self.backend == "auto" else self.backend  # one step is no loop
        kernel = kernels.select(backend, cell, state[0])
        inputs = _reverse(inputs, rows) if backward else inputs
        batch_sizes = None if rows is None else rows.batch_sizes
        outputs, state = kernel.run(cell, inputs, state, batch_sizes, recompute=self.recompute)
        return _reverse(outputs, rows) if backward else outputs, state

    def _hand_on(self, layer: int, outputs: Tensor, rows: SortedRows | None) -> Tensor:
        """Applies what stands above a layer, if anything does."""
        if not self.between:
            return outputs
        outputs = self.between[layer](outputs)
        return outputs if rows is None else rows.clear(outputs)

    def _drop(self, inputs: Tensor) -> Tensor:
        if self.variational_dropout:
            return variational_dropout(inputs, self.dropout, self.training, time_axis=0)
        return F.dropout(inputs, self.dropout, self.training)

    def _own_state(self, batch_size: int) -> State:
        states = [self._cell(k).initial_state(batch_size) for k in range(len(self.cells))]
        return stack_states(states, self.hidden_size)

    def _cell(self, k: int) -> Cell:
        cell = self.cells[k]
        assert isinstance(cell, Cell)
        return cell

    def _like(self) -> Tensor:
        cell = self._cell(0)
        for parameter in cell._parameters.values():  # at hand; `parameters()` takes longer than all checks together
            if parameter is not None:
                return parameter
        return next(cell.parameters(), torch.empty(0))

    def extra_repr(self) -> str:
        """Shows what the cells do not, in `print(layer)`."""
        sizes = self.hidden_size if len(set(self.hidden_sizes)) == 1 else list(self.hidden_sizes)
        return (
            f"{self.input_size}, {sizes}, num_layers={self.num_layers}, "
            f"bidirectional={self.num_directions == 2}, dropout={self.dropout}, backend={self.backend!r}"
        )


def _make_cell(cell: Callable[[int, int], Cell], input_size: int, hidden_size: int) -> Cell:
    made = cell(input_size, hidden_size)
    if not isinstance(made, Cell):
        raise ValueError(f"cell: expected something that makes a seqmodels.nn.Cell, got one that makes {type(made)}")
    return made


def _reverse(sequence: Tensor, rows: SortedRows | None) -> Tensor:
    return sequence.flip(0) if rows is None else rows.reverse(sequence)

"""Every state of the recurrent layers of any model, while it runs as it always does."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from seqmodels.nn import ElmanCell, GRUCell, LSTMCell, NativeRecurrent, Recurrent, State
from seqmodels.nn.cells import Cell, Weights
from seqmodels.nn.kernels import reference, running_on


@dataclass
class CellRecord:
    """What one cell, of one layer and direction, read and kept.

    Attributes:
        name: Such as "layer 1", "layer 2 backward", or where a model has several recurrent parts "encoder layer 1".
        cell: The cell.
        layer: The number of its layer, from 0.
        backward: Whether it reads sequences from their end.
        inputs: What it read `(time, batch, features)`.
        initial: Its state before its first step, each `(batch, hidden_size)`.
        steps: Its state after it has read each step of the sequence, each `(batch, hidden_size)`. Where gradients are
            enabled these are the tensors that go on to the next step and to the layer above, so that gradients with
            respect to them can be asked for.
    """

    name: str
    cell: Cell
    layer: int
    backward: bool
    inputs: Tensor
    initial: State
    steps: list[State]

    @property
    def states(self) -> State:
        """The states after each step, each `(time, batch, hidden_size)`."""
        return tuple(torch.stack(tensors) for tensors in zip(*self.steps, strict=True))

    @property
    def previous(self) -> State:
        """The states that each step began with, each `(time, batch, hidden_size)`."""
        before = [*self.steps[1:], self.initial] if self.backward else [self.initial, *self.steps[:-1]]
        return tuple(torch.stack(tensors) for tensors in zip(*before, strict=True))


@dataclass
class Recording:
    """What was watched.

    Attributes:
        cells: A record for each cell that ran, by recurrent part, layer and direction; there once the context is left.
    """

    cells: list[CellRecord] = field(default_factory=list)


@contextmanager
def watch(model: nn.Module) -> Iterator[Recording]:
    """Records every state of a model's recurrent layers, whatever the model is and however it is called.

    All of them then run step by step in plain autograd, which defines what is right: outputs and gradients are those of
    the model. What is run in several calls, as a decoder that reads its own predictions, makes one record.

    Args:
        model: A model whose recurrent layers are `Recurrent`, see `watchable`.

    Yields:
        The recording, filled when the context is left.

    Raises:
        ValueError: The model has no such layers, or, while it runs, rows of a batch differ in length.

    Example:
        >>> from seqmodels.models import LanguageModel
        >>> model = LanguageModel(vocab_size=5, cell=LSTMCell, hidden_size=8, num_layers=2)
        >>> with torch.no_grad(), watch(model) as recording:
        ...     logits, state = model(torch.zeros(1, 7, dtype=torch.long))
        >>> h, c = recording.cells[1].states
        >>> recording.cells[1].name, h.shape
        ('layer 2', torch.Size([7, 1, 8]))
    """
    watcher = _Watcher(model)
    recording = Recording()
    with running_on(watcher):
        yield recording
    recording.cells = list(watcher.records())


def watchable(model: nn.Module) -> nn.Module:
    """Returns a copy of a model in evaluation mode, with our cells in the place of torch's own layers.

    The copy has the same weights and gives the same outputs, so that what holds of it holds of the model.

    Args:
        model: Any model.

    Returns:
        The copy, on the model's device.

    Example:
        >>> from seqmodels.models import LanguageModel
        >>> model = LanguageModel(vocab_size=5, cell=torch.nn.GRU, hidden_size=8)
        >>> type(watchable(model).recurrent.cells[0]).__name__
        'GRUCell'
    """
    model = copy.deepcopy(model).eval()
    if isinstance(model, NativeRecurrent):
        return _of_our_cells(model).eval()
    for path, module in list(model.named_modules()):
        if isinstance(module, NativeRecurrent):
            outer, _, name = path.rpartition(".")
            setattr(model.get_submodule(outer), name, _of_our_cells(module).eval())
    return model


def _of_our_cells(native: NativeRecurrent) -> Recurrent:
    """Makes a layer of our cells with the very parameters of one of torch's."""
    layers = native.layers
    cell: Callable[[int, int], Cell]
    if isinstance(layers, nn.RNN):
        cell = partial(ElmanCell, activation=layers.nonlinearity, bias=layers.bias)
    else:
        cell = partial(LSTMCell if isinstance(layers, nn.LSTM) else GRUCell, bias=layers.bias)
    sizes = native.input_size, native.hidden_size, native.num_layers, native.num_directions == 2
    with torch.random.fork_rng(devices=[]):
        twin = Recurrent(cell, *sizes, context=native.context)
    for own, parameters in zip(twin.cells, layers.all_weights, strict=True):
        for name, parameter in zip(Weights._fields, parameters, strict=False):
            setattr(own, name, parameter)
    twin.learned_state, twin.context_to_state = native.learned_state, native.context_to_state
    return twin


class _Watcher:
    """A kernel that keeps every state it sees."""

    def __init__(self, model: nn.Module):
        parts = {path: part for path, part in model.named_modules() if isinstance(part, Recurrent)}
        if not parts:
            raise ValueError("model: has no recurrent layers of seqmodels to watch")
        self.places: dict[Cell, tuple[str, int, bool]] = {}
        for path, part in parts.items():
            outer = path.rpartition(".")[0] or "decoder"
            named = f"{outer} " if len(parts) > 1 else ""
            for number, cell in enumerate(part.cells):
                layer, backward = divmod(number, part.num_directions)
                assert isinstance(cell, Cell)
                self.places[cell] = f"{named}layer {layer + 1}{' backward' * backward}", layer, bool(backward)
        self.calls: dict[Cell, list[tuple[Tensor, State, list[State]]]] = {}

    def available(self) -> bool:
        return True

    def misfit(self, cell: Cell, like: Tensor) -> str | None:
        return None

    def run(
        self,
        cell: Cell,
        inputs: Tensor,
        state: State,
        batch_sizes: list[int] | None = None,
        weights: Weights | None = None,
        recompute: bool = False,
    ) -> tuple[Tensor, State]:
        """Runs the loop that defines what is right, and keeps what goes in and out of each step."""
        if batch_sizes is not None:
            raise ValueError("lengths: expected rows of the same length where a model is watched")
        projected, take_step = reference.prepare(cell, inputs, weights)
        steps: list[State] = []

        def kept(step_inputs: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = take_step(step_inputs, state)
            steps.append(state)
            return output, state

        self.calls.setdefault(cell, []).append((inputs, state, steps))
        return reference.run_steps(cell, projected, state, None, kept)

    def records(self) -> Iterator[CellRecord]:
        """Yields a record for each cell that ran."""
        for cell, (name, layer, backward) in self.places.items():
            calls = self.calls.get(cell)
            if calls is None:
                continue
            inputs = torch.cat([call[0] for call in calls])
            steps = [step for call in calls for step in call[2]]
            if backward:
                inputs, steps = inputs.flip(0), steps[::-1]
            yield CellRecord(name, cell, layer, backward, inputs, calls[0][1], steps)

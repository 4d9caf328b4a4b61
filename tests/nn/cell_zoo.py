"""Every cell that `seqmodels.nn` exports, found rather than listed, each made with as little as it needs."""

import inspect
from functools import partial

import torch
from torch import Tensor
from twins import randomize

import seqmodels.nn
from seqmodels.nn import Cell, CellWrapper, GatedCell, LinearCell, LSTMCell, Recurrent

CONTRACTS = (Cell, GatedCell, LinearCell, CellWrapper)


def _exported():
    for name in seqmodels.nn.__all__:
        thing = getattr(seqmodels.nn, name)
        if inspect.isclass(thing) and issubclass(thing, Cell) and thing not in CONTRACTS:
            yield name, partial(thing, cell=LSTMCell) if issubclass(thing, CellWrapper) else thing


CELLS = dict(_exported())


def make(cell, input_size=2, hidden_size=3, **options):
    """Makes a layer of one cell in float64 whose every parameter matters."""
    torch.manual_seed(0)
    layer = Recurrent(CELLS.get(cell, cell), input_size, hidden_size, **options).double()
    randomize(layer)
    return layer


def positive_state(layer, batch_size):
    """A state that every cell can start from: an sLSTM divides by one of its tensors."""
    shape = (layer.num_layers * layer.num_directions, batch_size, layer.hidden_size)
    return tuple(0.6 + torch.rand(shape, dtype=torch.float64) for _ in range(layer.num_states))


def random_inputs(*shape):
    return torch.randn(shape, dtype=torch.float64)


def copy_parameters(target: Cell, source: Cell, **others: Tensor) -> None:
    """Gives a cell the parameters of another, and those that the other lacks."""
    with torch.no_grad():
        values = {**source.state_dict(), **others}
        for name, parameter in target.named_parameters():
            parameter.copy_(values[name])

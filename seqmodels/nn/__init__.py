"""Cells, recurrent layers and kernels. Needs torch alone.

from seqmodels.nn import LSTMCell, Recurrent

layer = Recurrent(LSTMCell, input_size=32, hidden_size=64, num_layers=2)
outputs, state = layer(inputs, lengths=lengths)
"""

from seqmodels.nn.cells import Cell, Derivative, ElmanCell, GatedCell, GRUCell, LSTMCell, Weights
from seqmodels.nn.kernels import backends
from seqmodels.nn.native import NativeRecurrent, make_recurrent
from seqmodels.nn.ragged import valid_mask
from seqmodels.nn.recurrent import Recurrent
from seqmodels.nn.state import State, map_state

__all__ = [
    "Cell",
    "Derivative",
    "ElmanCell",
    "GRUCell",
    "GatedCell",
    "LSTMCell",
    "NativeRecurrent",
    "Recurrent",
    "State",
    "Weights",
    "backends",
    "make_recurrent",
    "map_state",
    "valid_mask",
]

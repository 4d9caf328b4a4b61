"""Cells, recurrent layers and kernels. Needs torch alone.

from seqmodels.nn import LSTMCell, Recurrent

layer = Recurrent(LSTMCell, input_size=32, hidden_size=64, num_layers=2)
outputs, state = layer(inputs, lengths=lengths)
"""

from seqmodels.nn.cells import (
    Cell,
    CellWrapper,
    ClockworkCell,
    CoupledLSTMCell,
    DeepTransitionCell,
    Derivative,
    ElmanCell,
    FullPeepholeLSTMCell,
    GatedCell,
    GRUCell,
    IndRNNCell,
    IRNNCell,
    JordanCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LeakyCell,
    LinearCell,
    LSTMCell,
    MGUCell,
    MinGRUCell,
    MinLSTMCell,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    RecurrentDropoutCell,
    ResetBeforeGRUCell,
    SkipCell,
    SLSTMCell,
    WeightDropCell,
    WeightNormCell,
    Weights,
    ZoneoutCell,
)
from seqmodels.nn.dropin import GRU, LSTM, RNN
from seqmodels.nn.dropout import VariationalDropout
from seqmodels.nn.feedforward import FeedForward
from seqmodels.nn.kernels import backends
from seqmodels.nn.layer import Context
from seqmodels.nn.native import NativeRecurrent, make_recurrent
from seqmodels.nn.ragged import valid_mask
from seqmodels.nn.recurrent import Recurrent
from seqmodels.nn.regularizers import activation_penalty, gradient_norm_penalty, temporal_activation_penalty
from seqmodels.nn.stacking import Stacking
from seqmodels.nn.state import State, map_state

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "CellWrapper",
    "ClockworkCell",
    "Context",
    "CoupledLSTMCell",
    "DeepTransitionCell",
    "Derivative",
    "ElmanCell",
    "FeedForward",
    "FullPeepholeLSTMCell",
    "GRUCell",
    "GatedCell",
    "IRNNCell",
    "IndRNNCell",
    "JordanCell",
    "LSTMCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LeakyCell",
    "LinearCell",
    "MGUCell",
    "MinGRUCell",
    "MinLSTMCell",
    "MultiplicativeLSTMCell",
    "NativeRecurrent",
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "Recurrent",
    "RecurrentDropoutCell",
    "ResetBeforeGRUCell",
    "SLSTMCell",
    "SkipCell",
    "Stacking",
    "State",
    "VariationalDropout",
    "WeightDropCell",
    "WeightNormCell",
    "Weights",
    "ZoneoutCell",
    "activation_penalty",
    "backends",
    "gradient_norm_penalty",
    "make_recurrent",
    "map_state",
    "temporal_activation_penalty",
    "valid_mask",
]

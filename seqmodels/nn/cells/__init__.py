"""Recurrent cells: one step each."""

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.clockwork import ClockworkCell
from seqmodels.nn.cells.coupled import CoupledLSTMCell
from seqmodels.nn.cells.deep_transition import DeepTransitionCell
from seqmodels.nn.cells.dropout import RecurrentDropoutCell, WeightDropCell
from seqmodels.nn.cells.elman import ElmanCell
from seqmodels.nn.cells.gated import Derivative, GatedCell, Weights
from seqmodels.nn.cells.gru import GRUCell
from seqmodels.nn.cells.indrnn import IndRNNCell
from seqmodels.nn.cells.irnn import IRNNCell
from seqmodels.nn.cells.jordan import JordanCell
from seqmodels.nn.cells.layer_norm import LayerNormGRUCell, LayerNormLSTMCell
from seqmodels.nn.cells.leaky import LeakyCell
from seqmodels.nn.cells.linear import LinearCell
from seqmodels.nn.cells.lstm import LSTMCell
from seqmodels.nn.cells.minimal import MinGRUCell, MinLSTMCell
from seqmodels.nn.cells.multiplicative import MultiplicativeLSTMCell
from seqmodels.nn.cells.peephole import FullPeepholeLSTMCell, PeepholeLSTMCell
from seqmodels.nn.cells.projection import ProjectedLSTMCell
from seqmodels.nn.cells.reset_before import MGUCell, ResetBeforeGRUCell
from seqmodels.nn.cells.skip import SkipCell
from seqmodels.nn.cells.slstm import SLSTMCell
from seqmodels.nn.cells.weight_norm import WeightNormCell
from seqmodels.nn.cells.wrapper import CellWrapper
from seqmodels.nn.cells.zoneout import ZoneoutCell

__all__ = [
    "Cell",
    "CellWrapper",
    "ClockworkCell",
    "CoupledLSTMCell",
    "DeepTransitionCell",
    "Derivative",
    "ElmanCell",
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
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "RecurrentDropoutCell",
    "ResetBeforeGRUCell",
    "SLSTMCell",
    "SkipCell",
    "WeightDropCell",
    "WeightNormCell",
    "Weights",
    "ZoneoutCell",
]

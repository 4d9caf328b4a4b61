"""Recurrent cells: one step each."""

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.elman import ElmanCell
from seqmodels.nn.cells.gated import Derivative, GatedCell, Weights
from seqmodels.nn.cells.gru import GRUCell
from seqmodels.nn.cells.lstm import LSTMCell

__all__ = ["Cell", "Derivative", "ElmanCell", "GRUCell", "GatedCell", "LSTMCell", "Weights"]

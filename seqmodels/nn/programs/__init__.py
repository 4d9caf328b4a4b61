"""What a gated cell's `update` does, read once and differentiated, for kernels that run the loop themselves."""

from seqmodels.nn.programs.graph import Graph, Node
from seqmodels.nn.programs.reading import read
from seqmodels.nn.programs.steps import Layout, StepProgram

__all__ = ["Graph", "Layout", "Node", "StepProgram", "read"]

"""The matrices by which a state is multiplied at every step, and their spectra."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis.trajectories import follow
from seqmodels.nn import cells
from seqmodels.nn.cells import Cell, CellWrapper, GatedCell

_GATES: dict[tuple[type[Cell], ...], tuple[str, ...]] = {
    (
        cells.LSTMCell,
        cells.LayerNormLSTMCell,
        cells.PeepholeLSTMCell,
        cells.FullPeepholeLSTMCell,
        cells.SLSTMCell,
    ): ("i", "f", "g", "o"),
    (cells.GRUCell, cells.LayerNormGRUCell, cells.ResetBeforeGRUCell): ("r", "z", "n"),
    (cells.CoupledLSTMCell,): ("f", "g", "o"),
    (cells.MGUCell,): ("f", "n"),
}


class RecurrentMatrix(NamedTuple):
    """A square matrix that carries a state from step to step.

    Attributes:
        name: Such as "W_hh", or "W_hh of gate f".
        eigenvalues: Complex, (size,), the largest first.
        singular_values: (size,), the largest first.
    """

    name: str
    eigenvalues: Tensor
    singular_values: Tensor

    @property
    def spectral_radius(self) -> float:
        """The largest size of an eigenvalue: by what a state grows a step in the long run, were there nothing else."""
        return float(self.eigenvalues.abs().max())

    @property
    def spectral_norm(self) -> float:
        """The largest singular value: by what a state can grow in one step, were there nothing else."""
        return float(self.singular_values.max())


def recurrent_matrices(cell: Cell, inputs: Tensor | None = None) -> list[RecurrentMatrix]:
    """Finds the recurrent matrices of a cell and their spectra.

    Those of a gated cell are the blocks of `weights().weight_hh`, one a gate, as one call over a sequence uses them. A
    free cell with a `weight_hh` of such a shape, or of one number a unit, is read likewise. Of any other cell it is the
    step Jacobian at its initial state.

    Args:
        cell: The cell, in evaluation mode.
        inputs: Where a step Jacobian is taken, (features,); zeros if None.

    Returns:
        The matrices.

    Example:
        >>> from seqmodels.nn import GRUCell
        >>> [matrix.name for matrix in recurrent_matrices(GRUCell(3, 5))]
        ['W_hh of gate r', 'W_hh of gate z', 'W_hh of gate n']
        >>> round(recurrent_matrices(GRUCell(3, 5))[0].spectral_radius, 4)  # orthogonal at the start
        1.0
    """
    weight = cell.weights().weight_hh if isinstance(cell, GatedCell) else getattr(cell, "weight_hh", None)
    blocks = _blocks(weight, cell.hidden_size)
    if blocks is None:
        like = next(cell.parameters(), torch.empty(0))
        inputs = like.new_zeros(cell.input_size) if inputs is None else inputs
        jacobian = follow(cell, inputs[None]).positions(torch.tensor([0])).jacobians()[0]
        return [_decompose("step Jacobian at the initial state", jacobian)]
    names = _names(cell, len(blocks))
    return [_decompose(name, block) for name, block in zip(names, blocks, strict=True)]


def spectrum(matrix: Tensor) -> Tensor:
    """Computes eigenvalues, the largest first.

    Args:
        matrix: (size, size).

    Returns:
        Complex, (size,), on the CPU, where LAPACK is.

    Raises:
        ValueError: The matrix has numbers that are not finite.

    Example:
        >>> spectrum(torch.tensor([[0.0, -2.0], [2.0, 0.0]])).abs().round(decimals=4)
        tensor([2., 2.])
    """
    matrix = matrix.detach().cpu()
    if not bool(matrix.isfinite().all()):  # LAPACK may take the whole process down
        raise ValueError("matrix: expected finite numbers, got NaN or infinity")
    eigenvalues = torch.linalg.eigvals(matrix)
    return eigenvalues[eigenvalues.abs().argsort(descending=True)]


def _blocks(weight: object, size: int) -> tuple[Tensor, ...] | None:
    if not isinstance(weight, Tensor):
        return None
    if weight.shape == (size,):
        return (torch.diag(weight),)
    if weight.dim() != 2 or weight.shape[1] != size or weight.shape[0] % size:
        return None
    return weight.split(size)


def _names(cell: Cell, count: int) -> list[str]:
    while isinstance(cell, CellWrapper):
        cell = cell.cell
    gates = next((gates for kinds, gates in _GATES.items() if isinstance(cell, kinds)), ())
    if len(gates) == count:
        return [f"W_hh of gate {gate}" for gate in gates]
    return ["W_hh"] if count == 1 else [f"W_hh, block {number + 1} of {count}" for number in range(count)]


def _decompose(name: str, matrix: Tensor) -> RecurrentMatrix:
    return RecurrentMatrix(name, spectrum(matrix), torch.linalg.svdvals(matrix.detach().cpu()))

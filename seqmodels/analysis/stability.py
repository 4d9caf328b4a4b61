"""All that is told of a cell's stability, within a bounded time."""

from dataclasses import dataclass, field

from seqmodels.analysis.fixed_points import FixedPoints, fixed_points
from seqmodels.analysis.impulse import ImpulseResponse, impulse_response
from seqmodels.analysis.jacobians import JacobianSpectra, jacobian_spectra
from seqmodels.analysis.lyapunov import LyapunovExponents, lyapunov_exponents
from seqmodels.analysis.recurrent_matrices import RecurrentMatrix, recurrent_matrices
from seqmodels.analysis.trajectories import Trajectory

_LARGEST_MATRIX = 1024  # numbers in a side; the eigenvalues of one take half a second
_LARGEST_STATE = 1536  # whose step Jacobian is computed


@dataclass(frozen=True)
class Effort:
    """How closely a cell is looked at.

    Attributes:
        steps: Of the sequence, that are followed.
        places: Steps at which the step Jacobian is computed.
        pushes: Steps at which the state is pushed.
        starts: Visited states from which fixed points are searched.
        iterations: Of that search.
        most: Fixed points that are looked for at most.
    """

    steps: int = 1000
    places: int = 24
    pushes: int = 16
    starts: int = 64
    iterations: int = 300
    most: int = 10

    @classmethod
    def of_size(cls, size: int) -> "Effort":
        """Chooses what takes a few seconds on one core.

        Args:
            size: Numbers in the state, those of all its tensors that move.

        Returns:
            Less for a larger state.

        Example:
            >>> Effort.of_size(64).places, Effort.of_size(1024).places
            (24, 2)
        """
        if size <= 128:
            return cls()
        if size <= 512:
            return cls(steps=500, places=8, pushes=8, starts=32, iterations=200, most=5)
        return cls(steps=128, places=2, pushes=3, starts=12, iterations=80, most=2)


@dataclass(frozen=True)
class CellStability:
    """What was found of a cell.

    Attributes:
        name: Which cell, such as "layer 1".
        size: Numbers in its state.
        steps: How many steps of the sequence were followed.
        matrices: Its recurrent matrices; none where they are too large.
        spectra: Singular values of its step Jacobian; None where that is too large.
        exponents: Its largest Lyapunov exponents.
        response: What is left of a push.
        points: Its fixed points under the mean input; None where the step Jacobian is too large.
        left_out: In a line each, what was left out and why.
    """

    name: str
    size: int
    steps: int
    matrices: list[RecurrentMatrix]
    spectra: JacobianSpectra | None
    exponents: LyapunovExponents
    response: ImpulseResponse
    points: FixedPoints | None
    left_out: list[str] = field(default_factory=list)


def cell_stability(name: str, trajectory: Trajectory, effort: Effort) -> CellStability:
    """Looks at the stability of a cell along a sequence in every way there is.

    Args:
        name: What to call it.
        trajectory: The sequence.
        effort: How closely.

    Returns:
        What was found.

    Raises:
        RuntimeError: The step of the cell cannot be differentiated forward.

    Example:
        >>> import torch
        >>> from seqmodels.analysis import follow
        >>> from seqmodels.nn import GRUCell
        >>> found = cell_stability("layer 1", follow(GRUCell(3, 5), torch.randn(40, 3)), Effort())
        >>> len(found.matrices), found.spectra.singular_values.shape
        (3, torch.Size([24, 5]))
    """
    left_out = []
    matrices: list[RecurrentMatrix] = []
    if trajectory.cell.hidden_size <= _LARGEST_MATRIX:
        matrices = recurrent_matrices(trajectory.cell, trajectory.inputs.mean(0))
    else:
        left_out.append(f"{name}: no spectra of matrices with more than {_LARGEST_MATRIX} rows")
    spectra = points = None
    if trajectory.size <= _LARGEST_STATE:
        spectra = jacobian_spectra(trajectory, effort.places)
        points = fixed_points(
            trajectory, starts=effort.starts, iterations=effort.iterations, most=min(effort.most, effort.starts)
        )
    else:
        left_out.append(
            f"{name}: no step Jacobians and fixed points, as its state has {trajectory.size} numbers, "
            f"more than {_LARGEST_STATE}"
        )
    exponents = lyapunov_exponents(trajectory)
    response = impulse_response(trajectory, pushes=effort.pushes)
    return CellStability(
        name, trajectory.size, len(trajectory), matrices, spectra, exponents, response, points, left_out
    )

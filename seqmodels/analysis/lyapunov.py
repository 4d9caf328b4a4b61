"""How fast two states that hardly differ part, or meet."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis.trajectories import Trajectory


class LyapunovExponents(NamedTuple):
    """The largest Lyapunov exponents of a cell along a sequence.

    Attributes:
        exponents: In nats a step, (directions,), the largest first: `exp` of one is the growth a step in the long run.
        growth: Of the direction of the largest at each step that counts, log of its growth, (steps,); its mean is that.
    """

    exponents: Tensor
    growth: Tensor


def lyapunov_exponents(
    trajectory: Trajectory, directions: int = 4, warm_up: int | None = None, seed: int = 0
) -> LyapunovExponents:
    """Measures the largest Lyapunov exponents by the QR method.

        J_t Q_{t-1} = Q_t R_t,    exponent_i = mean over t of log |R_t[i, i]|

    (Benettin et al., 1980, "Lyapunov characteristic exponents for smooth dynamical systems"; Vogt et al., 2022,
    arXiv:2006.14123, for recurrent networks under their inputs.) Only Jacobian-vector products are taken, so a large
    state costs little. Below 0 differences die out; above 0 they grow: the cell is chaotic under these inputs.

    Args:
        trajectory: The sequence; long ones give sharper figures.
        directions: How many exponents, up to the size of the state.
        warm_up: Steps that do not count, while the directions fall into place; a fifth of them if None, 50 at most.
        seed: Of the first directions.

    Returns:
        The exponents.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> from seqmodels.analysis import follow
        >>> from seqmodels.nn import ElmanCell
        >>> cell = ElmanCell(1, 2, activation="identity")
        >>> cell.weight_hh.data = torch.diag(torch.tensor([0.5, -2.0]))
        >>> lyapunov_exponents(follow(cell, torch.zeros(50, 1)), directions=2).exponents.exp()
        tensor([2.0000, 0.5000])
    """
    warm_up = min(50, len(trajectory) // 5) if warm_up is None else warm_up
    if not 0 <= warm_up < len(trajectory):
        raise ValueError(f"warm_up: expected 0 to {len(trajectory) - 1} of {len(trajectory)} steps, got {warm_up}")
    if directions < 1:
        raise ValueError(f"directions: expected an integer of at least 1, got {directions}")
    like = trajectory.previous[0]
    directions = min(directions, trajectory.size)
    start = torch.randn(trajectory.size, directions, generator=torch.Generator().manual_seed(seed))
    basis = torch.linalg.qr(start.to(like)).Q
    growth = []
    for step in range(len(trajectory)):
        here = trajectory.positions(torch.tensor([step])).repeated(directions)
        basis, stretch = torch.linalg.qr(here.push(basis.T).T)
        if step >= warm_up:
            growth.append(stretch.diagonal().abs().log())
    logs = torch.stack(growth).cpu()
    exponents, order = logs.mean(0).sort(descending=True)
    return LyapunovExponents(exponents, logs[:, order[0]])

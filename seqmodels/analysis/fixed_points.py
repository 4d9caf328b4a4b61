"""Where the state of a cell would come to rest, were its input to stay as it is."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis.recurrent_matrices import spectrum
from seqmodels.analysis.trajectories import Positions, Trajectory

_LEARNING_RATE = 0.05  # of Adam, at the start; states are of the order of 1
_SETTLING_STEPS = 200
_NEWTON_STEPS = 10
_SHARES = (1.0, 0.5, 0.25, 0.1)  # of a Newton step, tried in turn until one makes it better


class FixedPoint(NamedTuple):
    """A state that a step leaves as it is.

    Attributes:
        point: The flat state, (size,), see `Positions`.
        residual: What the step still moves: the largest change of a number, over 1 + the largest number.
        starts: From how many starts it was reached.
        eigenvalues: Of the step Jacobian there, complex, (size,), the largest first.
    """

    point: Tensor
    residual: float
    starts: int
    eigenvalues: Tensor

    @property
    def unstable_directions(self) -> int:
        """How many eigenvalues are larger than 1."""
        return int((self.eigenvalues.abs() > 1).sum())

    @property
    def kind(self) -> str:
        """What nearby states do: "stable", all come closer; "unstable", all leave; "saddle", some do."""
        leaving = self.unstable_directions
        return "stable" if not leaving else "unstable" if leaving == len(self.eigenvalues) else "saddle"


class FixedPoints(NamedTuple):
    """What a search for fixed points found.

    Attributes:
        found: The points, the one that most starts reached first.
        starts: Starts in all; those that reached no point ended where the state only moves slowly, or in a cycle.
    """

    found: list[FixedPoint]
    starts: int

    @property
    def converged(self) -> int:
        """How many starts reached a point."""
        return sum(point.starts for point in self.found)


def fixed_points(
    trajectory: Trajectory,
    inputs: Tensor | None = None,
    starts: int = 32,
    iterations: int = 300,
    most: int = 10,
    tolerance: float = 1e-5,
    apart: float = 0.02,
) -> FixedPoints:
    """Searches for fixed points under a fixed input, by optimisation from states that were visited.

        minimise |F(h, x) - h|^2 over h

    (Sussillo and Barak, 2013, "Opening the Black Box".) Adam goes most of the way from all starts at once, and
    Newton's method the rest from the best of its ends, and from where the cell itself runs from there. This finds
    saddles too, which running the cell alone would never show.

    Args:
        trajectory: Where the starts are taken from, evenly spread; the zero state is one more.
        inputs: x, (features,); the mean input of the trajectory if None.
        starts: How many visited states.
        iterations: Steps of Adam.
        most: At how many different ends, the best first, Newton's method is tried.
        tolerance: The largest residual of a fixed point, see `FixedPoint`.
        apart: How far points are apart at least: the largest difference of a number, over 1 + the largest number.

    Returns:
        What was found. Other starts may find more.

    Example:
        h = tanh(2 h) rests at 0, which it leaves, and at two points to which it comes:

        >>> from seqmodels.analysis import follow
        >>> from seqmodels.nn import ElmanCell
        >>> cell = ElmanCell(1, 1)
        >>> cell.weight_hh.data.fill_(2.0)
        tensor([[2.]])
        >>> search = fixed_points(follow(cell, torch.linspace(-5, 5, 20)[:, None]), inputs=torch.zeros(1))
        >>> sorted((round(float(point.point), 3), point.kind) for point in search.found)
        [(-0.958, 'stable'), (0.0, 'unstable'), (0.958, 'stable')]
    """
    positions = _starts(trajectory, inputs, starts)
    ends = _descend(positions, iterations)
    settled = _run_on(positions, ends)
    pool = torch.cat([settled, ends])
    residuals = _residuals(positions.repeated(2), pool)
    pool = pool[residuals.argsort()][: int(residuals.isfinite().sum())]
    here = _rows(positions, slice(0, 1))
    points: list[Tensor] = []
    origins: list[list[Tensor]] = []  # the ends that belong to each point
    for end in _distinct(pool, most, apart):
        point = _polish(here, end, tolerance)
        if not _residuals(here, point[None]) < tolerance:
            continue
        known = next((number for number, other in enumerate(points) if _near(point, other, apart)), None)
        if known is None:
            points.append(point)
            origins.append([point, end])
        else:
            origins[known].append(end)
    owners = [_owner(both, origins, apart) for both in zip(ends, settled, strict=True)]
    found = [_describe(here, point, owners.count(number)) for number, point in enumerate(points)]
    return FixedPoints(sorted(found, key=lambda point: -point.starts), len(ends))


def _starts(trajectory: Trajectory, inputs: Tensor | None, count: int) -> Positions:
    """Gives visited states and zero, each under the fixed input; what does not move is as the cell begins."""
    cell = trajectory.cell
    visited = trajectory.positions(trajectory.spread(count)).flat
    flat = torch.cat([visited, torch.zeros_like(visited[:1])])
    inputs = trajectory.inputs.mean(0) if inputs is None else inputs
    with torch.no_grad():
        prepared = cell.prepare(inputs.expand(len(flat), -1))
        return Positions(cell, prepared, cell.initial_state(len(flat)), trajectory.moving).at(flat)


def _rows(positions: Positions, rows: slice) -> Positions:
    state = tuple(tensor[rows] for tensor in positions.state)
    return Positions(positions.cell, positions.prepared[rows], state, positions.moving)


def _descend(positions: Positions, iterations: int) -> Tensor:
    """Runs Adam on all rows at once; it scales each number by itself, so rows do not disturb each other."""
    flat = positions.flat.clone().requires_grad_()
    optimizer = torch.optim.Adam([flat], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(iterations, 1))
    with torch.enable_grad():
        for _ in range(iterations):
            speed = (positions.at(flat).step() - flat).square().sum() / 2
            (flat.grad,) = torch.autograd.grad(speed, flat)
            optimizer.step()
            schedule.step()
    return flat.detach()


@torch.no_grad()
def _run_on(positions: Positions, ends: Tensor) -> Tensor:
    """Lets the cell run from where Adam ended: what is in the reach of a stable point comes to it."""
    for _ in range(_SETTLING_STEPS):
        ends = positions.at(ends).step()
    return ends


@torch.no_grad()
def _residuals(positions: Positions, flat: Tensor) -> Tensor:
    moved = (positions.at(flat).step() - flat).abs().amax(1)
    return (moved / (1 + flat.abs().amax(1))).nan_to_num(torch.inf)


@torch.no_grad()
def _polish(here: Positions, point: Tensor, tolerance: float) -> Tensor:
    """Goes on by Newton's method as long as that makes it better."""
    unit = torch.eye(len(point), dtype=point.dtype, device=point.device)
    residual = _residuals(here, point[None])
    for _ in range(_NEWTON_STEPS):
        if residual < tolerance / 10:
            break
        there = here.at(point[None])
        excess = there.step()[0] - point
        step = torch.linalg.solve_ex(there.jacobians()[0] - unit, -excess).result
        tries = point + torch.tensor(_SHARES).to(point)[:, None] * step
        values = _residuals(here.repeated(len(_SHARES)), tries)
        best = int(values.argmin())
        if not values[best] < residual / 2:  # at the precision of the numbers it gains no more
            return tries[best] if values[best] < residual else point
        point, residual = tries[best], values[best]
    return point


def _distinct(ends: Tensor, most: int, apart: float) -> list[Tensor]:
    chosen: list[Tensor] = []
    for end in ends:
        if len(chosen) < most and not any(_near(end, other, apart) for other in chosen):
            chosen.append(end)
    return chosen


def _near(one: Tensor, other: Tensor, apart: float) -> bool:
    return bool((one - other).abs().max() <= apart * (1 + other.abs().max()))


def _owner(ends: tuple[Tensor, Tensor], origins: list[list[Tensor]], apart: float) -> int | None:
    """Tells to which point a start belongs: the one where Adam took it, or else the one where it ran on to."""
    for end in ends:
        for number, places in enumerate(origins):
            if any(_near(end, place, apart) for place in places):
                return number
    return None


def _describe(here: Positions, point: Tensor, starts: int) -> FixedPoint:
    there = here.at(point[None])
    residual = float(_residuals(here, point[None]))
    return FixedPoint(point, residual, starts, spectrum(there.jacobians()[0]))

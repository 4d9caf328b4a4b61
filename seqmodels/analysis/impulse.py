"""What is left, some steps later, of a small push."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis.trajectories import Trajectory


class ImpulseResponse(NamedTuple):
    """What became of small pushes against the state.

    Attributes:
        logs: Natural logarithm of the length of the difference, over its length at the push, (pushes, lags + 1).
    """

    logs: Tensor

    @property
    def median(self) -> Tensor:
        """The length of the difference by the steps since the push, in the median over pushes, (lags + 1,)."""
        return self.logs.median(0).values.exp()

    def quantile(self, share: float) -> Tensor:
        """Gives a quantile over pushes.

        Args:
            share: From 0 to 1.

        Returns:
            The length of the difference by the steps since the push, (lags + 1,).
        """
        return self.logs.quantile(share, 0, interpolation="nearest").exp()

    @property
    def half_life(self) -> float | None:
        """Steps until the median is first at half its size; None where it never is."""
        return half_life(self.median)


def impulse_response(
    trajectory: Trajectory, lags: int = 100, pushes: int = 16, directions: int = 4, seed: int = 0
) -> ImpulseResponse:
    """Pushes the state a little at some steps of a sequence, and measures the difference that stays.

    The push is infinitely small and in random directions: the difference obeys the step Jacobians along the data, so
    nothing depends on a size to be chosen.

    Args:
        trajectory: The sequence.
        lags: Steps to watch after the push; fewer where the sequence has fewer.
        pushes: At how many steps, evenly spread over those that leave `lags` steps to watch.
        directions: Random directions at each of them.
        seed: Of the directions.

    Returns:
        The responses.

    Raises:
        ValueError: A number is below 1.

    Example:
        A leaky unit forgets a tenth a step, and half in log(0.5) / log(0.9) = 6.58 steps:

        >>> from seqmodels.analysis import follow
        >>> from seqmodels.nn import LeakyCell
        >>> cell = LeakyCell(1, 1, leak=0.1)
        >>> cell.weight_hh.data.zero_()
        tensor([[0.]])
        >>> round(impulse_response(follow(cell, torch.zeros(50, 1))).half_life, 2)
        6.58
    """
    for name, number in (("lags", lags), ("pushes", pushes), ("directions", directions)):
        if number < 1:
            raise ValueError(f"{name}: expected an integer of at least 1, got {number}")
    lags = min(lags, len(trajectory))
    last = len(trajectory) - lags
    steps = torch.linspace(0, last, min(pushes, last + 1)).round().long().repeat_interleave(directions)
    start = torch.randn(len(steps), trajectory.size, generator=torch.Generator().manual_seed(seed))
    difference = torch.nn.functional.normalize(start, dim=1).to(trajectory.previous[0])
    logs = [torch.zeros_like(difference[:, 0])]
    for lag in range(lags):
        difference = trajectory.positions(steps + lag).push(difference)
        length = difference.norm(dim=1)
        logs.append(logs[-1] + length.log())
        difference = difference / length.clamp(min=torch.finfo(length.dtype).tiny)[:, None]
    return ImpulseResponse(torch.stack(logs, 1).cpu())


def half_life(curve: Tensor) -> float | None:
    """Finds where a curve first comes down to half of its first value.

    Args:
        curve: Above 0 or 0, by steps, (steps,).

    Returns:
        In steps, exact to fractions for an exponential; None where it never is.

    Example:
        >>> half_life(0.5 ** (torch.arange(9.0) / 4))
        4.0
        >>> half_life(torch.ones(9)) is None
        True
    """
    below = (curve <= curve[0] / 2).nonzero()
    if not len(below):
        return None
    after = int(below[0])
    high, low = (float(curve[place] / curve[0]) for place in (after - 1, after))
    if low == 0:
        return float(after)
    return after - 1 + float(torch.tensor(high / 0.5).log() / torch.tensor(high / low).log())


class DrawnResponse(NamedTuple):
    """The response of a random recurrence to an impulse.

    Attributes:
        activation: Its name.
        radius: The spectral radius.
        norms: The length of the state, (steps + 1,).
        differences: What the impulse still makes out: the length of the difference to the same recurrence without it.
    """

    activation: str
    radius: float
    norms: Tensor
    differences: Tensor


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": lambda x: x,
}


def drawn_responses(
    radii: Sequence[float] = (0.5, 0.9, 1.0, 1.1, 1.5), size: int = 100, steps: int = 50, seed: int = 0
) -> list[DrawnResponse]:
    """Draws the responses of random recurrences to an impulse, for four activations and some spectral radii.

        h_t = activation(radius * W h_{t-1}),    W random with spectral radius 1,    |h_0| = 1

    Args:
        radii: The spectral radii.
        size: Units.
        steps: Steps after the impulse.
        seed: Of W and of the impulse, the same for all.

    Returns:
        A response for each activation (sigmoid, tanh, relu, linear) and radius, in that order.

    Example:
        >>> responses = drawn_responses(radii=[0.5, 1.1], steps=100)
        >>> [f"{r.activation} {r.radius}" for r in responses if r.differences[-1] > 0.1]
        ['tanh 1.1', 'linear 1.1']
    """
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(size, size, generator=generator, dtype=torch.float64)
    weight = weight / torch.linalg.eigvals(weight).abs().max()
    impulse = torch.randn(size, generator=generator, dtype=torch.float64)
    start = torch.stack([impulse / impulse.norm(), torch.zeros_like(impulse)])  # with the impulse, and without
    responses = []
    for name, activation in _ACTIVATIONS.items():
        for radius in radii:
            states = [start]
            for _ in range(steps):
                states.append(activation(states[-1] @ (radius * weight).T))
            with_impulse, without = torch.stack(states).unbind(1)
            difference = (with_impulse - without).norm(dim=1)
            responses.append(DrawnResponse(name, radius, with_impulse.norm(dim=1), difference))
    return responses

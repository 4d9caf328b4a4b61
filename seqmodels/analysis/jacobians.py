"""How much one step stretches and squeezes the state, along real data."""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis.trajectories import Trajectory


class JacobianSpectra(NamedTuple):
    """Singular values of the step Jacobian d state_t / d state_{t-1} at some steps.

    Attributes:
        steps: Their numbers in the order of running, (places,).
        singular_values: (places, size), the largest first.
    """

    steps: Tensor
    singular_values: Tensor

    @property
    def largest(self) -> Tensor:
        """By what the step can stretch a difference at most, (places,)."""
        return self.singular_values[:, 0]

    @property
    def mean(self) -> Tensor:
        """The mean of the singular values, (places,)."""
        return self.singular_values.mean(1)


def jacobian_spectra(trajectory: Trajectory, places: int = 24) -> JacobianSpectra:
    """Computes the singular values of the step Jacobian along a sequence.

    A singular value above 1 stretches a difference between two states, and a gradient on its way back; one below 1
    shrinks it (Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063).

    Args:
        trajectory: The sequence.
        places: At how many steps, evenly spread; the Jacobian of 1024 numbers takes about half a second.

    Returns:
        The singular values, on the CPU.

    Example:
        >>> from seqmodels.analysis import follow
        >>> from seqmodels.nn import LSTMCell
        >>> spectra = jacobian_spectra(follow(LSTMCell(3, 4), torch.randn(9, 3)), places=3)
        >>> spectra.steps, spectra.singular_values.shape
        (tensor([0, 4, 8]), torch.Size([3, 8]))
    """
    steps = trajectory.spread(places)
    values = [torch.linalg.svdvals(trajectory.positions(step[None]).jacobians()[0].cpu()) for step in steps]
    return JacobianSpectra(steps, torch.stack(values))

"""Losses of numbers that predict how sure they are: quantiles, the normal distribution, Student's t."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal
from torch.distributions import StudentT as StudentTDistribution
from torch.nn.functional import softplus

from seqmodels.tasks.losses.loss import Loss, masked_sum

LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Quantile(Loss):
    """Quantile ("pinball") loss: an output for each level of each number, averaged over the levels.

    Koenker and Bassett 1978, "Regression quantiles". The prediction is the level nearest to the median.

    Args:
        levels: Probabilities, in rising order.

    Raises:
        ValueError: Where they are not in rising order between 0 and 1.

    Example:
        >>> total, count = Quantile([0.9])(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
        >>> round(float(total), 2), int(count)
        (1.8, 1)
    """

    kind: ClassVar[str] = "numbers"
    levels: tuple[float, ...] | list[float] = LEVELS

    def __post_init__(self) -> None:
        _check_levels(self.levels)

    def output_size(self, num_targets: int) -> int:
        """Returns an output for each level of each number."""
        return num_targets * len(self.levels)

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the numbers that are scored."""
        scored = ~targets.isnan()
        quantiles = outputs.unflatten(-1, (-1, len(self.levels)))
        over = torch.where(scored, targets, 0).to(outputs.dtype)[..., None] - quantiles
        levels = outputs.new_tensor(self.levels)
        return masked_sum(torch.maximum(levels * over, (levels - 1) * over).mean(-1), scored)

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns "quantiles" `(..., targets, levels)`, in rising order, and of them the "value"."""
        quantiles = outputs.unflatten(-1, (-1, len(self.levels))).sort(-1).values
        middle = min(range(len(self.levels)), key=lambda place: abs(self.levels[place] - 0.5))
        return {"value": quantiles[..., middle], "quantiles": quantiles}

    def sample(self, outputs: Tensor) -> Tensor:
        """Draws from the distribution that is linear between the quantiles, and ends at the outer ones."""
        quantiles = self.describe(outputs)["quantiles"]
        levels = outputs.new_tensor(self.levels)
        drawn = torch.rand_like(quantiles[..., 0]).clamp(levels[0], levels[-1])
        above = torch.searchsorted(levels, drawn).clamp(1, max(1, len(levels) - 1)).clamp(max=len(levels) - 1)
        below = (above - 1).clamp(min=0)
        share = (drawn - levels[below]) / (levels[above] - levels[below]).clamp(min=1e-12)
        low, high = (quantiles.gather(-1, place[..., None]).squeeze(-1) for place in (below, above))
        return low + share * (high - low)


Located = Normal | StudentTDistribution


class Likelihood(Loss):
    """The negative logarithm of a density, in nats, of each number by itself.

    A subclass gives the `distribution` that its parameters stand for, which are outputs side by side.
    """

    kind: ClassVar[str] = "numbers"
    num_parameters: ClassVar[int]
    levels: tuple[float, ...] | list[float]

    def output_size(self, num_targets: int) -> int:
        """Returns an output for each parameter of each number."""
        return num_targets * self.num_parameters

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Located:
        """Returns the distribution of each number, given `(..., targets, num_parameters)`."""

    @abstractmethod
    def quantiles(self, distribution: Located) -> Tensor:
        """Returns the quantiles at `levels` `(..., targets, levels)`."""

    def of(self, outputs: Tensor) -> Located:
        """Returns the distribution that a head's outputs stand for."""
        return self.distribution(outputs.unflatten(-1, (-1, self.num_parameters)))

    def __call__(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the numbers that are scored."""
        scored = ~targets.isnan()
        return masked_sum(-self.of(outputs).log_prob(torch.where(scored, targets, 0).to(outputs.dtype)), scored)

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the median as "value", the "scale", and "quantiles" `(..., targets, levels)`."""
        distribution = self.of(outputs)
        return {
            "value": distribution.loc,
            "scale": distribution.scale,
            "quantiles": self.quantiles(distribution),
        }

    def sample(self, outputs: Tensor) -> Tensor:
        """Draws each number, with the global generator."""
        return self.of(outputs).sample()


_FLOOR = 1e-3
"""The least scale: without one, a series that does not change has a likelihood without bounds."""


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Negative log-likelihood of a normal distribution; the outputs are its mean and, by softplus, its deviation.

    Nix and Weigend 1994, "Estimating the mean and variance of the target probability distribution".

    Args:
        levels: Of the quantiles that are reported.

    Raises:
        ValueError: Where they are not in rising order between 0 and 1.
    """

    num_parameters: ClassVar[int] = 2
    levels: tuple[float, ...] | list[float] = LEVELS

    def __post_init__(self) -> None:
        _check_levels(self.levels)

    def distribution(self, parameters: Tensor) -> Located:
        """Returns the normal distribution."""
        loc, scale = parameters.unbind(-1)
        return Normal(loc, softplus(scale) + _FLOOR)

    def quantiles(self, distribution: Located) -> Tensor:
        """Returns its quantiles."""
        levels = distribution.mean.new_tensor(self.levels)
        standard = math.sqrt(2) * torch.erfinv(2 * levels - 1)
        return distribution.mean[..., None] + distribution.stddev[..., None] * standard


@dataclass(frozen=True)
class StudentT(Likelihood):
    """Negative log-likelihood of Student's t, whose tails forgive outliers; with 2 to some degrees of freedom.

    The outputs are its centre and, by softplus, its scale and what its degrees of freedom have above 2 (Salinas et al.
    2020, "DeepAR: Probabilistic forecasting with autoregressive recurrent networks").

    Args:
        levels: Of the quantiles that are reported.

    Raises:
        ValueError: Where they are not in rising order between 0 and 1.
    """

    num_parameters: ClassVar[int] = 3
    levels: tuple[float, ...] | list[float] = LEVELS

    def __post_init__(self) -> None:
        _check_levels(self.levels)

    def distribution(self, parameters: Tensor) -> Located:
        """Returns the distribution."""
        loc, scale, freedom = parameters.unbind(-1)
        return StudentTDistribution(2 + softplus(freedom), loc, softplus(scale) + _FLOOR)

    def quantiles(self, distribution: Located) -> Tensor:
        """Returns its quantiles, which torch cannot compute and SciPy can."""
        from scipy.stats import t

        parts = [getattr(distribution, name).detach().double().cpu().numpy() for name in ("df", "loc", "scale")]
        df, loc, scale = (part[..., None] for part in parts)
        quantiles = loc + scale * t.ppf(np.asarray(self.levels), df)
        return torch.from_numpy(quantiles).to(distribution.mean)


def _check_levels(levels: tuple[float, ...] | list[float]) -> None:
    rising = all(low < high for low, high in pairwise(levels))
    if not levels or not rising or not 0 < levels[0] <= levels[-1] < 1:
        raise ValueError(f"levels={list(levels)}: expected probabilities between 0 and 1, in rising order")

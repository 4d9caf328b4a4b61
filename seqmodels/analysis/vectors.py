"""Vectors seen from where they differ most, and their neighbours."""

from typing import NamedTuple

import torch
from torch import Tensor


class PrincipalComponents(NamedTuple):
    """The directions in which vectors differ most.

    Attributes:
        mean: Of the vectors `(features,)`.
        directions: Orthonormal, `(components, features)`, the first with the largest variance.
        shares: Of the whole variance that each direction has `(components,)`.
    """

    mean: Tensor
    directions: Tensor
    shares: Tensor

    def project(self, vectors: Tensor) -> Tensor:
        """Returns coordinates along the directions: `(..., features)` to `(..., components)`."""
        return (vectors - self.mean) @ self.directions.T


def principal_components(vectors: Tensor, count: int = 2) -> PrincipalComponents:
    """Finds the directions in which vectors differ most (Pearson 1901), by a singular value decomposition.

    Args:
        vectors: `(vectors, features)`.
        count: Directions at most.

    Raises:
        ValueError: There are fewer than two vectors, or numbers that are not finite.

    Example:
        >>> found = principal_components(torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), count=1)
        >>> found.project(torch.tensor([[0.0, 0.0]])).abs(), found.shares
        (tensor([[5.]]), tensor([1.]))
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(f"vectors: expected shape (at least 2, features), got {tuple(vectors.shape)}")
    if not bool(vectors.isfinite().all()):
        raise ValueError("vectors: expected finite numbers, got NaN or infinity")
    mean = vectors.mean(0)
    _, values, directions = torch.linalg.svd(vectors - mean, full_matrices=False)
    variances = values.square()
    shares = variances / variances.sum().clamp(min=torch.finfo(variances.dtype).tiny)
    return PrincipalComponents(mean, directions[:count], shares[:count])


class Neighbours(NamedTuple):
    """The nearest of vectors to each of them.

    Attributes:
        places: Their numbers `(vectors, count)`, the nearest first.
        similarities: The cosines of the angles to them `(vectors, count)`.
    """

    places: Tensor
    similarities: Tensor


def nearest_neighbours(vectors: Tensor, count: int = 5) -> Neighbours:
    """Finds for each vector those at the smallest angle to it.

    Args:
        vectors: `(vectors, features)`, two at least.
        count: How many at most.

    Example:
        >>> nearest_neighbours(torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]]), count=1).places.tolist()
        [[1], [0], [1]]
    """
    units = torch.nn.functional.normalize(vectors, dim=-1)
    similarities = (units @ units.T).fill_diagonal_(-torch.inf)
    found = similarities.topk(min(count, len(vectors) - 1), -1)
    return Neighbours(found.indices, found.values)


def entropy(weights: Tensor) -> Tensor:
    """Returns the entropy of weights that sum to one, in nats: 0 for one place, `log n` for n places alike.

    Args:
        weights: `(..., places)`, such as those of attention.

    Example:
        >>> entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
        tensor([-0.0000, 0.6931])
    """
    return -torch.special.xlogy(weights, weights).sum(-1)

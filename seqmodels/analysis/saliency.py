"""Saliency: how much each step of a sequence has to do with a score.

Everything here takes a score as a function of vectors, `(rows, time, ...) -> (rows,)`, one row for each variant of one
sequence: the series itself, or the vectors of its tokens (see `reading`). It must treat rows apart from each other, and
the model behind it must be in evaluation mode; torch's own layers need `watchable`, since cuDNN has no gradient there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis.perturbing import ROWS, Score, gradients, occluded


class Attribution(NamedTuple):
    """What one method says of one score.

    Attributes:
        values: For each number that was read `(time, ...)`; of occlusion one for each step `(time, 1)`.
        shares: Whether they are parts of the score, of which a step's sum is its part. Otherwise they say how fast the
            score changes, and only their size means something.
    """

    values: Tensor
    shares: bool

    @property
    def signed(self) -> Tensor:
        """The sum over each step `(time,)`."""
        return self.values.flatten(1).sum(1)

    @property
    def norm(self) -> Tensor:
        """The Euclidean norm over each step `(time,)`."""
        return self.values.flatten(1).norm(dim=1)

    @property
    def importance(self) -> Tensor:
        """What steps are ranked by `(time,)`: the size of a step's part, or the norm of its gradient."""
        return self.signed.abs() if self.shares else self.norm


def gradient(score: Score, vectors: Tensor, baseline: Tensor | None = None) -> Attribution:
    """How fast the score changes with each number (Simonyan et al. 2014, "Deep inside convolutional networks").

    Args:
        score: See the module.
        vectors: One sequence `(time, ...)`.
        baseline: Of no account here.

    Example:
        >>> linear = lambda x: (x * torch.tensor([[1.0], [-3.0]])).flatten(1).sum(1)
        >>> gradient(linear, torch.tensor([[5.0], [2.0]])).signed
        tensor([ 1., -3.])
    """
    return Attribution(_gradient(score, vectors), shares=False)


def _gradient(score: Score, vectors: Tensor) -> Tensor:
    return gradients(lambda rows: score(rows)[:, None], vectors, 1)[0]


def gradient_times_input(score: Score, vectors: Tensor, baseline: Tensor | None = None) -> Attribution:
    """The gradient times what was read: what each number adds to the score, were the score linear.

    Shrikumar et al. 2017, "Learning important features through propagating activation differences", section 2.

    Args:
        score: See the module.
        vectors: One sequence `(time, ...)`.
        baseline: What would be read were nothing there `(time, ...)`; zeros where left out. It is taken from the
            vectors first, so that this is the first term of `integrated_gradients` from the same baseline.

    Example:
        >>> linear = lambda x: (x * torch.tensor([[1.0], [-3.0]])).flatten(1).sum(1)
        >>> gradient_times_input(linear, torch.tensor([[5.0], [2.0]])).signed
        tensor([ 5., -6.])
    """
    read = vectors.detach() if baseline is None else vectors.detach() - baseline.detach()
    return Attribution(_gradient(score, vectors) * read, shares=True)


def integrated_gradients(
    score: Score,
    vectors: Tensor,
    baseline: Tensor | None = None,
    points: int = 8,
    max_points: int = 512,
    tolerance: float = 0.005,
) -> Attribution:
    """The gradient averaged on the way from a baseline, times the way: parts that sum to what the score gains on it.

    `(x - b) * integral over a from 0 to 1 of score'(b + a (x - b))` (Sundararajan et al. 2017, "Axiomatic attribution
    for deep networks"), by Gauss and Legendre's quadrature, through captum. What the score gains on any piece of the
    way is known, so that the piece where the sum is furthest from it is halved until all is well: recurrent models
    may change their minds within a small part of the way, which no fixed number of points would find.

    Args:
        score: See the module.
        vectors: One sequence `(time, ...)`.
        baseline: Where the way begins `(time, ...)`; zeros where left out.
        points: Of the quadrature, on each piece.
        max_points: In all, at most; where they do not do, `completeness` tells.
        tolerance: The sum of the errors of all pieces, relative to the whole gain, that is let pass.

    Raises:
        ValueError: There is no point.

    Example:
        >>> square = lambda x: x.flatten(1).sum(1).square()
        >>> integrated_gradients(square, torch.tensor([[1.0], [2.0]])).signed.round(decimals=3)
        tensor([3., 6.])
    """
    if points < 1:
        raise ValueError(f"points={points}: expected at least 1")
    vectors = vectors.detach()
    baseline = torch.zeros_like(vectors) if baseline is None else baseline.detach()
    pieces = _pieces(score, vectors, baseline, [(0.0, 1.0)], points)
    gain, used = pieces[0].gain, points
    while used + 2 * points <= max_points and sum(piece.error for piece in pieces) > tolerance * abs(gain):
        worst = pieces.pop(max(range(len(pieces)), key=lambda place: pieces[place].error))
        middle = (worst.begin + worst.end) / 2
        pieces += _pieces(score, vectors, baseline, [(worst.begin, middle), (middle, worst.end)], points)
        used += 2 * points
    return Attribution(torch.stack([piece.values for piece in pieces]).sum(0), shares=True)


class _Piece(NamedTuple):
    """A piece of the way from the baseline: what the integral over it is, and what the score gains on it."""

    begin: float
    end: float
    values: Tensor
    gain: float

    @property
    def error(self) -> float:
        return abs(float(self.values.double().sum()) - self.gain)


def _pieces(
    score: Score, vectors: Tensor, baseline: Tensor, borders: Sequence[tuple[float, float]], points: int
) -> list[_Piece]:
    from captum.attr import IntegratedGradients

    shares = torch.tensor(borders, dtype=vectors.dtype, device=vectors.device)
    begins, ends = (baseline + share.view(-1, *[1] * vectors.ndim) * (vectors - baseline) for share in shares.unbind(1))
    method = IntegratedGradients(score)
    found = method.attribute(ends.clone().requires_grad_(), begins, n_steps=points, internal_batch_size=ROWS)
    with torch.no_grad():
        at_begin, at_end = score(torch.cat([begins, ends])).double().chunk(2)
    gains = (at_end - at_begin).tolist()
    values = found.detach().to(vectors.dtype)
    return [_Piece(*border, *rest) for border, *rest in zip(borders, values, gains, strict=True)]


def smooth_gradient(
    score: Score,
    vectors: Tensor,
    baseline: Tensor | None = None,
    noise: float = 0.1,
    samples: int = 32,
    seed: int = 0,
) -> Attribution:
    """The gradient averaged over noisy variants of what was read, through captum.

    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise". The global generators are left alone.

    Args:
        score: See the module.
        vectors: One sequence `(time, ...)`.
        baseline: Of no account here.
        noise: Standard deviation of the noise, as a share of the range of the vectors' numbers.
        samples: Noisy variants.
        seed: Of the noise.

    Raises:
        ValueError: There is no sample.

    Example:
        >>> linear = lambda x: (x * torch.tensor([[1.0], [-3.0]])).flatten(1).sum(1)
        >>> smooth_gradient(linear, torch.tensor([[5.0], [2.0]])).signed
        tensor([ 1., -3.])
    """
    from captum.attr import NoiseTunnel, Saliency

    if samples < 1:
        raise ValueError(f"samples={samples}: expected at least 1")
    leaf = vectors.detach()[None].clone().requires_grad_()
    deviation = noise * float(vectors.max() - vectors.min())
    with torch.random.fork_rng([leaf.device] if leaf.device.type == "cuda" else []):
        torch.manual_seed(seed)
        values = NoiseTunnel(Saliency(score)).attribute(
            leaf, nt_samples=samples, nt_samples_batch_size=min(samples, ROWS), stdevs=deviation, abs=False
        )
    return Attribution(values[0].detach(), shares=False)


def occlusion(score: Score, vectors: Tensor, baseline: Tensor | None = None) -> Attribution:
    """What the score loses where one step is replaced by the baseline: no gradient, and so the check of the others.

    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2; of texts Li et al.
    2016, "Understanding neural networks through representation erasure".

    Args:
        score: See the module.
        vectors: One sequence `(time, ...)`.
        baseline: What stands in a step's place `(time, ...)`; zeros where left out.

    Example:
        >>> product = lambda x: x.flatten(1).prod(1)
        >>> occlusion(product, torch.tensor([[2.0], [3.0]]), torch.ones(2, 1)).signed
        tensor([3., 4.])
    """
    return Attribution(occluded(lambda rows: score(rows)[:, None], vectors, baseline), shares=True)


Method = Callable[[Score, Tensor, Tensor | None], Attribution]
SALIENCY_METHODS: Mapping[str, Method] = {
    "gradient": gradient,
    "gradient x input": gradient_times_input,
    "integrated gradients": integrated_gradients,
    "SmoothGrad": smooth_gradient,
    "occlusion": occlusion,
}
"""All methods by the names they are shown under; each takes `(score, vectors, baseline)`."""


class Completeness(NamedTuple):
    """Whether the parts of a score make up the whole.

    Attributes:
        total: The sum of all parts.
        gain: The score less that of the baseline, which they should sum to.
    """

    total: float
    gain: float

    @property
    def error(self) -> float:
        """How far they are apart, relative to the gain; NaN where there is none."""
        return abs(self.total - self.gain) / abs(self.gain) if self.gain else math.nan


@torch.no_grad()
def completeness(
    score: Score, vectors: Tensor, attribution: Attribution, baseline: Tensor | None = None
) -> Completeness:
    """Holds the sum of an attribution against what the score gains over the baseline (Sundararajan et al. 2017).

    Args:
        score: See the module.
        vectors: The sequence `(time, ...)`.
        attribution: What a method says of it.
        baseline: What the method was given `(time, ...)`; zeros where left out.

    Example:
        >>> double = lambda x: 2 * x.flatten(1).sum(1)
        >>> vectors = torch.tensor([[1.0], [2.0]])
        >>> completeness(double, vectors, gradient_times_input(double, vectors))
        Completeness(total=6.0, gain=6.0)
    """
    baseline = torch.zeros_like(vectors) if baseline is None else baseline
    reached, begun = score(torch.stack([vectors, baseline])).double().tolist()
    return Completeness(float(attribution.values.double().sum()), reached - begun)


def agreement(first: Attribution, second: Attribution) -> float:
    """How alike two methods rank the steps: Spearman's correlation of their importance, from -1 to 1.

    Steps that both give nothing, such as those behind the one that is explained, do not count.

    Args:
        first: Of one method.
        second: Of another, such as occlusion, of the same score.

    Returns:
        The correlation; NaN where one tells no steps apart.

    Example:
        >>> values = torch.tensor([[[3.0], [-2.0], [1.0]], [[1.0], [2.0], [3.0]]])
        >>> early, late = (Attribution(of_one, shares=True) for of_one in values)
        >>> round(agreement(early, early), 6), round(agreement(early, late), 6)
        (1.0, -1.0)
    """
    from scipy.stats import spearmanr

    both = torch.stack([first.importance.double(), second.importance.double()]).cpu()
    pair = both[:, both.any(0)].numpy()
    if any(len(ranked) < 2 or ranked.min() == ranked.max() for ranked in pair):
        return math.nan
    return float(spearmanr(*pair).statistic)

"""Attention that only ever moves on."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.attention.additive import AdditiveAttention, additive_scores
from seqmodels.nn.attention.attention import Memory, widen
from seqmodels.nn.kernels.scan import linear_scan
from seqmodels.nn.state import State


class MonotonicAttention(AdditiveAttention):
    """Monotonic attention (Raffel et al., 2017, arXiv:1704.00784).

        e(q, v) = g w . tanh(W q + U v + b) / |w| + r,    p = sigmoid(e + noise)

    Each query goes on from the position where the one before stopped, and stops at position s with probability p_s. In
    evaluation it stops at the first s with e > 0, and the weights are one there. While training the weights are the
    probabilities of where it stops, and the noise, drawn from a Gaussian, teaches it to be sure:

        weights_{t,s} = p_{t,s} reached_{t,s}
        reached_{t,s} = (1 - p_{t,s-1}) reached_{t,s-1} + weights_{t-1,s}

    which divides by nothing. In the paper a query that stops nowhere has a context of zeros; here it stops at the last
    valid position, so that weights sum to one.

    The state is the weights of the last query, (1, batch, source); before the first it stands at position 0.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        attention_size: Features inside the tanh; as many as of a query if None.
        noise: Standard deviation of the noise while training.
        initial_bias: What r starts from; below 0, so that long sources are reached to their ends at first.

    Raises:
        ValueError: A size is below 1, or the noise below 0.

    Example:
        >>> attention = MonotonicAttention(query_size=4, value_size=6).eval()
        >>> weights = attention(torch.randn(1, 3, 4), attention.remember(torch.randn(1, 5, 6))).weights
        >>> places = weights.argmax(-1)[0]
        >>> bool((places.diff() >= 0).all()), weights.unique()
        (True, tensor([0., 1.]))
    """

    def __init__(
        self,
        query_size: int,
        value_size: int,
        attention_size: int | None = None,
        noise: float = 1.0,
        initial_bias: float = -1.0,
    ) -> None:
        super().__init__(query_size, value_size, attention_size)
        if not noise >= 0:
            raise ValueError(f"noise={noise}: expected a number of at least 0")
        self.noise = noise
        self.gain = nn.Parameter(torch.tensor(1 / math.sqrt(self.attention_size)))
        self.offset = nn.Parameter(torch.tensor(float(initial_bias)))

    def initial_state(self, memory: Memory) -> State:
        """Gives where it stands before the first query: at position 0."""
        weights = memory.keys.new_zeros(1, *memory.valid.shape)
        weights[..., 0] = 1
        return (weights,)

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Computes e; see `Attention.scores`."""
        vector = widen(self.gain) * F.normalize(widen(self.vector), dim=0)
        return additive_scores(queries, memory.keys, vector) + widen(self.offset)

    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Gives where each query stops, or how likely; see `Attention.weigh`."""
        stop = self._stop(self.scores(queries, memory), memory)
        passed = F.pad(1 - stop[..., :-1], (1, 0))  # what comes to s from s - 1
        (before,) = state
        steps = []
        for stop_t, passed_t in zip(stop.unbind(1), passed.unbind(1), strict=True):
            reached = linear_scan(passed_t.t()[..., None], before[0].t()[..., None], before.new_zeros(len(stop), 1))
            before = (stop_t * reached[..., 0].t())[None]
            steps.append(before[0])
        return torch.stack(steps, 1), (before,)

    def _stop(self, energies: Tensor, memory: Memory) -> Tensor:
        """Gives the probability of stopping at each position: 0 or 1 in evaluation."""
        if self.training:
            stop = torch.sigmoid(energies + self.noise * torch.randn_like(energies))
        else:
            stop = (energies > 0).to(energies.dtype)
        places = torch.arange(memory.valid.shape[1], device=stop.device)
        last = places == memory.lengths[:, None] - 1
        return stop.masked_fill(last[:, None], 1).masked_fill(~memory.valid[:, None], 0)

"""Additive attention that also sees where it has looked before."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.attention.additive import AdditiveAttention, additive_scores
from seqmodels.nn.attention.attention import Memory, check_positive, masked_softmax, widen
from seqmodels.nn.ragged import check_lengths, valid_mask
from seqmodels.nn.state import State


class PastAttention(AdditiveAttention):
    """`w . tanh(W q + U v + term(past) + b)`, where the past are the weights of the query before, or the sum of all.

    The state is the past, (1, batch, source), zero before the first query. Queries are answered one by one.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        attention_size: Features inside the tanh; as many as of a query if None.

    Raises:
        ValueError: A size is below 1.
    """

    cumulative = True

    def initial_state(self, memory: Memory) -> State:
        """Gives the past before the first query: nothing was looked at."""
        return (memory.keys.new_zeros(1, *memory.valid.shape),)

    @abstractmethod
    def term(self, past: Tensor, keys: Tensor) -> Tensor:
        """Gives what stands inside the tanh before the query is added.

        Args:
            past: (batch, source).
            keys: What `project_values` made, (batch, source, features).

        Returns:
            (batch, source, attention_size).
        """

    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Answers one query after the other; see `Attention.weigh`."""
        past, mask = state[0][0], memory.valid[:, None]
        steps = []
        for query in queries.split(1, dim=1):
            scores = additive_scores(query, self.term(past, memory.keys), self.vector)
            steps.append(masked_softmax(scores, mask))
            past = past + steps[-1][:, 0] if self.cumulative else steps[-1][:, 0]
        return torch.cat(steps, 1), (past[None],)


class LocationSensitiveAttention(PastAttention):
    """Location-sensitive attention (Chorowski et al., 2015, arXiv:1506.07503).

        f_t = F * weights_{t-1},    score(q, v_s) = w . tanh(W q + U v_s + L f_{t,s} + b)

    with a convolution over the source, so that it can move on from where it was.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        attention_size: Features inside the tanh; as many as of a query if None.
        num_filters: Filters of the convolution F.
        kernel_size: Positions that each filter sees, odd.
        cumulative: Convolves the sum of all weights so far in place of the last ones, as Tacotron 2 does (Shen et al.,
            2018, arXiv:1712.05884).

    Raises:
        ValueError: A size is below 1, or the filters have no middle.

    Example:
        >>> attention = LocationSensitiveAttention(query_size=4, value_size=6, kernel_size=3)
        >>> context, weights, (past,) = attention(torch.randn(2, 7, 4), attention.remember(torch.randn(2, 5, 6)))
        >>> bool((past[0] == weights[:, -1]).all())
        True
    """

    def __init__(
        self,
        query_size: int,
        value_size: int,
        attention_size: int | None = None,
        num_filters: int = 32,
        kernel_size: int = 31,
        cumulative: bool = False,
    ) -> None:
        super().__init__(query_size, value_size, attention_size)
        check_positive(num_filters=num_filters, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: expected an odd number, with as many positions on each side")
        self.cumulative = cumulative
        self.filters = nn.Conv1d(1, num_filters, kernel_size, padding=kernel_size // 2, bias=False)
        self.location = nn.Linear(num_filters, self.attention_size, bias=False)

    def term(self, past: Tensor, keys: Tensor) -> Tensor:
        """Adds L f; see `PastAttention.term`."""
        found = F.conv1d(past[:, None], widen(self.filters.weight), padding=self.filters.padding)
        return keys + F.linear(found.mT, widen(self.location.weight))


class CoverageAttention(PastAttention):
    """Attention with coverage and fertility (Tu et al., 2016, arXiv:1601.04811, "linguistic" coverage).

        C_{t,s} = C_{t-1,s} + weights_{t,s} / fertility_s,    fertility_s = max_fertility * sigmoid(f . v_s)
        score(q, v_s) = w . tanh(W q + U v_s + c C_{t-1,s} + b)

    so that it can tell which words were translated already, and how often each wants to be.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        attention_size: Features inside the tanh; as many as of a query if None.
        max_fertility: The most words that one word of the source becomes; None for the plain sum of the weights (See et
            al., 2017, arXiv:1704.04368, equations 10 and 11).

    Raises:
        ValueError: A size is below 1, or the fertility is not above 0.

    Example:
        >>> attention = CoverageAttention(query_size=4, value_size=6, max_fertility=None)
        >>> context, weights, (past,) = attention(torch.randn(2, 7, 4), attention.remember(torch.randn(2, 5, 6)))
        >>> torch.allclose(past[0], weights.sum(1))
        True
    """

    def __init__(
        self,
        query_size: int,
        value_size: int,
        attention_size: int | None = None,
        max_fertility: float | None = 2.0,
    ) -> None:
        super().__init__(query_size, value_size, attention_size)
        if max_fertility is not None and not max_fertility > 0:
            raise ValueError(f"max_fertility={max_fertility}: expected a number above 0, or None for the plain sum")
        self.max_fertility = max_fertility
        self.coverage = nn.Linear(1, self.attention_size, bias=False)
        self.fertility = None if max_fertility is None else nn.Linear(value_size, 1, bias=False)

    def project_values(self, values: Tensor) -> Tensor:
        """Makes keys, and puts the fertility's logit behind them; see `Attention.project_values`."""
        keys = super().project_values(values)
        return keys if self.fertility is None else torch.cat([keys, self.fertility(values)], -1)

    def term(self, past: Tensor, keys: Tensor) -> Tensor:
        """Adds c C; see `PastAttention.term`."""
        coverage = past[..., None]
        if self.max_fertility is not None:
            keys, logit = keys[..., :-1], keys[..., -1:]
            # Kept from 0, by which nothing can be divided; the tanh is saturated long before.
            coverage = coverage / (self.max_fertility * torch.sigmoid(logit).clamp(min=1e-6))
        return torch.addcmul(keys, coverage, widen(self.coverage.weight[:, 0]))


def coverage_loss(weights: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Computes how much attention looks again at what it has looked at (See et al., 2017, arXiv:1704.04368, eq. 12).

        the mean over steps t of the sum over s of min(weights_{t,s}, the sum of weights_{u,s} over u < t)

    Args:
        weights: (batch, time, source).
        lengths: Steps of each target, (batch,); all if None.

    Returns:
        A number of at most 1; 0 where there is no step.

    Raises:
        ValueError: A shape does not fit.

    Example:
        >>> coverage_loss(torch.tensor([[[1.0, 0.0], [0.5, 0.5]]]))
        tensor(0.2500)
    """
    if weights.dim() != 3:
        raise ValueError(f"weights: expected shape (batch, time, source), got {tuple(weights.shape)}")
    B, T, _ = weights.shape
    weights = widen(weights)
    again = torch.minimum(weights, weights.cumsum(1) - weights).sum(-1)
    if lengths is None:
        return again.sum() / max(1, B * T)
    check_lengths(lengths, B, T)
    valid = valid_mask(lengths.to(weights.device), T)
    return torch.where(valid, again, 0).sum() / valid.sum().clamp(min=1)

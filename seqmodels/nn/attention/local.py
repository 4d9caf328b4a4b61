"""Attention to a window of the source alone."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqmodels.nn.attention.attention import Attention, Memory, check_positive, masked_softmax
from seqmodels.nn.state import State


class LocalAttention(Attention):
    """Attention that counts only positions at most `window` from a centre; see the two kinds below.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        score: Makes the attention whose scores are used from `(query_size, value_size)`: a class whose weights are a
            softmax of its scores, such as `GeneralAttention`, or a `functools.partial` of one.
        window: Positions on each side of the centre.

    Raises:
        ValueError: A size is below 1, or the score does not fit.
    """

    def __init__(
        self, query_size: int, value_size: int, score: Callable[[int, int], Attention], window: int = 10
    ) -> None:
        super().__init__(query_size, value_size)
        check_positive(window=window)
        inner = score(query_size, value_size)
        kind = type(inner)
        if not isinstance(inner, Attention) or (kind.weigh, kind.forward) != (Attention.weigh, Attention.forward):
            raise ValueError(
                f"score={kind.__name__}: expected an attention whose weights are a softmax of its scores, "
                "such as DotAttention, GeneralAttention or ConcatAttention"
            )
        self.score = inner
        self.window = window

    def project_queries(self, queries: Tensor) -> Tensor:
        """Does what the score does; see `Attention.project_queries`."""
        return self.score.project_queries(queries)

    def project_values(self, values: Tensor) -> Tensor:
        """Does what the score does; see `Attention.project_values`."""
        return self.score.project_values(values)

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Does what the score does; see `Attention.scores`."""
        return self.score.scores(queries, memory)

    @abstractmethod
    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Weighs the positions around a centre; see `Attention.weigh`."""


class LocalMonotonicAttention(LocalAttention):
    """Local attention "local-m" (Luong et al., 2015, arXiv:1508.04025, section 3.2): query t looks around position t.

        weights = softmax over |s - p| <= window of score(q, v_s),    p = min(t, length - 1)

    The state is the number of queries that were answered, (1, batch, 1), int64.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        score: Makes the attention whose scores are used, see `LocalAttention`.
        window: Positions on each side of p; the paper has 10.

    Raises:
        ValueError: A size is below 1, or the score does not fit.

    Example:
        >>> from seqmodels.nn import DotAttention
        >>> attention = LocalMonotonicAttention(4, 4, DotAttention, window=1)
        >>> attention(torch.randn(1, 3, 4), attention.remember(torch.randn(1, 5, 4))).weights > 0
        tensor([[[ True,  True, False, False, False],
                 [ True,  True,  True, False, False],
                 [False,  True,  True,  True, False]]])
    """

    def initial_state(self, memory: Memory) -> State:
        """Gives the count before the first query."""
        return (torch.zeros(1, len(memory.valid), 1, dtype=torch.int64, device=memory.valid.device),)

    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Weighs the positions around that of the query; see `Attention.weigh`."""
        (count,) = state
        T, S = queries.shape[1], memory.valid.shape[1]
        steps = count[0] + torch.arange(T, device=count.device)  # (batch, time)
        centre = torch.minimum(steps, memory.lengths[:, None] - 1)
        inside = (torch.arange(S, device=count.device) - centre[..., None]).abs() <= self.window
        return masked_softmax(self.scores(queries, memory), memory.valid[:, None] & inside), (count + T,)


class LocalPredictiveAttention(LocalAttention):
    """Local attention "local-p" (Luong et al., 2015, arXiv:1508.04025, section 3.2): the centre is predicted.

        p = length * sigmoid(u . tanh(P q))
        weights = softmax over |s - p| <= window of score(q, v_s) - (s - p)^2 / (2 sigma^2),    sigma = window / 2

    The Gaussian stands inside the softmax, so that weights sum to one; the paper multiplies it to weights that are
    normalised already, and leaves it at a sum below one. The two are proportional.

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        score: Makes the attention whose scores are used, see `LocalAttention`.
        window: Positions on each side of p; the paper has 10.

    Raises:
        ValueError: A size is below 1, or the score does not fit.

    Example:
        >>> from seqmodels.nn import GeneralAttention
        >>> attention = LocalPredictiveAttention(4, 6, GeneralAttention, window=2)
        >>> attention(torch.randn(2, 7, 4), attention.remember(torch.randn(2, 5, 6))).context.shape
        torch.Size([2, 7, 6])
    """

    def __init__(
        self, query_size: int, value_size: int, score: Callable[[int, int], Attention], window: int = 10
    ) -> None:
        super().__init__(query_size, value_size, score, window)
        self.position = nn.Sequential(
            nn.Linear(query_size, query_size, bias=False), nn.Tanh(), nn.Linear(query_size, 1, bias=False)
        )

    def project_queries(self, queries: Tensor) -> Tensor:
        """Does what the score does, and puts what the centre is made of behind it; see `Attention.project_queries`."""
        return torch.cat([super().project_queries(queries), self.position(queries)], -1)

    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Weighs the positions around the predicted one; see `Attention.weigh`."""
        queries, position = queries[..., :-1], queries[..., -1:]
        centre = memory.lengths[:, None, None] * torch.sigmoid(position)
        distance = torch.arange(memory.valid.shape[1], device=centre.device) - centre  # (batch, time, source)
        scores = self.scores(queries, memory) - 2 * (distance / self.window).square()
        return masked_softmax(scores, memory.valid[:, None] & (distance.abs() <= self.window)), state

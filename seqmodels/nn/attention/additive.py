"""Attention by a small feed-forward network that sees a query and a value."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.attention.attention import Attention, Memory, check_positive, widen


class AdditiveAttention(Attention):
    """Additive attention (Bahdanau et al., 2015, arXiv:1409.0473, appendix A.1.2), with a bias.

        score(q, v) = w . tanh(W q + U v + b)

    Args:
        query_size: Features of a query.
        value_size: Features of a value.
        attention_size: Features inside the tanh; as many as of a query if None.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> attention = AdditiveAttention(query_size=4, value_size=6)
        >>> memory = attention.remember(torch.randn(2, 5, 6), lengths=torch.tensor([5, 3]))
        >>> attention(torch.randn(2, 7, 4), memory).context.shape
        torch.Size([2, 7, 6])
    """

    def __init__(self, query_size: int, value_size: int, attention_size: int | None = None) -> None:
        super().__init__(query_size, value_size)
        self.attention_size = query_size if attention_size is None else attention_size
        check_positive(attention_size=self.attention_size)
        self.query = nn.Linear(query_size, self.attention_size, bias=False)
        self.key = nn.Linear(value_size, self.attention_size)
        self.vector = make_vector(self.attention_size)

    def project_queries(self, queries: Tensor) -> Tensor:
        """Computes W q; see `Attention.project_queries`."""
        projected: Tensor = self.query(queries)
        return projected

    def project_values(self, values: Tensor) -> Tensor:
        """Computes U v + b; see `Attention.project_values`."""
        keys: Tensor = self.key(values)
        return keys

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Adds, squashes and reduces; see `Attention.scores`."""
        return additive_scores(queries, memory.keys, self.vector)


class ConcatAttention(Attention):
    """The score "concat" (Luong et al., 2015, arXiv:1508.04025, section 3.1).

        score(q, v) = w . tanh(W [q; v])

    With W cut into the columns of q and those of v, this is `AdditiveAttention` without a bias, and is computed so.
    What differs is that one matrix is drawn for both, and where the papers put it: Luong asks with the decoder's
    state after a step, Bahdanau with the one before.

    Args:
        query_size: Features of a query, and inside the tanh.
        value_size: Features of a value.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> attention = ConcatAttention(query_size=4, value_size=6)
        >>> attention(torch.randn(2, 7, 4), attention.remember(torch.randn(2, 5, 6))).context.shape
        torch.Size([2, 7, 6])
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        self.joint = nn.Linear(query_size + value_size, query_size, bias=False)
        self.vector = make_vector(query_size)

    def project_queries(self, queries: Tensor) -> Tensor:
        """Multiplies with the columns of the query; see `Attention.project_queries`."""
        return F.linear(queries, self.joint.weight[:, : self.query_size])

    def project_values(self, values: Tensor) -> Tensor:
        """Multiplies with the columns of the value; see `Attention.project_values`."""
        return F.linear(values, self.joint.weight[:, self.query_size :])

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Adds, squashes and reduces; see `Attention.scores`."""
        return additive_scores(queries, memory.keys, self.vector)


def make_vector(size: int) -> nn.Parameter:
    """Draws the vector that reduces `size` features to a score, as a linear layer draws its weight."""
    bound = 1 / math.sqrt(size)
    return nn.Parameter(torch.empty(size).uniform_(-bound, bound))


def additive_scores(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Computes `vector . tanh(query + key)` for each query and key.

    Args:
        queries: (batch, time, features).
        keys: (batch, source, features).
        vector: (features,).

    Returns:
        (batch, time, source).
    """
    # In place: the sum is the largest tensor of attention, (batch, time, source, features), and its derivative needs
    # what tanh puts out alone.
    return (queries[:, :, None] + keys[:, None]).tanh_() @ widen(vector)

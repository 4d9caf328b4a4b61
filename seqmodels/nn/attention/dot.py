"""Attention by products of queries and keys."""

import math

from torch import Tensor, nn

from seqmodels.nn.attention.attention import Attention, Memory


class DotAttention(Attention):
    """The score "dot" (Luong et al., 2015, arXiv:1508.04025, section 3.1).

        score(q, v) = q . v

    Args:
        query_size: Features of a query.
        value_size: Features of a value; as many as of a query.

    Raises:
        ValueError: A size is below 1, or the sizes differ.

    Example:
        >>> import torch
        >>> attention = DotAttention(4, 4)
        >>> memory = attention.remember(torch.randn(2, 5, 4), lengths=torch.tensor([5, 3]))
        >>> attention(torch.randn(2, 7, 4), memory).context.shape
        torch.Size([2, 7, 4])
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        if query_size != value_size:
            raise ValueError(
                f"query_size={query_size}: expected the value_size, {value_size}, because they are multiplied; "
                "GeneralAttention takes any sizes"
            )

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Multiplies each query with each key; see `Attention.scores`."""
        return queries @ memory.keys.mT


class ScaledDotAttention(DotAttention):
    """Scaled dot product (Vaswani et al., 2017, arXiv:1706.03762, equation 1).

        score(q, v) = q . v / sqrt(query_size)

    Nothing of it is learned; `MultiHeadAttention` with one head is the same over learned projections.

    Args:
        query_size: Features of a query.
        value_size: Features of a value; as many as of a query.

    Raises:
        ValueError: A size is below 1, or the sizes differ.

    Example:
        >>> import torch
        >>> attention = ScaledDotAttention(4, 4)
        >>> attention(torch.randn(2, 7, 4), attention.remember(torch.randn(2, 5, 4))).weights.shape
        torch.Size([2, 7, 5])
    """

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Multiplies and divides; see `Attention.scores`."""
        return super().scores(queries / math.sqrt(self.query_size), memory)


class GeneralAttention(Attention):
    """The score "general" (Luong et al., 2015, arXiv:1508.04025, section 3.1).

        score(q, v) = q . W v

    Args:
        query_size: Features of a query.
        value_size: Features of a value.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> import torch
        >>> attention = GeneralAttention(query_size=4, value_size=6)
        >>> attention(torch.randn(2, 7, 4), attention.remember(torch.randn(2, 5, 6))).context.shape
        torch.Size([2, 7, 6])
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        self.key = nn.Linear(value_size, query_size, bias=False)

    def project_values(self, values: Tensor) -> Tensor:
        """Computes W v; see `Attention.project_values`."""
        keys: Tensor = self.key(values)
        return keys

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Multiplies each query with each key; see `Attention.scores`."""
        return queries @ memory.keys.mT

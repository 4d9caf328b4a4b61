"""What every attention is: keys made once of a source, scores, weights that sum to one, and a weighted mean."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.nn.ragged import check_lengths, valid_mask
from seqmodels.nn.state import State


class Memory(NamedTuple):
    """What an attention keeps of a source; the batch is the first dimension of each tensor.

    Attributes:
        values: What is attended to, (batch, source, value_size), zero in padding.
        keys: What the attention made of the values once, (batch, source, features), never in half precision.
        valid: (batch, source) bool, True where a position belongs to the source.
    """

    values: Tensor
    keys: Tensor
    valid: Tensor

    @property
    def lengths(self) -> Tensor:
        """Positions of each source, (batch,)."""
        return self.valid.sum(1)


class Attended(NamedTuple):
    """What attention gives.

    Attributes:
        context: Weighted means of the values, (batch, time, output_size).
        weights: (batch, time, source): zero in padding, of sum one over the others; all zero for an empty source.
        state: What the attention remembers after the last query, each with the batch at dimension 1.
    """

    context: Tensor
    weights: Tensor
    state: State


class Attention(nn.Module, ABC):
    """Answers queries with weighted means of the values of a source.

        weights = softmax over the source of scores(queries, keys),    context = weights @ values

    A subclass gives `scores`, and where it needs them `project_queries` and `project_values`; one whose weights are
    not the softmax of its scores gives `weigh`, and `initial_state` if it remembers what it did. Scores and weights are
    computed in float32 at least, whatever the dtype of queries and values.

    Args:
        query_size: Features of a query, such as the decoder's output.
        value_size: Features of a value, such as the encoder's output, and of the context.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> class Mean(Attention):
        ...     def scores(self, queries, memory):
        ...         return queries.new_zeros(len(queries), queries.shape[1], memory.keys.shape[1])
        >>> attention = Mean(query_size=2, value_size=1)
        >>> memory = attention.remember(torch.tensor([[[1.0], [3.0], [9.0]]]), lengths=torch.tensor([2]))
        >>> context, weights, state = attention(torch.randn(1, 1, 2), memory)
        >>> context, weights
        (tensor([[[2.]]]), tensor([[[0.5000, 0.5000, 0.0000]]]))
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()
        check_positive(query_size=query_size, value_size=value_size)
        self.query_size = query_size
        self.value_size = value_size
        self.output_size = value_size

    def remember(self, values: Tensor, lengths: Tensor | None = None) -> Memory:
        """Makes keys of the values, once for all queries.

        Args:
            values: (batch, source, value_size); padding may hold anything.
            lengths: Positions of each source, (batch,), 0 for none; all if None.

        Returns:
            What `forward` looks at.

        Raises:
            ValueError: A shape does not fit.
        """
        if values.dim() != 3 or values.shape[2] != self.value_size or 0 in values.shape:
            raise ValueError(f"values: expected shape (batch, source, {self.value_size}), got {tuple(values.shape)}")
        B, S, _ = values.shape
        if lengths is None:
            valid = torch.ones(B, S, dtype=torch.bool, device=values.device)
        else:
            check_lengths(lengths, B, S)
            valid = valid_mask(lengths.to(values.device), S)
            values = values.masked_fill(~valid[..., None], 0)
        return Memory(values, widen(self.project_values(values)), valid)

    def initial_state(self, memory: Memory) -> State:
        """Gives the state before the first query: tensors with the batch at dimension 1; none by default."""
        return ()

    def forward(self, queries: Tensor, memory: Memory, state: State | None = None) -> Attended:
        """Attends to a source. Queries in one call, or one by one with the state handed on, give the same.

        Args:
            queries: (batch, time, query_size).
            memory: What `remember` made of the source.
            state: What an earlier call handed back; the initial state if None.

        Returns:
            Contexts and weights in the dtype of the values, and the state after the last query.

        Raises:
            ValueError: The queries' shape does not fit.
        """
        if queries.dim() != 3 or queries.shape[2] != self.query_size or len(queries) != len(memory.values):
            expected = f"({len(memory.values)}, time, {self.query_size})"
            raise ValueError(f"queries: expected shape {expected}, got {tuple(queries.shape)}")
        state = self.initial_state(memory) if state is None else state
        projected = widen(self.project_queries(queries))
        with torch.autocast(queries.device.type, enabled=False):
            weights, state = self.weigh(projected, memory, state)
        weights = weights.to(memory.values.dtype)
        return Attended(self.read(weights, memory), weights, state)

    def project_values(self, values: Tensor) -> Tensor:
        """Makes keys: (batch, source, value_size) to (batch, source, features); the values themselves by default."""
        return values

    def project_queries(self, queries: Tensor) -> Tensor:
        """Does what a query needs no source for: (batch, time, query_size) to features; nothing by default."""
        return queries

    @abstractmethod
    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Scores each position for each query.

        Args:
            queries: What `project_queries` made, (batch, time, features), never in half precision.
            memory: The source; scores of its padding do not matter but must be finite.

        Returns:
            (batch, time, source).
        """

    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Gives weights (batch, time, source) and the state after the last query; arguments as in `scores`."""
        return masked_softmax(self.scores(queries, memory), memory.valid[:, None]), state

    def read(self, weights: Tensor, memory: Memory) -> Tensor:
        """Takes weighted means of the values: (batch, time, source) to (batch, time, output_size)."""
        return weights @ memory.values


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Computes a softmax over the last dimension in which only some positions take part.

    Args:
        scores: Of any shape, finite.
        mask: Bool, broadcast to the scores, True where a position takes part.

    Returns:
        Weights of the scores' shape and dtype, exactly zero where the mask is False, and everywhere in a row of which
        no position takes part.

    Example:
        >>> mask = torch.tensor([[True, True, False], [False, False, False]])
        >>> masked_softmax(torch.tensor([[1.0, 1.0, 5.0], [1.0, 2.0, 3.0]]), mask)
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.0000, 0.0000]])
    """
    # A number in place of -inf, because a softmax over nothing but -inf is NaN, and its gradient too.
    lowest = torch.finfo(scores.dtype).min
    outside = ~mask
    return scores.masked_fill(outside, lowest).softmax(-1).masked_fill(outside, 0)


def widen(tensor: Tensor) -> Tensor:
    """Gives a half-precision tensor in float32, others as they are; what float16 made infinite becomes its largest."""
    if tensor.dtype == torch.bfloat16:
        return tensor.float()
    if tensor.dtype == torch.float16:
        limits = torch.finfo(torch.float16)
        return tensor.float().clamp(limits.min, limits.max)
    return tensor


def check_positive(**sizes: int) -> None:
    """Refuses sizes below 1.

    Raises:
        ValueError: Names the first of them.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size}: expected an integer of at least 1")

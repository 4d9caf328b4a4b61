"""Several scaled dot products side by side, over another sequence or over the sequence itself."""

import math

import torch
from torch import Tensor, nn

from seqmodels.nn.attention.attention import Attended, Attention, Memory, check_positive, masked_softmax
from seqmodels.nn.state import State


class MultiHeadAttention(Attention):
    """Multi-head attention (Vaswani et al., 2017, arXiv:1706.03762, section 3.2.2).

        head_i = softmax(W_i q . U_i v / sqrt(d)) Z_i v,    context = O [head_1; ...; head_n],    d = attention_size / n

    The weights handed back are the mean over the heads.

    Args:
        query_size: Features of a query.
        value_size: Features of a value, and of the context.
        num_heads: Number of heads, n.
        attention_size: Features of all heads together; as many as of a query if None.

    Raises:
        ValueError: A size is below 1, or the heads do not divide the size.

    Example:
        >>> attention = MultiHeadAttention(query_size=8, value_size=6, num_heads=2)
        >>> memory = attention.remember(torch.randn(2, 5, 6), lengths=torch.tensor([5, 3]))
        >>> attention(torch.randn(2, 7, 8), memory).context.shape
        torch.Size([2, 7, 6])
    """

    def __init__(self, query_size: int, value_size: int, num_heads: int = 4, attention_size: int | None = None) -> None:
        super().__init__(query_size, value_size)
        size = query_size if attention_size is None else attention_size
        check_positive(num_heads=num_heads, attention_size=size)
        if size % num_heads:
            raise ValueError(f"num_heads={num_heads}: expected a number that divides attention_size={size}")
        self.num_heads = num_heads
        self.attention_size = size
        # Without biases, as in the paper: an empty source has a context of zeros.
        self.query = nn.Linear(query_size, size, bias=False)
        self.key_value = nn.Linear(value_size, 2 * size, bias=False)
        self.out = nn.Linear(size, value_size, bias=False)

    def forward(self, queries: Tensor, memory: Memory, state: State | None = None) -> Attended:
        """Attends to a source; see `Attention.forward`."""
        attended = super().forward(queries, memory, state)
        return attended._replace(weights=attended.weights.mean(1))

    def project_queries(self, queries: Tensor) -> Tensor:
        """Computes W q; see `Attention.project_queries`."""
        projected: Tensor = self.query(queries)
        return projected

    def project_values(self, values: Tensor) -> Tensor:
        """Computes U v and Z v, side by side; see `Attention.project_values`."""
        keys_and_values: Tensor = self.key_value(values)
        return keys_and_values

    def scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """Scores by each head, (batch, num_heads, time, source); see `Attention.scores`."""
        keys = self._heads(memory.keys[..., : self.attention_size])
        return self._heads(queries / math.sqrt(self.attention_size // self.num_heads)) @ keys.mT

    def weigh(self, queries: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """Gives the weights of each head, (batch, num_heads, time, source); see `Attention.weigh`."""
        return masked_softmax(self.scores(queries, memory), memory.valid[:, None, None]), state

    def read(self, weights: Tensor, memory: Memory) -> Tensor:
        """Joins what the heads read; see `Attention.read`."""
        values = self._heads(memory.keys[..., self.attention_size :].to(weights.dtype))
        context: Tensor = self.out((weights @ values).transpose(1, 2).flatten(2))
        return context

    def _heads(self, features: Tensor) -> Tensor:
        """Cuts (batch, steps, attention_size) into (batch, num_heads, steps, attention_size / num_heads)."""
        return features.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class SelfAttention(nn.Module):
    """A layer in which each step of a sequence looks at all its steps (Vaswani et al., 2017, arXiv:1706.03762).

        y = layer_norm(x + dropout(multi_head(x, x)))

    It knows no order of steps; recurrent layers below it do.

    Args:
        input_size: Features of a step, before and after.
        num_heads: Number of heads of `MultiHeadAttention`.
        dropout: Probability of zeroing a feature of what attention gives.

    Raises:
        ValueError: A size is below 1, the heads do not divide the size, or the probability is out of range.

    Example:
        >>> layer = SelfAttention(8, num_heads=2)
        >>> layer(torch.randn(2, 5, 8), lengths=torch.tensor([5, 3]))[1, 3:].abs().sum()
        tensor(0., grad_fn=<SumBackward0>)
    """

    def __init__(self, input_size: int, num_heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: expected a probability in [0, 1)")
        self.attention = MultiHeadAttention(input_size, input_size, num_heads)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(input_size)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Lets each step look at the others.

        Args:
            inputs: (batch, time, input_size); padding may hold anything.
            lengths: Steps of each row, (batch,); all if None.

        Returns:
            The same shape, zero in padding.

        Raises:
            ValueError: A shape does not fit.
        """
        memory = self.attention.remember(inputs, lengths)
        inputs = memory.values  # without what stood in padding
        outputs: Tensor = self.norm(inputs + self.dropout(self.attention(inputs, memory).context))
        return torch.where(memory.valid[..., None], outputs, 0)

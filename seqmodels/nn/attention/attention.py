"""What every attention gives."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor, nn

from seqmodels.nn.state import State


class Memory(NamedTuple):
    """A source to look at.

    Attributes:
        values: What contexts are made of `(batch, steps, value_size)`.
        keys: What attention made of the values, once.
        valid: Which steps are not padding `(batch, steps)`, bool.
    """

    values: Tensor
    keys: Any
    valid: Tensor


class Attended(NamedTuple):
    """What was found.

    Attributes:
        context: `(batch, time, output_size)`.
        weights: `(batch, time, steps)`, which sum to 1 over a source.
        state: What the next query needs to know.
    """

    context: Tensor
    weights: Tensor
    state: State


class Attention(nn.Module, ABC):
    """Looks at a source, step by step or for all steps at once."""

    output_size: int

    @abstractmethod
    def remember(self, values: Tensor, lengths: Tensor | None = None) -> Memory:
        """Projects keys."""

    @abstractmethod
    def initial_state(self, memory: Memory) -> State:
        """Returns the state before the first query."""

    @abstractmethod
    def forward(self, queries: Tensor, memory: Memory, state: State | None = None) -> Attended:
        """Looks."""

"""What `Recurrent` and `NativeRecurrent` share: sizes, the initial state, context, resets."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from seqmodels.nn.checks import check_inputs, check_like, check_options, checked_state, sizes_by_layer
from seqmodels.nn.segments import run_segments
from seqmodels.nn.stacking import stack_states, unstack_state
from seqmodels.nn.state import State

ContextUse = Literal["state", "inputs", "both"]


@dataclass(frozen=True)
class Context:
    """How a layer takes a vector that holds for a whole sequence, such as an encoder's summary or an image's features.

    As state it makes the initial state, `tanh(W context + b)` (Cho et al., 2014, arXiv:1406.1078; Sutskever et al.,
    2014, arXiv:1409.3215). As inputs it is appended to the inputs of every step, so that it is never forgotten. Vinyals
    et al. (2015, arXiv:1411.4555) compare the two for captions.

    Args:
        size: Features of the vector.
        use: "state", "inputs" or "both".

    Raises:
        ValueError: The size is below 1, or the use is unknown.

    Example:
        >>> from seqmodels.nn import GRUCell, Recurrent
        >>> decoder = Recurrent(GRUCell, 3, 5, context=Context(16, "both"))
        >>> outputs, state = decoder(torch.randn(2, 7, 3), context=torch.randn(2, 16))
        >>> outputs.shape
        torch.Size([2, 7, 5])
    """

    size: int
    use: ContextUse = "state"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"context.size: expected an integer of at least 1, got {self.size}")
        if self.use not in get_args(ContextUse):
            raise ValueError(f"context.use: expected one of {', '.join(get_args(ContextUse))}, got {self.use!r}")


class RecurrentLayer(nn.Module, ABC):
    """The base of both: a subclass makes its parameters, calls `make_initial_state`, and gives the methods below.

    Args:
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, one number for all layers or one for each.
        num_layers: Layers.
        bidirectional: Whether each layer also reads the sequence from its end.
        dropout: Probability of zeroing an output between layers, while training.
        context: What a context vector does; None for a layer that takes none.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        context: Context | None,
    ) -> None:
        super().__init__()
        check_options(num_layers, dropout)
        self.input_size = input_size
        self.hidden_sizes = sizes_by_layer(hidden_size, num_layers)
        self.hidden_size = max(self.hidden_sizes)
        self.num_layers = num_layers
        self.num_directions = 2 if bidirectional else 1
        self.dropout = dropout
        self.context = context
        self._context_in_inputs = context is not None and context.use != "state"
        self._context_in_state = context is not None and context.use != "inputs"
        self._cell_sizes = [size for size in self.hidden_sizes for _ in range(self.num_directions)]

    def make_initial_state(
        self, num_states: int, initial_state: str, noise: float, num_free: int | None = None
    ) -> None:
        """Makes what the initial state needs, the last of the parameters.

        Raises:
            ValueError: An argument is out of range, or the context leaves nothing to learn.
        """
        _check_initial_state(initial_state, noise, self._context_in_state)
        self.num_states = num_states
        self.num_free = num_states if num_free is None else num_free
        self.noise = noise if initial_state == "noisy" else 0.0
        self.learned_state = nn.ParameterList(
            nn.Parameter(torch.zeros(len(self._cell_sizes), 1, self.hidden_size))
            for _ in range(self.num_free if initial_state == "learned" else 0)
        )
        self.context_to_state: nn.Linear | None = None
        if self.context is not None and self._context_in_state:
            self.context_to_state = nn.Linear(self.context.size, self.num_free * sum(self._cell_sizes))

    @property
    def first_input_size(self) -> int:
        """Features of what the first layer reads: the inputs, and the context where it is part of them."""
        return self.input_size + (self.context.size if self.context is not None and self._context_in_inputs else 0)

    def initial_state(self, batch_size: int, context: Tensor | None = None) -> State:
        """Gives the state before the first step. Noise is drawn anew at each call, while training.

        Args:
            batch_size: Rows.
            context: (batch_size, context size), where it makes the state.

        Returns:
            Tensors of (num_layers * num_directions, batch_size, hidden_size), zero beyond a layer's own width.

        Raises:
            ValueError: There is no context where it makes the state.
        """
        if self.context_to_state is not None:
            self._check_context(context, batch_size, needed=True)
            assert context is not None
            made = torch.tanh(self.context_to_state(context)).to(self._like().dtype)
            parts = made.split(self._cell_sizes * self.num_free, -1)
            count = len(self._cell_sizes)
            state = stack_states([parts[k::count] for k in range(count)], self.hidden_size)
        else:
            state = tuple(s.expand(-1, batch_size, -1) for s in self.learned_state)
        if len(state) < self.num_states:
            state = (*state, *self._own_state(batch_size)[len(state) :])
        return self._add_noise(state) if self.noise and self.training else state

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
        context: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Runs over sequences.

        Args:
            inputs: (batch, time, input_size).
            state: Where to start, each (num_layers * num_directions, batch, hidden_size), read up to each layer's own
                width; the initial state if None.
            lengths: Steps of each row, (batch,) integers from 0 to time; all if None. What lies beyond is never read.
            reset: (batch, time) bool; before such a step the state goes back to the initial state. Going backward in
                time it does so after the step, so that a reset parts the same steps in both directions.
            context: (batch, context size); may be left out where it only makes an initial state that is not used.

        Returns:
            The outputs (batch, time, output_size), zero beyond each length, and the state after each row's last step,
            each (num_layers * num_directions, batch, hidden_size), zero beyond a layer's own width.

        Raises:
            ValueError: A shape, dtype, device or length does not fit.
        """
        like = self._like()
        check_inputs(self, inputs, lengths, reset, like)
        B, T, _ = inputs.shape
        if self.context is not None or context is not None:
            starts = self._context_in_state and (state is None or reset is not None)
            self._check_context(context, B, needed=self._context_in_inputs or starts)
        if state is None:
            state = self.initial_state(B, context)
        state = checked_state(self, state, B, like)
        if reset is not None:
            return run_segments(self, inputs, state, lengths, reset, context)
        if context is not None and self._context_in_inputs:
            inputs = torch.cat([inputs, context[:, None].expand(-1, T, -1)], -1)
        if lengths is not None and bool((lengths == T).all()):
            lengths = None
        return self._run(inputs, state, lengths)

    @abstractmethod
    def _run(self, inputs: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs all layers over (batch, time, first_input_size); `forward` has checked everything."""

    @abstractmethod
    def _own_state(self, batch_size: int) -> State:
        """Gives the state before the first step where there is neither a learned one nor a context."""

    @abstractmethod
    def _like(self) -> Tensor:
        """Gives a tensor on the device and in the dtype of the layer."""

    def _add_noise(self, state: State) -> State:
        states = unstack_state(state, self._cell_sizes)
        free = self.num_free
        noisy = [
            (*(s + self.noise * torch.randn_like(s) for s in cell_state[:free]), *cell_state[free:])
            for cell_state in states
        ]
        return stack_states(noisy, self.hidden_size)

    def _check_context(self, context: Tensor | None, batch_size: int, needed: bool) -> None:
        if self.context is None:
            raise ValueError("context: expected none, as the layer was made without, got a tensor")
        if context is None and not needed:
            return
        shape = None if context is None else tuple(context.shape)
        if context is None or shape != (batch_size, self.context.size):
            raise ValueError(f"context: expected shape ({batch_size}, {self.context.size}), got {shape}")
        check_like("context", context, self._like())


def _check_initial_state(initial_state: str, noise: float, made_by_context: bool) -> None:
    if initial_state not in (choices := ("zero", "learned", "noisy")):
        raise ValueError(f"initial_state: expected one of {', '.join(choices)}, got {initial_state!r}")
    if initial_state == "learned" and made_by_context:
        raise ValueError("initial_state: expected zero or noisy where a context makes the state, got 'learned'")
    if noise < 0:
        raise ValueError(f"noise: expected a standard deviation of at least 0, got {noise}")

"""What every recurrent layer checks of its arguments."""

from typing import Protocol

import torch
from torch import Tensor

from seqmodels.nn.ragged import check_lengths
from seqmodels.nn.state import State, map_state

INITIAL_STATES = ("zero", "learned")


class Layer(Protocol):
    """What `Recurrent` and `NativeRecurrent` have in common."""

    input_size: int
    hidden_size: int
    num_layers: int
    num_directions: int
    num_states: int

    def initial_state(self, batch_size: int) -> State:
        """Gives the state before the first step, each (num_layers * num_directions, batch, hidden_size)."""

    def forward(
        self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Runs the layer."""


def check_options(num_layers: int, dropout: float, initial_state: str) -> None:
    """Refuses constructor arguments that mean nothing.

    Raises:
        ValueError: Names the argument, what is valid, and what was given.
    """
    if num_layers < 1:
        raise ValueError(f"num_layers: expected an integer of at least 1, got {num_layers}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: expected a probability in [0, 1), got {dropout}")
    if initial_state not in INITIAL_STATES:
        raise ValueError(f"initial_state: expected one of {', '.join(INITIAL_STATES)}, got {initial_state!r}")


def check_inputs(layer: Layer, inputs: Tensor, lengths: Tensor | None, reset: Tensor | None, like: Tensor) -> None:
    """Refuses sequences that do not fit a layer.

    Args:
        layer: The layer.
        inputs: What should be (batch, time, input_size), with at least one row and step.
        lengths: What should be (batch,) integers from 0 to time.
        reset: What should be (batch, time) bool.
        like: A parameter, for device and dtype.

    Raises:
        ValueError: Names the argument, what was expected, and what was given.
    """
    if inputs.dim() != 3 or inputs.shape[2] != layer.input_size or 0 in inputs.shape:
        raise ValueError(f"inputs: expected shape (batch, time, {layer.input_size}), got {tuple(inputs.shape)}")
    _check_like("inputs", inputs, like)
    B, T, _ = inputs.shape
    if lengths is not None:
        check_lengths(lengths, B, T)
    if reset is not None and reset.shape != (B, T):
        raise ValueError(f"reset: expected shape ({B}, {T}), got {tuple(reset.shape)}")
    if reset is not None and reset.dtype != torch.bool:
        raise ValueError(f"reset: expected torch.bool, got {reset.dtype}")


def starting_state(layer: Layer, state: State | None, batch_size: int, like: Tensor) -> State:
    """Gives the state a layer starts from, and refuses one that does not fit.

    Args:
        layer: The layer.
        state: What was handed in; None for the layer's initial state.
        batch_size: Rows.
        like: A parameter, for device and dtype.

    Returns:
        The state in the dtype of the parameters, under autocast too.

    Raises:
        ValueError: Names what was expected and what was given.
    """
    if state is None:
        state = layer.initial_state(batch_size)
    if not isinstance(state, tuple):
        raise ValueError(f"state: expected a tuple of {layer.num_states} tensors, got {type(state).__name__}")
    expected = (layer.num_layers * layer.num_directions, batch_size, layer.hidden_size)
    shapes = [tuple(tensor.shape) for tensor in state]
    if shapes != [expected] * layer.num_states:
        raise ValueError(f"state: expected {layer.num_states} tensors of shape {expected}, got {shapes}")
    for tensor in state:
        _check_like("state", tensor, like)
    return map_state(lambda tensor: tensor.to(like.dtype), state)


def _check_like(name: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.device != like.device:
        raise ValueError(f"{name}: expected a tensor on {like.device}, got one on {tensor.device}")
    autocast = torch.is_autocast_enabled(tensor.device.type) and tensor.is_floating_point()
    if tensor.dtype != like.dtype and not autocast:
        raise ValueError(f"{name}: expected {like.dtype}, got {tensor.dtype}")

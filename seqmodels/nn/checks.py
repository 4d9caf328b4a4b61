"""What every recurrent layer checks of its arguments."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from seqmodels.nn.ragged import check_lengths
from seqmodels.nn.state import State


class Layer(Protocol):
    """What `Recurrent` and `NativeRecurrent` have in common."""

    input_size: int
    hidden_size: int
    num_layers: int
    num_directions: int
    num_states: int

    def initial_state(self, batch_size: int, context: Tensor | None = None) -> State:
        """Gives the state before the first step, each (num_layers * num_directions, batch, hidden_size)."""

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
        context: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Runs the layer."""


def check_options(num_layers: int, dropout: float) -> None:
    """Refuses constructor arguments that mean nothing.

    Raises:
        ValueError: Names the argument, what is valid, and what was given.
    """
    if num_layers < 1:
        raise ValueError(f"num_layers: expected an integer of at least 1, got {num_layers}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: expected a probability in [0, 1), got {dropout}")


def sizes_by_layer(hidden_size: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Gives each layer's hidden size.

    Args:
        hidden_size: One for all layers, or one for each.
        num_layers: Layers.

    Returns:
        One for each layer.

    Raises:
        ValueError: There are more or fewer than layers, or one is below 1.
    """
    sizes = (hidden_size,) * num_layers if isinstance(hidden_size, int) else tuple(hidden_size)
    if len(sizes) != num_layers:
        raise ValueError(f"hidden_size: expected an integer or {num_layers} of them, one per layer, got {list(sizes)}")
    if min(sizes) < 1:
        raise ValueError(f"hidden_size: expected an integer of at least 1, got {min(sizes)}")
    return sizes


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
    check_like("inputs", inputs, like)
    B, T, _ = inputs.shape
    if lengths is not None:
        check_lengths(lengths, B, T)
    if reset is not None and reset.shape != (B, T):
        raise ValueError(f"reset: expected shape ({B}, {T}), got {tuple(reset.shape)}")
    if reset is not None and reset.dtype != torch.bool:
        raise ValueError(f"reset: expected torch.bool, got {reset.dtype}")


def checked_state(layer: Layer, state: State, batch_size: int, like: Tensor) -> State:
    """Refuses a state that does not fit a layer.

    Args:
        layer: The layer.
        state: What was handed in.
        batch_size: Rows.
        like: A parameter, for device and dtype.

    Returns:
        The state in the dtype of the parameters, under autocast too.

    Raises:
        ValueError: Names what was expected and what was given.
    """
    if not isinstance(state, tuple):
        raise ValueError(f"state: expected a tuple of {layer.num_states} tensors, got {type(state).__name__}")
    expected = (layer.num_layers * layer.num_directions, batch_size, layer.hidden_size)
    shapes = [tensor.shape for tensor in state]
    if shapes != [expected] * layer.num_states:
        got = [tuple(shape) for shape in shapes]
        raise ValueError(f"state: expected {layer.num_states} tensors of shape {expected}, got {got}")
    for tensor in state:
        check_like("state", tensor, like)
    return tuple([tensor if tensor.dtype == like.dtype else tensor.to(like.dtype) for tensor in state])


def check_like(name: str, tensor: Tensor, like: Tensor) -> None:
    """Refuses a tensor on another device than `like`, or in another dtype, which autocast alone may change.

    Raises:
        ValueError: Names the argument, what was expected, and what was given.
    """
    if tensor.device != like.device:
        raise ValueError(f"{name}: expected a tensor on {like.device}, got one on {tensor.device}")
    if tensor.dtype == like.dtype:
        return
    if not (torch.is_autocast_enabled(tensor.device.type) and tensor.is_floating_point()):
        raise ValueError(f"{name}: expected {like.dtype}, got {tensor.dtype}")

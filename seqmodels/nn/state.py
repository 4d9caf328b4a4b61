"""Recurrent state: a tuple of tensors, passed in and handed back, never kept on a module."""

from collections.abc import Callable

from torch import Tensor

State = tuple[Tensor, ...]
"""What a cell remembers: each tensor (batch, hidden_size), or (layers * directions, batch, hidden_size) for a stack."""


def map_state(fn: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies one function to every tensor of a state.

    Args:
        fn: The function, for example `torch.Tensor.detach`.
        state: The state.

    Returns:
        The state of the results.

    Example:
        >>> import torch
        >>> state = (torch.ones(1, 2, 3), torch.zeros(1, 2, 3))
        >>> [tuple(s.shape) for s in map_state(lambda s: s[:, :1], state)]
        [(1, 1, 3), (1, 1, 3)]
    """
    return tuple(fn(tensor) for tensor in state)

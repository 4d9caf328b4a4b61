"""The functions that cells take by name."""

from collections.abc import Callable

import torch
from torch import Tensor

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


def check_activation(name: str, argument: str = "activation") -> None:
    """Refuses a name that no function has.

    Args:
        name: What was given.
        argument: The argument it was given as, for the message.

    Raises:
        ValueError: With the names there are.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"{argument}: expected one of {', '.join(_ACTIVATIONS)}, got {name!r}")


def activate(name: str, x: Tensor) -> Tensor:
    """Applies the function of a name that was checked."""
    return _ACTIVATIONS[name](x)

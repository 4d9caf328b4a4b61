"""The simple recurrent network."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.nn.cells.gated import Derivative, GatedCell
from seqmodels.nn.state import State


class Activation(NamedTuple):
    """A function, and its slope written in terms of its value."""

    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


ACTIVATIONS = {
    "tanh": Activation(torch.tanh, lambda y: 1 - y * y),
    "relu": Activation(torch.relu, lambda y: (y > 0).to(y.dtype)),
    "sigmoid": Activation(torch.sigmoid, lambda y: y * (1 - y)),
    "identity": Activation(lambda x: x, torch.ones_like),
}


class ElmanCell(GatedCell):
    """The simple recurrent network of Elman (1990, "Finding Structure in Time").

        h = activation(W_ih x + b_ih + W_hh h + b_hh)

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        activation: "tanh", "relu", "sigmoid" or "identity".
        bias: Whether the products have biases.

    Raises:
        ValueError: The activation is unknown, or a size is below 1.

    Example:
        >>> cell = ElmanCell(3, 5, activation="relu")
        >>> output, (h,) = cell(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 1

    def __init__(self, input_size: int, hidden_size: int, activation: str = "tanh", bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.activation = activation

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        h = ACTIVATIONS[self.activation].function(projected + recurrent)
        return h, (h,)

    def derivative(self) -> Derivative:
        """Gives the hand-written derivative of `update`."""
        return ElmanDerivative(ACTIVATIONS[self.activation])

    def extra_repr(self) -> str:
        """Shows sizes and activation in `print(cell)`."""
        return f"{super().extra_repr()}, activation={self.activation!r}"


class ElmanDerivative(Derivative):
    """`ElmanCell.update`, in place. Workspace: the sum before the activation."""

    blocks = 1

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def prepare(self, projected: Tensor, bias_hh: Tensor | None) -> Tensor:
        """Joins all that needs no state; see `Derivative.prepare`."""
        return projected.clone() if bias_hh is None else projected + bias_hh

    def advance(self, work: Tensor, state: State, new_state: State) -> None:
        """Takes one step; see `Derivative.advance`."""
        (new_h,) = new_state
        new_h.copy_(self.activation.function(work))

    def linearize(self, work: Tensor, state: State, new_state: State) -> tuple[Tensor, ...]:
        """Computes the partial derivatives; see `Derivative.linearize`."""
        (new_h,) = new_state
        return (self.activation.slope(new_h),)

    def retreat(self, slopes: tuple[Tensor, ...], grad_state: State, grad_work: Tensor) -> None:
        """Takes one step back; see `Derivative.retreat`."""
        (slope,) = slopes
        (grad_h,) = grad_state
        torch.mul(grad_h, slope, out=grad_work)
        grad_h.zero_()  # h acts through the product alone

    def collect(self, grad_work: Tensor) -> Tensor:
        """Gives the gradient of the projected inputs; see `Derivative.collect`."""
        return grad_work

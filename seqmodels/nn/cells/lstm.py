"""Long short-term memory."""

import torch
from torch import Tensor

from seqmodels.nn.cells.gated import Derivative, GatedCell
from seqmodels.nn.cells.initialization import set_forget_bias
from seqmodels.nn.state import State


class LSTMCell(GatedCell):
    """Long short-term memory with a forget gate (Gers et al., 2000, "Learning to Forget"), as in `torch.nn.LSTM`.

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of both tensors of the state `(h, c)`.
        forget_bias: What the forget gate's two biases add up to at the start; 1 remembers, 0 is torch's.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> cell = LSTMCell(3, 5)
        >>> output, (h, c) = cell(torch.randn(2, 3))
        >>> output.shape, c.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0, bias: bool = True) -> None:
        self.forget_bias = forget_bias  # first, because the base class draws the parameters
        super().__init__(input_size, hidden_size, bias)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        set_forget_bias(self.bias_ih, self.forget_bias)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def derivative(self) -> Derivative:
        """Gives the hand-written derivative of `update`."""
        return LSTMDerivative()


class LSTMDerivative(Derivative):
    """`LSTMCell.update`, in place. Workspace: the gates i, f, g, o after their activations."""

    blocks = 4

    def prepare(self, projected: Tensor, bias_hh: Tensor | None) -> Tensor:
        """Joins all that needs no state; see `Derivative.prepare`."""
        return projected.clone() if bias_hh is None else projected + bias_hh

    def advance(self, work: Tensor, state: State, new_state: State) -> None:
        """Takes one step; see `Derivative.advance`."""
        _, c = state
        new_h, new_c = new_state
        i, f, g, o = work.chunk(4, -1)
        work[:, : 2 * c.shape[1]].sigmoid_()  # i and f
        g.tanh_()
        o.sigmoid_()
        torch.mul(f, c, out=new_c).addcmul_(i, g)
        torch.tanh(new_c, out=new_h).mul_(o)

    def linearize(self, work: Tensor, state: State, new_state: State) -> tuple[Tensor, ...]:
        """Computes the partial derivatives; see `Derivative.linearize`."""
        _, c = state
        i, f, g, o = work.chunk(4, -1)
        tanh_c = torch.tanh(new_state[1])
        c_by_gates = torch.stack([g * i * (1 - i), c * f * (1 - f), i * (1 - g * g)], -2)
        h_by_o = tanh_c * o * (1 - o)
        h_by_c = o * (1 - tanh_c * tanh_c)
        return c_by_gates, h_by_o, h_by_c, f

    def retreat(self, slopes: tuple[Tensor, ...], grad_state: State, grad_work: Tensor) -> None:
        """Takes one step back; see `Derivative.retreat`."""
        c_by_gates, h_by_o, h_by_c, c_by_c = slopes
        grad_h, grad_c = grad_state
        grad_gates = grad_work.unflatten(-1, (4, -1))
        grad_c.addcmul_(grad_h, h_by_c)
        torch.mul(grad_c.unsqueeze(-2), c_by_gates, out=grad_gates[..., :3, :])
        torch.mul(grad_h, h_by_o, out=grad_gates[..., 3, :])
        grad_c.mul_(c_by_c)
        grad_h.zero_()  # h acts through the product alone

    def collect(self, grad_work: Tensor) -> Tensor:
        """Gives the gradient of the projected inputs; see `Derivative.collect`."""
        return grad_work

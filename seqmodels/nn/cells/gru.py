"""Gated recurrent unit."""

import torch
from torch import Tensor

from seqmodels.nn.cells.gated import Derivative, GatedCell
from seqmodels.nn.state import State


class GRUCell(GatedCell):
    """Gated recurrent unit (Cho et al., 2014, arXiv:1406.1078), reset after the product as in `torch.nn.GRU`.

        r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h = (1 - z) * n + z * h

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of the state `(h,)`.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> cell = GRUCell(3, 5)
        >>> output, (h,) = cell(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates = 3

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        (h,) = state
        r_x, z_x, n_x = projected.chunk(3, -1)
        r_h, z_h, n_h = recurrent.chunk(3, -1)
        r = torch.sigmoid(r_x + r_h)
        z = torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        h = (1 - z) * n + z * h
        return h, (h,)

    def derivative(self) -> Derivative:
        """Gives the hand-written derivative of `update`."""
        return GRUDerivative()


class GRUDerivative(Derivative):
    """`GRUCell.update`, in place. Workspace: r, z, the recurrent part of n, and n."""

    blocks = 4

    def prepare(self, projected: Tensor, bias_hh: Tensor | None) -> Tensor:
        """Lays out all that needs no state; see `Derivative.prepare`."""
        *gates, n_x = projected.chunk(3, -1)
        work = torch.cat([*gates, torch.zeros_like(n_x), n_x], -1)
        if bias_hh is not None:
            work[..., : bias_hh.shape[0]] += bias_hh
        return work

    def advance(self, work: Tensor, state: State, new_state: State) -> None:
        """Takes one step; see `Derivative.advance`."""
        (h,) = state
        (new_h,) = new_state
        r, z, n_h, n = work.chunk(4, -1)
        work[:, : 2 * h.shape[1]].sigmoid_()  # r and z
        n.addcmul_(r, n_h).tanh_()
        torch.lerp(n, h, z, out=new_h)

    def linearize(self, work: Tensor, state: State, new_state: State) -> tuple[Tensor, ...]:
        """Computes the partial derivatives; see `Derivative.linearize`."""
        (h,) = state
        r, z, n_h, n = work.chunk(4, -1)
        by_n = (1 - z) * (1 - n * n)
        by_n_h = by_n * r
        return torch.stack([by_n_h * (1 - r) * n_h, (h - n) * z * (1 - z), by_n_h, by_n], -2), z

    def retreat(self, slopes: tuple[Tensor, ...], grad_state: State, grad_work: Tensor) -> None:
        """Takes one step back; see `Derivative.retreat`."""
        h_by_work, h_by_h = slopes
        (grad_h,) = grad_state
        torch.mul(grad_h.unsqueeze(-2), h_by_work, out=grad_work.unflatten(-1, (4, -1)))
        grad_h.mul_(h_by_h)

    def collect(self, grad_work: Tensor) -> Tensor:
        """Gives the gradient of the projected inputs; see `Derivative.collect`."""
        r, z, _, n = grad_work.chunk(4, -1)
        return torch.cat([r, z, n], -1)

"""The narrower contract: one recurrent product, then arithmetic within each row."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.cells.initialization import reset_gates
from seqmodels.nn.state import State


class Weights(NamedTuple):
    """The products of a gated cell, as one call uses them.

    Attributes:
        weight_ih: (num_gates * hidden_size, input_size).
        weight_hh: (num_gates * hidden_size, hidden_size).
        bias_ih: (num_gates * hidden_size,) or None.
        bias_hh: (num_gates * hidden_size,) or None.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None


class Derivative(ABC):
    """A gated update and its derivative, written by hand and in place, for kernels that run the loop themselves.

    A kernel owns the products; a derivative owns the arithmetic between them, and sits beside the equation it belongs
    to. The update must put out the first tensor of its new state. The arithmetic lives in a workspace of `blocks *
    hidden_size` columns, of which the first `num_gates * hidden_size` receive the recurrent product:

        work = prepare(projected, bias_hh)                      all steps at once
        work[t, :, :gates] += h @ weight_hh.T                   each step
        advance(work[t], state, new_state)

    and backward, where `slopes` holds all that does not depend on the running gradient:

        slopes = linearize(work, states, new_states)            many steps at once
        retreat(slopes[t], grad_state, grad_work[t])            each step, from the last
        grad_h += grad_work[t, :, :gates] @ weight_hh
        grad_projected = collect(grad_work)                     all steps at once
    """

    blocks: int

    @abstractmethod
    def prepare(self, projected: Tensor, bias_hh: Tensor | None) -> Tensor:
        """Fills a new workspace (time, batch, blocks * hidden_size) from the projected inputs and the bias."""

    @abstractmethod
    def advance(self, work: Tensor, state: State, new_state: State) -> None:
        """Takes one step: reads `work` and `state`, overwrites `new_state`, leaves in `work` what `linearize` needs."""

    @abstractmethod
    def linearize(self, work: Tensor, state: State, new_state: State) -> tuple[Tensor, ...]:
        """Computes the partial derivatives of one or many steps."""

    @abstractmethod
    def retreat(self, slopes: tuple[Tensor, ...], grad_state: State, grad_work: Tensor) -> None:
        """Takes one step back: overwrites `grad_work`, and turns `grad_state` from new state to old, product apart."""

    @abstractmethod
    def collect(self, grad_work: Tensor) -> Tensor:
        """Gives the gradient of the projected inputs: the transpose of `prepare`."""


class GatedCell(Cell):
    """A cell of the form `weight_ih @ x`, `weight_hh @ h`, then arithmetic within each row. Subclass it, give `update`.

    `h` is the first tensor of the state. The cell owns its four parameters and both products.

    Attributes:
        num_gates: Blocks of `hidden_size` rows in the weights; a subclass sets it (4 for an LSTM).
        weight_ih: (num_gates * hidden_size, input_size), Glorot uniform in each gate.
        weight_hh: (num_gates * hidden_size, hidden_size), orthogonal in each gate.
        bias_ih: (num_gates * hidden_size,), zero; None without bias.
        bias_hh: (num_gates * hidden_size,), zero; None without bias.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        bias: Whether the products have biases.

    Raises:
        ValueError: A size is below 1.

    Example:
        A minimal gated unit (Zhou et al., 2016, arXiv:1603.09420) with one gate and its candidate:

        >>> import torch
        >>> class MGUCell(GatedCell):
        ...     num_gates = 2
        ...
        ...     def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        ...         (h,) = state
        ...         f, candidate = projected.chunk(2, -1)
        ...         f_recurrent, candidate_recurrent = recurrent.chunk(2, -1)
        ...         f = torch.sigmoid(f + f_recurrent)
        ...         h = (1 - f) * h + f * torch.tanh(candidate + f * candidate_recurrent)
        ...         return h, (h,)
        >>> output, state = MGUCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_gates: int = 1
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        rows = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        reset_gates(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def weights(self) -> Weights:
        """Gives the weights for one call over a sequence; a subclass may drop or normalise them here."""
        return Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def project(self, inputs: Tensor) -> Tensor:
        """Gives `weight_ih @ x + bias_ih` for any number of steps at once.

        Args:
            inputs: (..., input_size).

        Returns:
            (..., num_gates * hidden_size).
        """
        weights = self.weights()
        return F.linear(inputs, weights.weight_ih, weights.bias_ih)

    @property
    def projects_plainly(self) -> bool:
        """Whether `project` is the product with `weights()` and nothing else, so that an engine may do it."""
        return type(self).project is GatedCell.project

    def draw(self, inputs: Tensor) -> Tensor | None:
        """Draws what is random in `update`, for any number of steps at once, such as the masks of a dropout.

        `update` finds it after the columns of `project`. No gradient flows into it.

        Args:
            inputs: (..., input_size).

        Returns:
            (..., k * hidden_size), the same leading axes; None where nothing is random.
        """
        return None

    def prepare(self, inputs: Tensor) -> Tensor:
        """Gives what `project` and `draw` give, side by side; see `Cell.prepare`."""
        return join_noise(self.project(inputs), self.draw(inputs))

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step: the recurrent product, then `update`.

        Args:
            projected: What `project` made of this step's inputs, (batch, num_gates * hidden_size or more).
            state: The state before the step, each (batch, hidden_size).

        Returns:
            The output (batch, hidden_size), and the state after the step.
        """
        weights = self.weights()
        return self.update(projected, F.linear(state[0], weights.weight_hh, weights.bias_hh), state)

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step. Every row must be computed from that row alone.

        Args:
            projected: What `project` gave: `weight_ih @ x + bias_ih`, (batch, num_gates * hidden_size), and after it
                what `draw` gave.
            recurrent: `weight_hh @ h + bias_hh`, (batch, num_gates * hidden_size).
            state: The state before the step, each (batch, hidden_size).

        Returns:
            The output (batch, hidden_size), and the state after the step.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update(projected, recurrent, state)")

    def derivative(self) -> Derivative | None:
        """Gives the hand-written derivative of `update`, if there is one; a new `update` must come with its own."""
        return None


def join_noise(projected: Tensor, noise: Tensor | None) -> Tensor:
    """Puts what a cell drew after what it projected."""
    return projected if noise is None else torch.cat([projected, noise.to(projected.dtype)], -1)

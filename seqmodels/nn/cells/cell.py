"""The contract of a cell: one step of a recurrence."""

import torch
from torch import Tensor, nn

from seqmodels.nn.state import State


class Cell(nn.Module):
    """One step of a recurrence. Subclass it, give `step`, and `Recurrent` does the rest.

    `project` holds what needs no state, and is done for all steps at once; `step` holds what does. A cell whose step is
    `weight_hh @ h` followed by arithmetic within each row is better a `GatedCell`, which is shorter and faster.

    Attributes:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.
        num_states: Tensors in the state; a subclass sets it (2 for an LSTM).
        num_free: How many of them, from the first on, may begin as anything, such as what is learned or an encoder
            left; the others, such as counters, as `initial_state` says. `None` where all may.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the output and of each tensor of the state.

    Raises:
        ValueError: A size is below 1.

    Example:
        A leaky integrator with a network in its transition:

        >>> class LeakyCell(Cell):
        ...     def __init__(self, input_size: int, hidden_size: int) -> None:
        ...         super().__init__(input_size, hidden_size)
        ...         self.input = nn.Linear(input_size, hidden_size)
        ...         self.transition = nn.Sequential(nn.Linear(hidden_size, 8), nn.ReLU(), nn.Linear(8, hidden_size))
        ...
        ...     def project(self, inputs: Tensor) -> Tensor:
        ...         return self.input(inputs)
        ...
        ...     def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        ...         (h,) = state
        ...         h = 0.9 * h + 0.1 * torch.tanh(projected + self.transition(h))
        ...         return h, (h,)
        >>> output, state = LeakyCell(3, 5)(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    num_states: int = 1
    num_free: int | None = None

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if size < 1:
                raise ValueError(f"{name}: expected an integer of at least 1, got {size}")
        self.input_size = input_size
        self.hidden_size = hidden_size

    def initial_state(self, batch_size: int) -> State:
        """Gives the state before the first step: zeros, each (batch, hidden_size).

        Args:
            batch_size: Rows.

        Returns:
            The state, on the device and in the dtype of the parameters.
        """
        like = next(self.parameters(), torch.empty(0))
        return tuple(like.new_zeros(batch_size, self.hidden_size) for _ in range(self.num_states))

    def project(self, inputs: Tensor) -> Tensor:
        """Does what needs no state, for any number of steps at once.

        Args:
            inputs: (..., input_size).

        Returns:
            (..., anything), the same leading axes; by default the inputs themselves.
        """
        return inputs

    def prepare(self, inputs: Tensor) -> Tensor:
        """Gives what `step` takes, for any number of steps at once: here what `project` gives.

        Args:
            inputs: (..., input_size).

        Returns:
            (..., anything), the same leading axes.
        """
        return self.project(inputs)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step.

        Args:
            projected: What `project` made of this step's inputs, (batch, anything).
            state: The state before the step, each (batch, hidden_size).

        Returns:
            The output (batch, hidden_size), and the state after the step.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(projected, state)")

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Takes one step from raw inputs.

        Args:
            inputs: (batch, input_size).
            state: The state before the step, each (batch, hidden_size); the initial state if None.

        Returns:
            The output (batch, hidden_size), and the state after the step.

        Raises:
            ValueError: A shape does not fit.
        """
        if inputs.dim() != 2 or inputs.shape[1] != self.input_size:
            raise ValueError(f"inputs: expected shape (batch, {self.input_size}), got {tuple(inputs.shape)}")
        B, _ = inputs.shape
        if state is None:
            state = self.initial_state(B)
        shapes = [tuple(tensor.shape) for tensor in state]
        if shapes != [(B, self.hidden_size)] * self.num_states:
            expected = f"{self.num_states} tensors of shape ({B}, {self.hidden_size})"
            raise ValueError(f"state: expected {expected}, got {shapes}")
        return self.step(self.prepare(inputs), state)

    def extra_repr(self) -> str:
        """Shows the sizes in `print(cell)`."""
        return f"{self.input_size}, {self.hidden_size}"

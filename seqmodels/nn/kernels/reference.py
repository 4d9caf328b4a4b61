"""The loop in plain autograd: any cell, any derivative. It defines what is right."""

import torch
import torch.nn.functional as F
from torch import Tensor

from seqmodels.nn.cells import Cell
from seqmodels.nn.state import State


def available() -> bool:
    """Tells whether this machine can run it; see `Kernel`."""
    return True


def misfit(cell: Cell, like: Tensor) -> str | None:
    """Fits every cell; see `Kernel`."""
    return None


def run(cell: Cell, projected: Tensor, state: State, batch_sizes: list[int] | None = None) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`.

    Raises:
        ValueError: The cell's step gives something that is not its output and state.
    """
    B = projected.shape[1]
    outputs = []
    for t, step_inputs in enumerate(projected.unbind(0)):
        n = B if batch_sizes is None else batch_sizes[t]
        output, new_state = cell.step(step_inputs[:n], tuple(s[:n] for s in state))
        if t == 0:
            _check_step(cell, n, output, new_state)
        outputs.append(F.pad(output.to(state[0].dtype), (0, 0, 0, B - n)))
        state = tuple(torch.cat([new.to(old.dtype), old[n:]]) for new, old in zip(new_state, state, strict=True))
    return torch.stack(outputs), state


def _check_step(cell: Cell, batch_size: int, output: Tensor, state: State) -> None:
    """Refuses a step of the wrong shape, which could otherwise pass by broadcasting."""
    shapes = [tuple(output.shape), *(tuple(tensor.shape) for tensor in state)]
    if shapes != [(batch_size, cell.hidden_size)] * (1 + cell.num_states):
        expected = f"an output and {cell.num_states} state tensors of shape ({batch_size}, {cell.hidden_size})"
        raise ValueError(f"{type(cell).__name__}.step: expected {expected}, got {shapes}")

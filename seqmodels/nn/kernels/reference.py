"""The loop in plain autograd: any cell, any derivative. It defines what is right."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from seqmodels.nn.cells import Cell, GatedCell, Weights
from seqmodels.nn.state import State


def available() -> bool:
    """Tells whether this machine can run it; see `Kernel`."""
    return True


def misfit(cell: Cell, like: Tensor) -> str | None:
    """Fits every cell; see `Kernel`."""
    return None


def run(
    cell: Cell,
    inputs: Tensor,
    state: State,
    batch_sizes: list[int] | None = None,
    weights: Weights | None = None,
) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`.

    Raises:
        ValueError: The cell's step gives something that is not its output and state.
    """
    B = inputs.shape[1]
    take_step: Callable[[Tensor, State], tuple[Tensor, State]]
    if isinstance(cell, GatedCell):
        weights = weights or cell.weights()  # once, so that all steps share what is drawn
        projected, take_step = project(cell, inputs, weights), partial(_step, cell, weights)
    else:
        projected, take_step = cell.project(inputs), cell.step
    outputs = []
    for t, step_inputs in enumerate(projected.unbind(0)):
        n = B if batch_sizes is None else batch_sizes[t]
        output, new_state = take_step(step_inputs[:n], tuple(s[:n] for s in state))
        if t == 0:
            _check_step(cell, n, output, new_state)
        outputs.append(F.pad(output.to(state[0].dtype), (0, 0, 0, B - n)))
        state = tuple(torch.cat([new.to(old.dtype), old[n:]]) for new, old in zip(new_state, state, strict=True))
    return torch.stack(outputs), state


def project(cell: GatedCell, inputs: Tensor, weights: Weights) -> Tensor:
    """Does what needs no state, by the weights given unless the cell has a `project` of its own."""
    if type(cell).project is not GatedCell.project:
        return cell.project(inputs)
    return F.linear(inputs, weights.weight_ih, weights.bias_ih)


def _step(cell: GatedCell, weights: Weights, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """Takes one step, by the weights given unless the cell has a `step` of its own."""
    if type(cell).step is not GatedCell.step:
        return cell.step(projected, state)
    return cell.update(projected, F.linear(state[0], weights.weight_hh, weights.bias_hh), state)


def _check_step(cell: Cell, batch_size: int, output: Tensor, state: State) -> None:
    """Refuses a step of the wrong shape, which could otherwise pass by broadcasting."""
    shapes = [tuple(output.shape), *(tuple(tensor.shape) for tensor in state)]
    if shapes != [(batch_size, cell.hidden_size)] * (1 + cell.num_states):
        expected = f"an output and {cell.num_states} state tensors of shape ({batch_size}, {cell.hidden_size})"
        raise ValueError(f"{type(cell).__name__}.step: expected {expected}, got {shapes}")

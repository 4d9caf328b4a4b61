"""The loop in plain autograd: any cell, any derivative. It defines what is right."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from seqmodels.nn.cells import Cell, GatedCell, Weights
from seqmodels.nn.cells.gated import join_noise
from seqmodels.nn.state import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]


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
    recompute: bool = False,
) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`.

    Raises:
        ValueError: The cell's step gives something that is not its output and state.
    """
    if recompute:
        return run_in_segments(run, cell, inputs, state, batch_sizes, weights)
    projected, take_step = prepare(cell, inputs, weights)
    return run_steps(cell, projected, state, batch_sizes, take_step)


def prepare(cell: Cell, inputs: Tensor, weights: Weights | None = None) -> tuple[Tensor, Step]:
    """Does what needs no state for all steps at once.

    Args:
        cell: The cell.
        inputs: (time, batch, input_size).
        weights: As for `Kernel.run`.

    Returns:
        What each step is given, (time, batch, anything), and what takes one.
    """
    if not isinstance(cell, GatedCell):
        return cell.prepare(inputs), cell.step
    weights = weights or cell.weights()  # once, so that all steps share what is drawn
    projected = join_noise(project(cell, inputs, weights), cell.draw(inputs))
    return projected, _gated_step(cell, weights) if type(cell).step is GatedCell.step else cell.step


def project(cell: GatedCell, inputs: Tensor, weights: Weights) -> Tensor:
    """Does what needs no state, by the weights given where the cell's product is all there is to it."""
    if not cell.projects_plainly:
        return cell.project(inputs)
    return F.linear(inputs, weights.weight_ih, weights.bias_ih)


def run_steps(
    cell: Cell, projected: Tensor, state: State, batch_sizes: list[int] | None, take_step: Step
) -> tuple[Tensor, State]:
    """Takes all steps, one after another.

    Args:
        cell: The cell, for its sizes.
        projected: (time, batch, anything).
        state: Each (batch, hidden_size).
        batch_sizes: Rows still running at each step; all if None.
        take_step: Gives the output and the new state.

    Returns:
        The outputs (time, batch, hidden_size) and the final state.
    """
    B = projected.shape[1]
    outputs = []
    for t, step_inputs in enumerate(projected.unbind(0)):
        n = B if batch_sizes is None else batch_sizes[t]
        result = take_step(step_inputs, state) if n == B else take_step(step_inputs[:n], tuple(s[:n] for s in state))
        if t == 0:
            _check_step(cell, n, result)
        output, new_state = result
        output = output.to(state[0].dtype)
        new_state = tuple(new.to(old.dtype) for new, old in zip(new_state, state, strict=True))
        if n < B:
            output = F.pad(output, (0, 0, 0, B - n))
            new_state = tuple(torch.cat([new, old[n:]]) for new, old in zip(new_state, state, strict=True))
        outputs.append(output)
        state = new_state
    return torch.stack(outputs), state


def run_in_segments(
    run: Callable[..., tuple[Tensor, State]],
    cell: Cell,
    inputs: Tensor,
    state: State,
    batch_sizes: list[int] | None,
    weights: Weights | None,
) -> tuple[Tensor, State]:
    """Runs about sqrt(time) segments, keeping only the states between them (Chen et al., 2016, arXiv:1604.06174).

    Args:
        run: A kernel's.
        cell: The cell.
        inputs: (time, batch, input_size).
        state: Each (batch, hidden_size).
        batch_sizes: Rows still running at each step; all if None.
        weights: As for `Kernel.run`.

    Returns:
        The outputs and the final state.
    """
    if weights is None and isinstance(cell, GatedCell):
        weights = cell.weights()  # once, so that all segments share what is drawn
    length = math.isqrt(len(inputs) - 1) + 1
    outputs = []
    for start in range(0, len(inputs), length):
        sizes = None if batch_sizes is None else batch_sizes[start : start + length]
        part, state = checkpoint(run, cell, inputs[start : start + length], state, sizes, weights, use_reentrant=False)
        outputs.append(part)
    return torch.cat(outputs), state


def _gated_step(cell: GatedCell, weights: Weights) -> Step:
    def take_step(projected: Tensor, state: State) -> tuple[Tensor, State]:
        return cell.update(projected, F.linear(state[0], weights.weight_hh, weights.bias_hh), state)

    return take_step


def _check_step(cell: Cell, batch_size: int, result: tuple[Tensor, State]) -> None:
    """Refuses what is not an output and a state, or is of the wrong shape and could pass by broadcasting."""
    plain = isinstance(cell, GatedCell) and type(cell).step is GatedCell.step
    name = f"{type(cell).__name__}.{'update' if plain else 'step'}"
    if isinstance(result, Tensor) or isinstance(result[1], Tensor):
        got = "a tensor alone" if isinstance(result, Tensor) else "a state that is no tuple"
        raise ValueError(f"{name}: expected (output, state), the state a tuple of {cell.num_states}, got {got}")
    output, state = result
    expected = (batch_size, cell.hidden_size)
    if output.shape != expected or len(state) != cell.num_states or any(s.shape != expected for s in state):
        shapes = [tuple(output.shape), *(tuple(tensor.shape) for tensor in state)]
        wanted = f"an output and {cell.num_states} state tensors of shape {expected}"
        raise ValueError(f"{name}: expected {wanted}, got {shapes}")

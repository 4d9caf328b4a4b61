"""Terms to add to a loss: what a recurrent layer puts out should be small, change little, or pass its gradient on."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.nn.cells import Cell
from seqmodels.nn.state import State


def activation_penalty(outputs: Tensor, valid: Tensor | None = None) -> Tensor:
    """Computes the mean square of the outputs (AR of Merity et al., 2017, arXiv:1708.01009).

    Args:
        outputs: (batch, time, features).
        valid: (batch, time) bool, True where a step counts; all if None.

    Returns:
        A number; 0 where no step counts.

    Raises:
        ValueError: A shape does not fit.

    Example:
        >>> activation_penalty(torch.tensor([[[1.0, 3.0]]]))
        tensor(5.)
    """
    _check(outputs, valid)
    kept = outputs if valid is None else outputs[valid]
    return _mean_square(kept)


def temporal_activation_penalty(outputs: Tensor, valid: Tensor | None = None) -> Tensor:
    """Computes the mean square of the outputs' change from step to step (TAR of Merity et al., 2017, arXiv:1708.01009).

    Args:
        outputs: (batch, time, features).
        valid: (batch, time) bool, True where a step counts; all if None. A change counts where both its steps do.

    Returns:
        A number; 0 where there is no change to count, such as in a single step.

    Raises:
        ValueError: A shape does not fit.

    Example:
        >>> temporal_activation_penalty(torch.tensor([[[1.0], [3.0], [3.0]]]))
        tensor(2.)
    """
    _check(outputs, valid)
    before, after = outputs[:, :-1], outputs[:, 1:]
    if valid is not None:
        both = valid[:, :-1] & valid[:, 1:]
        before, after = before[both], after[both]
    return _mean_square(after - before)


def gradient_norm_penalty(
    cell: Cell, inputs: Tensor, loss: Callable[[Tensor], Tensor], state: State | None = None
) -> tuple[Tensor, Tensor]:
    """Runs a cell, and computes how far its gradient is from keeping its norm on the way back through time.

        Omega = mean over rows of sum over t of (|dE/ds_t ds_t/ds_{t-1}| / |dE/ds_t| - 1)^2

    the vanishing-gradient regulariser of Pascanu, Mikolov and Bengio (2013, arXiv:1211.5063, equation 9), with s the
    whole state. As there, s and dE/ds are held fixed, so that only the immediate effect of the parameters on each
    Jacobian counts. Steps from which no gradient comes back are left out.

    It costs: E's own gradient is computed once more than training does, and all steps are taken once more, in one
    batch of time * batch rows, with a product with their Jacobian and its derivative: three to four times the work
    and the memory of a run without it, by plain autograd.

    Args:
        cell: One cell, as `Recurrent(...).cells[0]`.
        inputs: (batch, time, input_size).
        loss: Gives E, a number, from the outputs (batch, time, hidden_size).
        state: Where to start, each (batch, hidden_size); the cell's initial state if None.

    Returns:
        E and Omega, to be trained on as `E + factor * Omega`.

    Raises:
        ValueError: The inputs' shape does not fit.

    Example:
        >>> from seqmodels.nn import ElmanCell
        >>> cell = ElmanCell(3, 5)
        >>> error, omega = gradient_norm_penalty(cell, torch.randn(2, 7, 3), lambda outputs: outputs[:, -1].sum())
        >>> (error + 0.1 * omega).backward()
    """
    if inputs.dim() != 3 or inputs.shape[2] != cell.input_size:
        raise ValueError(f"inputs: expected shape (batch, time, {cell.input_size}), got {tuple(inputs.shape)}")
    B, _, _ = inputs.shape
    projected = cell.project(inputs.transpose(0, 1))
    states = [cell.initial_state(B) if state is None else state]
    outputs = []
    for step_inputs in projected.unbind(0):
        output, new_state = cell.step(step_inputs, states[-1])
        # Views of their own, so that the gradient of one tensor of a state does not pass through another.
        seen = tuple(tensor.view_as(tensor) for tensor in new_state)
        outputs.append(seen[0] if output is new_state[0] else output)
        states.append(seen)
    error = loss(torch.stack(outputs, 1))
    return error, _omega(cell, projected, states, error)


def _omega(cell: Cell, projected: Tensor, states: list[State], error: Tensor) -> Tensor:
    after = [tensor for state in states[1:] for tensor in state]
    gradients = torch.autograd.grad(error, after, retain_graph=True, allow_unused=True, materialize_grads=True)
    coming = [torch.cat(gradients[k :: cell.num_states]) for k in range(cell.num_states)]  # (time * batch, hidden_size)
    before = tuple(torch.cat([state[k] for state in states[:-1]]).detach() for k in range(cell.num_states))
    before = tuple(tensor.requires_grad_() for tensor in before)
    _, new_state = cell.step(projected.flatten(0, 1), before)
    going = torch.autograd.grad(new_state, before, coming, create_graph=True, allow_unused=True, materialize_grads=True)
    norm_coming, norm_going = _norm(coming), _norm(list(going))
    counts = norm_coming > 0
    ratio = norm_going / torch.where(counts, norm_coming, 1)
    return torch.where(counts, (ratio - 1).square(), 0).sum() / projected.shape[1]


def _norm(tensors: list[Tensor]) -> Tensor:
    """Gives the norm of each row over all tensors, with a gradient of zero where it is zero."""
    squares = torch.cat(tensors, -1).square().sum(-1)
    above = squares > 0
    return torch.where(above, torch.where(above, squares, 1).sqrt(), 0)


def _check(outputs: Tensor, valid: Tensor | None) -> None:
    if outputs.dim() != 3:
        raise ValueError(f"outputs: expected shape (batch, time, features), got {tuple(outputs.shape)}")
    if valid is not None and (valid.shape != outputs.shape[:2] or valid.dtype != torch.bool):
        expected = f"bool of shape {tuple(outputs.shape[:2])}"
        raise ValueError(f"valid: expected {expected}, got {valid.dtype} of shape {tuple(valid.shape)}")


def _mean_square(values: Tensor) -> Tensor:
    """Averages squares; zero where there are none."""
    return values.square().sum() / max(1, values.numel())

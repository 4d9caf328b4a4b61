"""Truncated backpropagation through time over one window."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.nn import State, map_state

Run = Callable[[Tensor, State | None, Tensor | None], tuple[Tensor, State]]


def run_window(
    run: Run,
    inputs: Tensor,
    state: State | None,
    num_scored: int,
    num_without_gradient: int = 0,
    handoff: int | None = None,
    lengths: Tensor | None = None,
) -> tuple[Tensor, State | None]:
    """Runs a window and returns what its loss needs and the state the next window starts from.

    The window's first `num_without_gradient` steps only move the state on (k1 > k2). Where windows overlap (k1 < k2)
    the next one starts `handoff` steps into this one, and the window is run in two calls that meet there; the gradient
    flows through the meeting point.

    Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories", where `TBPTT(k1, k2)` is BPTT(h; h').

    Args:
        run: The recurrent part of a model: `(inputs, state, lengths) -> (outputs (batch, time, features), state)`.
        inputs: `(batch, time, ...)`.
        state: What the window before handed on; it carries no gradient.
        num_scored: How many of the last steps are scored.
        num_without_gradient: How many of the first steps carry no gradient.
        handoff: Steps from this window's start to the next one's; the window's length where left out.
        lengths: Steps of each row `(batch,)`; all where left out.

    Returns:
        The outputs of the last `num_scored` steps, and the next window's state, detached.
    """
    length = inputs.shape[1]
    handoff = length if handoff is None else handoff

    def part(begin: int, end: int, state: State | None) -> tuple[Tensor, State]:
        return run(inputs[:, begin:end], state, None if lengths is None else (lengths - begin).clamp(0, end - begin))

    if num_without_gradient:
        with torch.no_grad():
            _, state = part(0, num_without_gradient, state)
    if handoff <= num_without_gradient:
        outputs, _ = part(num_without_gradient, length, state)
        return outputs[:, outputs.shape[1] - num_scored :], state
    outputs, at_handoff = part(num_without_gradient, handoff, state)
    if handoff < length:
        rest, _ = part(handoff, length, at_handoff)
        outputs = torch.cat([outputs, rest], dim=1)
    return outputs[:, outputs.shape[1] - num_scored :], map_state(torch.Tensor.detach, at_handoff)


def run_last_steps(
    run: Run,
    inputs: Tensor,
    lengths: Tensor | None,
    num_without_gradient: int,
    initial_state: Callable[[], State],
) -> Tensor:
    """Runs whole sequences with the gradient over the last steps of each row alone.

    All rows share k2, the steps of the longest without the first `num_without_gradient`: a row that has no more than
    these gets its whole gradient, down to the initial state.

    Args:
        run: As in `run_window`.
        inputs: `(batch, time, ...)`.
        lengths: Steps of each row `(batch,)`; all where left out.
        num_without_gradient: How many of the first steps of a row of full length carry no gradient.
        initial_state: Makes the state that sequences start from.

    Returns:
        The outputs of all steps `(batch, time, features)`.
    """
    B, T = inputs.shape[:2]
    if not num_without_gradient:
        return run(inputs, None, lengths)[0]
    steps = torch.full((B,), T, device=inputs.device) if lengths is None else lengths
    early = (steps - (T - num_without_gradient)).clamp(min=0)
    with torch.no_grad():
        early_outputs, state = run(inputs, None, early)
    started = early[:, None] > 0
    state = tuple(torch.where(started, *pair) for pair in zip(state, initial_state(), strict=True))
    rows = torch.arange(B, device=inputs.device)[:, None]
    late = early[:, None] + torch.arange(T - num_without_gradient, device=inputs.device)
    late_outputs, _ = run(inputs[rows, late], state, steps - early)
    return early_outputs.index_put((rows, late), late_outputs)

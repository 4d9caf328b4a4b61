"""Truncated backpropagation through time over one window."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.nn import State, map_state

Run = Callable[[Tensor, State | None], tuple[Tensor, State]]


def run_window(
    run: Run,
    inputs: Tensor,
    state: State | None,
    num_scored: int,
    num_without_gradient: int = 0,
    handoff: int | None = None,
) -> tuple[Tensor, State | None]:
    """Runs a window and returns what its loss needs and the state the next window starts from.

    The window's first `num_without_gradient` steps only move the state on (k1 > k2). Where windows overlap (k1 < k2)
    the next one starts `handoff` steps into this one, and the window is run in two calls that meet there; the gradient
    flows through the meeting point.

    Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories", where `TBPTT(k1, k2)` is BPTT(h; h').

    Args:
        run: The recurrent part of a model: `(inputs, state) -> (outputs (batch, time, features), state)`.
        inputs: `(batch, time, ...)`.
        state: What the window before handed on; it carries no gradient.
        num_scored: How many of the last steps are scored.
        num_without_gradient: How many of the first steps carry no gradient.
        handoff: Steps from this window's start to the next one's; the window's length where left out.

    Returns:
        The outputs of the last `num_scored` steps, and the next window's state, detached.
    """
    if num_without_gradient:
        with torch.no_grad():
            _, state = run(inputs[:, :num_without_gradient], state)
        inputs = inputs[:, num_without_gradient:]
        handoff = None if handoff is None else handoff - num_without_gradient
    length = inputs.shape[1]
    handoff = length if handoff is None else handoff
    if handoff <= 0:
        outputs, _ = run(inputs, state)
        return outputs[:, length - num_scored :], state
    outputs, at_handoff = run(inputs[:, :handoff], state)
    if handoff < length:
        rest, _ = run(inputs[:, handoff:], at_handoff)
        outputs = torch.cat([outputs, rest], dim=1)
    return outputs[:, length - num_scored :], map_state(torch.Tensor.detach, at_handoff)

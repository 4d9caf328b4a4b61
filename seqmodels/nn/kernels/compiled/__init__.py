"""The loop in compiled code: packed products and small programs, a thread to some rows of the batch.

It runs every gated cell whose `update` can be read (see `seqmodels.nn.programs`), in float32 and float64 on a CPU. The
library is built when the package is installed, if there is a compiler.
"""

import torch
from torch import Tensor

from seqmodels.nn.cells import Cell, GatedCell, Weights
from seqmodels.nn.kernels import reference
from seqmodels.nn.kernels.compiled.library import load, target
from seqmodels.nn.kernels.compiled.loop import run_loop
from seqmodels.nn.kernels.compiled.plan import plan
from seqmodels.nn.kernels.compiled.rows import even_rows, ragged_rows
from seqmodels.nn.kernels.compiled.runner import Setting
from seqmodels.nn.programs import read
from seqmodels.nn.programs.steps import shared_parameters
from seqmodels.nn.state import State

__all__ = ["available", "misfit", "run", "target"]


def available() -> bool:
    """Tells whether the library was built; see `Kernel`."""
    return load() is not None


def misfit(cell: Cell, like: Tensor) -> str | None:
    """Fits gated cells whose update is arithmetic within a row; see `Kernel`."""
    if not isinstance(cell, GatedCell):
        return f"{type(cell).__name__} is not a GatedCell"
    if type(cell).step is not GatedCell.step:
        return f"{type(cell).__name__} has its own step"
    if like.device.type != "cpu" or like.dtype not in (torch.float32, torch.float64):
        return f"it runs float32 and float64 on a CPU, not {like.dtype} on {like.device.type}"
    program = read(cell, like.dtype)
    return f"{type(cell).__name__}.update: {program}" if isinstance(program, str) else None


def run(
    cell: Cell,
    inputs: Tensor,
    state: State,
    batch_sizes: list[int] | None = None,
    weights: Weights | None = None,
    recompute: bool = False,
) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`. With `recompute` it keeps the states alone."""
    assert isinstance(cell, GatedCell)
    if len(inputs) == 1:  # packing the weights would cost more than it saves
        return reference.run(cell, inputs, state, batch_sizes, weights)
    weights = weights or cell.weights()
    owned = cell.projects_plainly and not torch.is_autocast_enabled("cpu")
    drawn = cell.draw(inputs)
    drawn = None if drawn is None else drawn.to(state[0].dtype)
    if not owned:
        inputs = reference.project(cell, inputs, weights).to(state[0].dtype)
    T, B, _ = inputs.shape
    program = read(cell, inputs.dtype)
    assert not isinstance(program, str)
    rows = even_rows(T, B) if batch_sizes is None else ragged_rows(batch_sizes, B)
    shared = shared_parameters(cell)
    setting = Setting(cell, plan(program), rows, batch_sizes, drawn, owned, tuple(shared), len(state), recompute)
    weight_ih, bias_ih = (weights.weight_ih, weights.bias_ih) if owned else (None, None)
    outputs, *final = run_loop(
        setting, inputs, weight_ih, bias_ih, weights.weight_hh, weights.bias_hh, *shared.values(), *state
    )
    return outputs, tuple(final)

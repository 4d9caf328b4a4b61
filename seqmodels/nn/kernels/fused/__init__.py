"""The loop on CUDA: a product of cuBLAS and one fused Triton kernel for each step.

It runs every gated cell whose `update` can be read (see `seqmodels.nn.programs`): the arithmetic of a step and that of
its derivative become one kernel each, whatever the cell. What runs where on a GPU:

- the plain LSTM, GRU and RNN: cuDNN, by the drop-in layers and `NativeRecurrent`, which makes several steps in one
  launch where it can;
- every other gated cell, and those under `Recurrent`: this kernel. Each step is two launches forward and two back, so
  that small steps cost what launching costs and large ones what their products cost;
- what is no gated cell, or cannot be read: `scan` or `reference`.

float16 and bfloat16 compute each step in float32 and carry gradients from step to step in float32; workspace and states
are rounded. Under autocast the products and the workspace are in its dtype, the states in their own. With
`TRITON_INTERPRET=1` in the environment before Triton is imported, everything runs on a CPU, for tests.

Sources: Triton (Tillet et al., 2019, doi:10.1145/3315508.3329973); fusing all pointwise operations of a step, the input
product hoisted out of the loop and the weight gradients left for after it (Appleyard et al., 2016, arXiv:1604.01946).
"""

import functools
import importlib.util
import os
import shutil

import torch
from torch import Tensor

from seqmodels.nn.cells import Cell, GatedCell, Weights
from seqmodels.nn.kernels.fused.source import write_source
from seqmodels.nn.kernels.reference import project
from seqmodels.nn.programs import read
from seqmodels.nn.programs.steps import shared_parameters
from seqmodels.nn.state import State

__all__ = ["available", "misfit", "run"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_LEAST_CAPABILITY = (7, 0)  # of the GPUs that Triton compiles for


def available() -> bool:
    """Tells whether Triton is there, and something to run it on; see `Kernel`."""
    return _is_installed() and (_interpreted() or _can_compile())


@functools.cache
def _is_installed() -> bool:
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _can_compile() -> bool:
    # Triton builds what launches a kernel with a compiler for C
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    return compiler is not None and torch.cuda.is_available()


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def misfit(cell: Cell, like: Tensor) -> str | None:
    """Fits gated cells whose update is arithmetic within a row; see `Kernel`."""
    if not isinstance(cell, GatedCell):
        return f"{type(cell).__name__} is not a GatedCell"
    if type(cell).step is not GatedCell.step:
        return f"{type(cell).__name__} has its own step"
    if like.dtype not in _DTYPES or not (like.is_cuda or _interpreted()):
        return f"it runs floating-point tensors on a GPU, not {like.dtype} on {like.device.type}"
    if like.is_cuda and torch.cuda.get_device_capability(like.device) < _LEAST_CAPABILITY:
        return f"it needs a GPU of compute capability {_LEAST_CAPABILITY[0]}.{_LEAST_CAPABILITY[1]}"
    program = read(cell, like.dtype)
    if not isinstance(program, str) and program.num_drawn:
        return f"{type(cell).__name__} draws random numbers"
    return f"{type(cell).__name__}.update: {program}" if isinstance(program, str) else None


def run(
    cell: Cell,
    inputs: Tensor,
    state: State,
    batch_sizes: list[int] | None = None,
    weights: Weights | None = None,
    recompute: bool = False,
) -> tuple[Tensor, State]:
    """Runs one cell over all steps; see `Kernel.run`. With `recompute` it keeps the states alone.

    Raises:
        RuntimeError: In the backward pass, when it was asked for with `create_graph=True`.
    """
    from seqmodels.nn.kernels.fused.loop import FusedLoop, Setting, rows_on  # Triton is loaded where it is used

    assert isinstance(cell, GatedCell)
    program, device = read(cell, state[0].dtype), state[0].device
    assert not isinstance(program, str)
    T, B, _ = inputs.shape
    weights = weights or cell.weights()
    products = list(weights)
    if not cell.projects_plainly:
        inputs, products[0], products[2] = project(cell, inputs, weights), None, None
    every_shared = list(shared_parameters(cell).values())
    shared = [every_shared[j] for j in write_source(program).parameters]
    keep = torch.is_grad_enabled() and not recompute
    setting = Setting(program, cell.hidden_size, rows_on(device, T, B, batch_sizes), len(shared), keep)
    dtype = _product_dtype(state[0])
    with torch.autocast(device.type, enabled=False):
        weight_ih, weight_hh, bias_ih, bias_hh = (None if w is None else w.to(dtype) for w in products)
        outputs, *final = FusedLoop.apply(
            setting, inputs.to(dtype), weight_ih, bias_ih, weight_hh, bias_hh, *shared, *state
        )
    return outputs, tuple(final)


def _product_dtype(like: Tensor) -> torch.dtype:
    """Gives autocast's where it is on, which leaves float64 alone."""
    device = like.device.type
    under_autocast = torch.is_autocast_enabled(device) and like.dtype is not torch.float64
    return torch.get_autocast_dtype(device) if under_autocast else like.dtype

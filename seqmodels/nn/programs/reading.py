"""The program of a cell, read once for each way it can be set."""

from collections.abc import Hashable
from typing import Any

import torch
from torch import nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.programs.interpreter import verify
from seqmodels.nn.programs.steps import StepProgram, derive
from seqmodels.nn.programs.tracing import Untraceable

_MODULE_ATTRIBUTES = frozenset(vars(nn.Module())) - {"training"}
_programs: dict[Hashable, StepProgram | str] = {}


def read(cell: GatedCell, dtype: torch.dtype) -> StepProgram | str:
    """Gives the program of a cell's `update`.

    Args:
        cell: The cell. Its update may depend on its arguments, on registered parameters and buffers, and on attributes
            that are numbers, text, functions or tuples of those.
        dtype: Of its parameters.

    Returns:
        The program, or the reason why there is none.
    """
    try:
        key = (type(cell).update, dtype, *_settings(cell))
    except Untraceable as error:
        return str(error)
    if key not in _programs:
        _programs[key] = _read(cell, dtype)
    return _programs[key]


def _read(cell: GatedCell, dtype: torch.dtype) -> StepProgram | str:
    try:
        with torch.random.fork_rng(devices=[]):
            program = derive(cell, _num_projected(cell), dtype)
            verify(program, cell)
    except Untraceable as error:
        return str(error)
    except Exception as error:  # an update may do anything; `reference` runs it as it is, and shows its own errors
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    return program


def _num_projected(cell: GatedCell) -> int:
    """Counts the blocks of hidden_size columns in what a cell's `project` gives."""
    if type(cell).project is GatedCell.project:
        return cell.num_gates
    with torch.no_grad():
        inputs = next(cell.parameters()).new_zeros(1, 1, cell.input_size)
        columns = cell.project(inputs).shape[-1]
    if columns % cell.hidden_size:
        raise Untraceable(f"project gives {columns} columns, no multiple of {cell.hidden_size}")
    return columns // cell.hidden_size


def _settings(module: nn.Module) -> list[Hashable]:
    """Lists all that can change what a module does, its numbers apart."""
    settings: list[Hashable] = [type(module)]
    own = vars(module)
    for name in own:
        if name not in _MODULE_ATTRIBUTES:
            settings += (name, _setting(name, own[name]))
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        settings += (name, None if tensor is None else tensor.shape)
    for name, child in module._modules.items():
        settings += (name, *(_settings(child) if child is not None else ()))
    return settings


def _setting(name: str, value: Any) -> Hashable:
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return (type(value), value)
    if isinstance(value, tuple):
        return tuple(_setting(name, item) for item in value)
    if callable(value) and not isinstance(value, nn.Module):
        return value  # functions and classes, kept alive by the key
    raise Untraceable(f"attribute {name} is a {type(value).__name__}, which may change unseen")

"""The program of a cell, read once for each way it can be set."""

import random
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import torch

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.programs.interpreter import verify
from seqmodels.nn.programs.settings import MODULE_ATTRIBUTES, settings
from seqmodels.nn.programs.steps import StepProgram, derive
from seqmodels.nn.programs.tracing import Untraceable

_programs: dict[Hashable, StepProgram | str] = {}
_impure: dict[type[GatedCell], str] = {}  # these change with every reading, so that nothing can be kept by settings


def read(cell: GatedCell, dtype: torch.dtype) -> StepProgram | str:
    """Gives the program of a cell's `update`, read at the first call for cells set alike.

    Args:
        cell: The cell. Its update may depend on its arguments, on registered parameters and buffers, and on attributes
            and constants that are numbers, text, functions, or tuples and dictionaries of those.
        dtype: Of its parameters.

    Returns:
        The program, or the reason why there is none.

    Example:
        >>> from seqmodels.nn import LSTMCell
        >>> read(LSTMCell(3, 5), torch.float32).layout.projected
        (0, 1, 2, 3)
        >>> class MixingCell(LSTMCell):
        ...     def update(self, projected, recurrent, state):
        ...         return super().update(projected, recurrent.flip(0), state)
        >>> read(MixingCell(3, 5), torch.float32)
        'aten.flip.default is not known to act within a row'
    """
    if type(cell) in _impure:
        return _impure[type(cell)]
    try:
        key = (dtype, settings(cell))
    except Untraceable as error:
        return str(error)
    if key not in _programs:
        _programs[key] = _read(cell, dtype)
    return _programs[key]


def _read(cell: GatedCell, dtype: torch.dtype) -> StepProgram | str:
    try:
        with _undisturbed():
            with _unchanged(cell):
                num_projected, num_drawn = _num_blocks(cell)
                with _nothing_drawn():
                    program = derive(cell, num_projected, num_drawn, dtype)
            verify(program, cell)
    except Untraceable as error:
        return str(error)
    except Exception as error:  # an update may do anything; `reference` runs it as it is, and shows its own errors
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    return program


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Reads as in plain training, whatever the mode, and leaves random numbers as they were."""
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        random.setstate(state)


@contextmanager
def _unchanged(cell: GatedCell) -> Iterator[None]:
    """Refuses a cell that sets attributes, and puts these back."""
    before = {module: dict(vars(module)) for module in cell.modules()}
    failure = None
    try:
        yield
    except Untraceable as error:
        failure = error
    finally:
        changed = [module for module in before if _attributes(before[module]) != _attributes(vars(module))]
        for module in changed:
            vars(module).clear()
            vars(module).update(before[module])
    if changed:
        _impure[type(cell)] = "it sets attributes"
        raise Untraceable(_impure[type(cell)]) from failure
    if failure is not None:
        raise failure


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    state, own_state = torch.random.get_rng_state(), random.getstate()
    yield
    if not torch.equal(state, torch.random.get_rng_state()) or own_state != random.getstate():
        raise Untraceable("it draws random numbers")


def _attributes(values: dict[str, object]) -> dict[str, int]:
    return {name: id(value) for name, value in values.items() if name not in MODULE_ATTRIBUTES}


def _num_blocks(cell: GatedCell) -> tuple[int, int]:
    """Counts the blocks of hidden_size columns in what a cell's `project` and `draw` give."""
    with torch.no_grad():
        inputs = next(cell.parameters()).new_zeros(1, 1, cell.input_size)
        drawn = cell.draw(inputs)
        projected = None if cell.projects_plainly else cell.project(inputs)
    counts = []
    for name, columns, default in (("project", projected, cell.num_gates), ("draw", drawn, 0)):
        size = default * cell.hidden_size if columns is None else columns.shape[-1]
        if size % cell.hidden_size:
            raise Untraceable(f"{name} gives {size} columns, no multiple of {cell.hidden_size}")
        counts.append(size // cell.hidden_size)
    return counts[0], counts[1]

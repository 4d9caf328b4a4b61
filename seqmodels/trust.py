"""A user's own modules as targets of configuration, where the command line says that they may be.

Configuration names no code outside the package, so a stranger's `config.yaml` can do no harm. A cell in a file of the
user's own needs one word on the command line, `trusted=my_module`, each time: no file can say it, not even a run's own.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seqmodels.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from seqmodels.nn import Cell

_TRUSTED: ContextVar[tuple[str, ...]] = ContextVar("trusted", default=())

# Not of the user's making, and full of functions that run whatever they are given.
_NEVER = sys.stdlib_module_names | {"__main__", "hydra", "lightning", "numpy", "omegaconf", "seqmodels", "torch"}


def module_names(value: Any) -> list[str]:
    """Reads the value of the key `trusted`: a name, or several as a list or with commas between them.

    Raises:
        UserError: For anything else.

    Example:
        >>> module_names("my_module"), module_names("[my_module, my_package.cells]"), module_names(None)
        (['my_module'], ['my_module', 'my_package.cells'], [])
    """
    if isinstance(value, str):
        value = value.removeprefix("[").removesuffix("]").split(",")
    names = [] if value is None else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise UserError(f"trusted={value}: expected the name of a module, or a list of such names")
    return [name.strip() for name in names if name.strip()]


@contextmanager
def trusting(names: Sequence[str]) -> Iterator[None]:
    """Lets configuration name the classes and functions of these modules, within the block.

    The current directory can be imported from meanwhile, after all other places, so that a file in it hides no package.
    What goes wrong in the code of such a module is told as the user's mistake, with the line it happened in.

    Args:
        names: Modules or packages, such as `my_module`; a package's submodules are trusted with it.

    Raises:
        UserError: For a module that cannot be trusted or imported, and for an exception in its code.

    Example:
        >>> with trusting(["subprocess"]):
        ...     pass
        Traceback (most recent call last):
        ...
        seqmodels.errors.UserError: trusted=subprocess: not a module of your own, its names stay closed to configuration
    """
    for name in names:
        _check_name(name)
    if not names:
        yield
        return
    folder = os.getcwd()
    sys.path.append(folder)
    token = _TRUSTED.set(tuple(names))
    try:
        for name in names:
            import_module(name, f"trusted={name}")
        yield
    except Exception as error:
        if (fault := _fault(error, names)) is not None:
            raise UserError(fault) from error
        raise
    finally:
        _TRUSTED.reset(token)
        sys.path.remove(folder)


def is_trusted(module_name: str) -> bool:
    """Tells whether a module, or a package it lies in, is trusted in this block."""
    return any(_within(module_name, name) for name in _TRUSTED.get())


def find_target(module_name: str, attribute: str, key: str) -> Callable[..., Any]:
    """Finds a class or function that a trusted module defines; what it merely imports stays closed.

    Args:
        module_name: The module, trusted in this block.
        attribute: The name in it.
        key: What names it, such as `model.cell._target_=my_module.MyCell`, for messages.

    Raises:
        UserError: Where there is no such class or function.
    """
    module = import_module(module_name, key)
    own = [name for name, value in vars(module).items() if _defines(value)]
    if attribute in own:
        return getattr(module, attribute)
    if hasattr(module, attribute):
        found = getattr(module, attribute)
        origin = getattr(found, "__module__", None)
        what = f"what {origin} defines" if origin and callable(found) else type(found).__name__
        raise UserError(f"{key}: expected a class or function that {module_name} defines, got {what}")
    close = difflib.get_close_matches(attribute, own, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    place = getattr(module, "__file__", None) or module_name
    raise UserError(f"{key}: {place} has no {attribute}; {hint}it defines: {', '.join(own) or 'nothing'}")


@contextmanager
def naming_own_code(config: Any, path: str) -> Iterator[None]:
    """Names the user's own class where objects of a configuration refuse it, or do not fit it, within the block.

    Args:
        config: The configuration of what is built in the block.
        path: Where it stands, such as `model`.

    Raises:
        UserError: In place of another exception, where the configuration names trusted code.
    """
    try:
        yield
    except UserError:
        raise
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        targets = list(_own_targets(config, path))
        if not targets:
            raise
        raise UserError(f"{targets[0]}: {error}") from error


def names_own_code(config: Any) -> bool:
    """Tells whether a configuration names trusted code."""
    return next(_own_targets(config, ""), None) is not None


def _own_targets(node: Any, path: str) -> Iterator[str]:
    """Finds the targets that are trusted code, each as `model.cell._target_=my_module.MyCell`."""
    if isinstance(node, Mapping):
        target = str(node.get("_target_"))
        if is_trusted(target.rpartition(".")[0]):
            yield f"{path}._target_={target}"
        for key, value in node.items():
            yield from _own_targets(value, f"{path}.{key}")


def try_out(model: nn.Module) -> None:
    """Takes two steps there and back with each trusted cell of a model, so that its mistakes show at once.

    No parameter, buffer or random generator is changed.
    """
    from seqmodels.nn import Cell

    for module in model.modules():
        if isinstance(module, Cell) and any(is_trusted(type(part).__module__) for part in module.modules()):
            _try_out(module)


def _try_out(cell: Cell) -> None:
    import torch

    from seqmodels.nn.kernels import reference

    training = cell.training
    cell.eval()  # what keeps running statistics keeps them from the data alone
    parameters = [parameter for parameter in cell.parameters() if parameter.requires_grad]
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        outputs, _ = reference.run(cell, torch.zeros(2, 2, cell.input_size), cell.initial_state(2))
        if outputs.requires_grad:
            torch.autograd.grad(outputs.sum(), parameters, allow_unused=True)
    cell.train(training)


def hint(module_name: str) -> str:
    """Says how a module that is not trusted can be; nothing where it cannot."""
    if not module_name or module_name.partition(".")[0] in _NEVER:
        return ""
    return f"; if {module_name} is a module of yours, add trusted={module_name}"


def import_module(name: str, key: str) -> ModuleType:
    """Imports a trusted module.

    Raises:
        UserError: Where there is none, or an exception left it.
    """
    importlib.invalidate_caches()  # the file may be younger than what Python remembers of its folder
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and _within(name, error.name):
            raise UserError(f"{key}: no module {error.name} in the current directory or among the installed") from error
        raise UserError(f"{key}: cannot be imported: {_told(error, (name,))}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{key}: cannot be imported: {_told(error, (name,))}") from error


def _check_name(name: str) -> None:
    if name.endswith(".py") or os.sep in name:
        raise UserError(f"trusted={name}: expected the name of a module, not of a file, such as my_module")
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"trusted={name}: expected the full name of a module, such as my_module or my_package.cells")
    if name.partition(".")[0] in _NEVER:
        raise UserError(f"trusted={name}: not a module of your own, its names stay closed to configuration")


def _within(module_name: str, package: str) -> bool:
    return module_name == package or module_name.startswith(f"{package}.")


def _defines(value: Any) -> bool:
    """Tells whether trusted code defines a value: what a package gathers from its submodules counts as its own."""
    is_code = inspect.isclass(value) or inspect.isfunction(value)
    return is_code and is_trusted(getattr(value, "__module__", None) or "")


def _fault(error: BaseException, names: Sequence[str]) -> str | None:
    """Says where in the code of trusted modules an exception came up; None where it did not pass through any."""
    cause: BaseException | None = error
    while cause is not None:
        for name in names:
            if not isinstance(cause, UserError) and _place(cause, (name,)):
                return f"trusted={name}: {_told(cause, (name,))}"
        cause = cause.__cause__
    return None


def _told(error: BaseException, names: Sequence[str]) -> str:
    place = _place(error, names)
    text = f"{type(error).__name__}: {error}"
    return f"{place}: {text}" if place else text


def _place(error: BaseException, names: Sequence[str]) -> str | None:
    """Names the last line of trusted code that an exception passed through."""
    places = [
        f"{os.path.basename(frame.f_code.co_filename)}, line {line}, in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if any(_within(frame.f_globals.get("__name__") or "", name) for name in names)
    ]
    return places[-1] if places else None

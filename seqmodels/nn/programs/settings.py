"""All that can change what an `update` does, its numbers apart: by it a program is kept, and found again.

That is the types and attributes of the cell and of the modules inside, the shapes of their registered tensors, and what
their code reads from around it: constants of a file, of a class, of an enclosing function.
"""

import builtins
import dis
import functools
import types
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.programs.tracing import Untraceable

Source = tuple[Mapping[str, Any], str]  # a namespace, and a name that code reads from it

MODULE_ATTRIBUTES = frozenset(vars(nn.Module())) - {"training"}
_TRUSTED = ("torch", "seqmodels", "math", "numpy")  # packages whose code reads nothing that changes
# What reads something that no key can hold.
_UNFORESEEABLE = frozenset(("globals", "vars", "eval", "exec", "environ", "getenv", "is_grad_enabled"))
_ABSENT = "not defined"
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def settings(cell: GatedCell) -> tuple[Hashable, ...]:
    """Lists what a program depends on.

    Args:
        cell: The cell.

    Raises:
        Untraceable: It depends on something that may change unseen.
    """
    found: list[Any] = []
    kinds: list[type] = []
    _add_module(cell, found, kinds)
    for namespace, name in _sources(tuple(kinds)):
        found.append(_setting(name, namespace.get(name, _ABSENT)))
    return tuple(found)


def _add_module(module: nn.Module, found: list[Any], kinds: list[type]) -> None:
    kinds.append(type(module))
    found.append(type(module))
    for name, value in vars(module).items():
        if name not in MODULE_ATTRIBUTES:
            found += (name, _setting(name, value))
    for tensors in (module._parameters, module._buffers):
        for name, tensor in tensors.items():
            found += (name, None if tensor is None else (tensor.shape, tensor.dtype))
    for name, child in module._modules.items():
        found.append(name)
        if child is not None:
            if any(getattr(child, hooks) for hooks in _HOOKS):
                raise Untraceable(f"{name} has hooks")
            _add_module(child, found, kinds)


def _setting(name: str, value: Any) -> Hashable:
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return (type(value), value)
    if isinstance(value, types.ModuleType) and _is_trusted(value.__name__):
        return value
    if isinstance(value, tuple):
        return tuple(_setting(name, item) for item in value)
    if isinstance(value, dict):
        return tuple((key, _setting(name, item)) for key, item in value.items())
    if isinstance(value, functools.partial):
        return (value, _setting(name, value.func), _setting(name, value.args), _setting(name, value.keywords))
    if isinstance(value, types.FunctionType):
        read = [(name, namespace.get(name, _ABSENT)) for namespace, name in _read_by(value)]
        read += [(name, value.__defaults__), (name, value.__kwdefaults__)]
        return (value, *(v if isinstance(v, types.FunctionType) else _setting(n, v) for n, v in read))
    if isinstance(value, types.MethodType) and _is_trusted(value.__func__.__module__):
        return (value.__func__, type(value.__self__))
    if isinstance(value, type) and not _is_trusted(value.__module__):
        own = {n: v for n, v in vars(value).items() if not (n.startswith("__") or isinstance(v, types.FunctionType))}
        return (value, *((n, _setting(f"{name}.{n}", v)) for n, v in own.items()))
    if isinstance(value, type | types.BuiltinFunctionType | property | staticmethod | classmethod):
        return value  # kept alive by the key
    raise Untraceable(f"{name} is a {type(value).__name__}, which may change unseen")


@functools.lru_cache(maxsize=256)
def _sources(kinds: tuple[type, ...]) -> tuple[Source, ...]:
    """Finds what the code of some classes reads, from `update` and `forward` on, by the names that it mentions."""
    sources: dict[tuple[int, str], Source] = {}
    names, pending = set(), ["update", "forward"]
    owners = [base for base in {b: None for kind in kinds for b in kind.__mro__} if not _is_trusted(base.__module__)]
    while pending:
        name = pending.pop()
        if name in names:
            continue
        if name in _UNFORESEEABLE:
            raise Untraceable(f"it uses {name}, whose result may change unseen")
        names.add(name)
        if name == "getattr":  # by a name made as it runs: any attribute of the classes
            sources |= {(id(o), n): (vars(o), n) for o in owners for n in vars(o) if not n.startswith("__")}
        for owner in owners:
            value = vars(owner).get(name)
            for function in _functions(value):
                sources |= {(id(namespace), read): (namespace, read) for namespace, read in _read_by(function)}
                pending += _names(function.__code__)
            if name in vars(owner):
                sources[id(owner), name] = (vars(owner), name)
    return tuple(sources.values())


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """Finds the code behind a class attribute."""
    value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if isinstance(value, types.FunctionType):
        yield value


@functools.lru_cache(maxsize=256)
def _read_by(function: types.FunctionType) -> tuple[Source, ...]:
    """Finds the globals and enclosing variables that a function and those it calls by name read."""
    sources: list[Source] = []
    seen, pending = set(), [function]
    while pending:
        function = pending.pop()
        if function in seen or _is_trusted(function.__module__):
            continue
        seen.add(function)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        sources += [(_Cells(cells), name) for name in cells]
        sources += [(function.__globals__, name) for name in _global_names(function.__code__)]
        values = [namespace.get(name) for namespace, name in sources]
        pending += [value for value in values if isinstance(value, types.FunctionType)]
    return tuple((space, name) for space, name in sources if not _is_fixed(name, space.get(name, _ABSENT)))


class _Cells(dict[str, Any]):
    """Enclosing variables by name, as they are now."""

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name].cell_contents
        except ValueError:  # not assigned yet
            return default


def _names(code: types.CodeType) -> list[str]:
    """Lists the names of globals and attributes in some code and in the functions written inside it."""
    return [*code.co_names, *(name for inner in _inner(code) for name in _names(inner))]


def _global_names(code: types.CodeType) -> list[str]:
    own = [str(i.argval) for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return [*own, *(name for inner in _inner(code) for name in _global_names(inner))]


def _inner(code: types.CodeType) -> list[types.CodeType]:
    return [const for const in code.co_consts if isinstance(const, types.CodeType)]


def _is_fixed(name: str, value: Any) -> bool:
    """Tells what no program rebinds: modules that are trusted, and builtins."""
    trusted = isinstance(value, types.ModuleType) and _is_trusted(value.__name__)
    return trusted or (value is _ABSENT and hasattr(builtins, name))


def _is_trusted(module: str) -> bool:
    return module.partition(".")[0] in (*_TRUSTED, "builtins", "abc", "typing")

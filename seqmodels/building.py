"""The one place where configuration becomes objects.

A mapping with `_target_` names a class or function; its other keys are the arguments. Only names that the packages
below export, a few of torch's and Lightning's, and those of modules that the command line trusts, can be targets:
nothing else that a configuration names is ever called, so a stranger's `config.yaml` can do no harm. Every argument is
checked against the annotation of its parameter.
"""

import difflib
import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from seqmodels import trust
from seqmodels.errors import UserError

EXPORTING_PACKAGES = (
    "seqmodels.nn",
    "seqmodels.data",
    "seqmodels.models",
    "seqmodels.tasks",
    "seqmodels.views",
    "seqmodels.callbacks",
)
OTHER_TARGETS = {
    "torch.nn": ("RNN", "LSTM", "GRU"),
    "torch.optim": ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad"),
    "lightning.pytorch.callbacks": ("EarlyStopping",),
}
GROUPS = ("data", "model", "cell", "task", "tbptt", "optimizer", "scheduler", "trainer", "callbacks")
OPTIONAL_GROUPS = ("tokenizer", "frontend", "readout", "attention", "loss", "teacher_forcing")
NAMES = ("name", "output_dir")


def check_config(config: Mapping[str, Any]) -> None:
    """Checks what belongs to no group of its own.

    Raises:
        UserError: For a missing or unknown group, and for a seed or a name of the wrong kind.
    """
    for key in config:
        if key not in (*GROUPS, *OPTIONAL_GROUPS, *NAMES, "seed"):
            raise UserError(unknown_key("", key, config[key], [*GROUPS, *OPTIONAL_GROUPS, *NAMES, "seed"]))
    for group in GROUPS:
        if not isinstance(config.get(group), Mapping):
            reason = "required" if config.get(group) is None else "expected a mapping"
            raise UserError(f"{group}={config.get(group, 'null')}: {reason}; `seqmodels list` shows the choices")
    for name in NAMES:
        if not isinstance(config.get(name), str) or not config[name]:
            raise UserError(f"{name}={config.get(name)}: expected text")
    seed = config.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: expected an integer from 0 to {2**32 - 1}")


def build(node: Any, path: str, **provided: Any) -> Any:
    """Makes the object a configuration describes, and those inside it.

    Args:
        node: Plain configuration: mappings, lists, numbers, strings. Values that are objects already are kept.
        path: Where the node stands, such as `model`, for messages.
        **provided: Objects and sizes known at run time; each fills the parameter of its name, where the configuration
            leaves that out, of the target and of those inside it that are made at once (no `_partial_`).

    Returns:
        The object; a `functools.partial` where the mapping says `_partial_: true`, `None` for a target of null alone.

    Raises:
        UserError: For an unknown target or key, a value of the wrong type or out of range.

    Example:
        >>> build({"_target_": "seqmodels.tasks.Cosine", "warmup_steps": 5}, "scheduler")
        Cosine(warmup_steps=5, final=0.0)
        >>> build({"_target_": "os.system", "command": "true"}, "scheduler")
        Traceback (most recent call last):
        ...
        seqmodels.errors.UserError: scheduler._target_=os.system: not a target that configuration may name
    """
    if isinstance(node, list):
        return [build(item, f"{path}[{place}]", **provided) for place, item in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    if dict(node) == {"_target_": None}:  # a choice of a group that stands for nothing
        return None
    if "_target_" not in node:
        return {key: build(value, f"{path}.{key}", **provided) for key, value in node.items()}
    target = resolve(node["_target_"], path)
    given = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    inner = {} if node.get("_partial_") else provided
    arguments = {key: build(value, f"{path}.{key}", **inner) for key, value in given.items()}
    arguments = check_arguments(target, arguments, path, provided)
    if node.get("_partial_"):
        return functools.partial(target, **arguments)
    parameters = inspect.signature(target).parameters
    arguments |= {name: value for name, value in provided.items() if name in parameters and name not in arguments}
    _check_complete(target, arguments, provided, path)
    return call(target, arguments, path)


def _check_complete(
    target: Callable[..., Any], arguments: Mapping[str, Any], provided: Mapping[str, Any], path: str
) -> None:
    """Refuses a target whose sizes are neither given nor those that the data have."""
    sizes = [f"{name}={value}" for name, value in provided.items() if isinstance(value, int)]
    for name, parameter in inspect.signature(target).parameters.items():
        open_ended = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if sizes and not open_ended and parameter.default is parameter.empty and name not in arguments:
            raise UserError(
                f"{path}.{name}: {getattr(target, '__name__', target)} needs it, and these data have none: "
                f"they have {', '.join(sizes)}; choose what fits them, or give it a value"
            )


def call(target: Callable[..., Any], arguments: dict[str, Any], path: str) -> Any:
    """Calls a target; the `ValueError` of a value out of range becomes the user's, with the key before it."""
    try:
        inspect.signature(target).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{path}: {error}") from error
    try:
        return target(**arguments)
    except UserError:
        raise
    except ValueError as error:
        joint = "." if str(error).partition("=")[0].isidentifier() else ": "
        raise UserError(f"{path}{joint}{error}") from error


def resolve(name: Any, path: str) -> Callable[..., Any]:
    """Finds an allowed target by its dotted name.

    Raises:
        UserError: For any other name.
    """
    module_name, _, attribute = str(name).rpartition(".")
    if module_name in EXPORTING_PACKAGES:
        module = importlib.import_module(module_name)
        if attribute in module.__all__:
            return getattr(module, attribute)
    if attribute in OTHER_TARGETS.get(module_name, ()):
        return getattr(importlib.import_module(module_name), attribute)
    key = f"{path}._target_={name}"
    if trust.is_trusted(module_name):
        return trust.find_target(module_name, attribute, key)
    raise UserError(f"{key}: not a target that configuration may name{trust.hint(module_name)}")


def check_arguments(
    target: Callable[..., Any], arguments: dict[str, Any], path: str, provided: Collection[str] = ()
) -> dict[str, Any]:
    """Holds arguments against a signature.

    Args:
        target: A class or function.
        arguments: Values by parameter name; objects that were built already are not checked.
        path: Where they stand, for messages.
        provided: Parameters that are filled at run time, which nobody is told to give.

    Returns:
        The arguments, converted where the parameter's type asks for it (lists to tuples, integers to floats).

    Raises:
        UserError: For a key the target does not take, or a value of the wrong type.
    """
    parameters = inspect.signature(target).parameters
    # torch's recurrent layers take `*args, **kwargs`; what they refuse, they refuse themselves.
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = _hints(target)
    module_name = getattr(target, "__module__", "")
    own = module_name.startswith("seqmodels") or trust.is_trusted(module_name)
    checked = {}
    for key, value in arguments.items():
        if key not in parameters and not open_ended:
            raise UserError(unknown_key(path, key, value, [name for name in parameters if name not in provided]))
        checked[key] = _checked(value, hints[key], f"{path}.{key}", strict=own) if key in hints else value
    return checked


def unknown_key(path: str, key: str, value: Any, valid: list[str]) -> str:
    """Says that a key is not known, what it may have meant, and which there are."""
    full = f"{path}.{key}" if path else key
    if value is not None and not isinstance(value, str | int | float | list | tuple | dict):
        value = type(value).__name__  # a part of a model, built already
    valid = [name for name in valid if not name.startswith("_")]
    close = difflib.get_close_matches(key, valid, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    where = f"under {path}" if path else "here"
    names = ", ".join(valid) or f"nothing; for a class of your own, +{full}={value} adds it"
    return f"{full}={value}: no such key; {hint}valid {where}: {names}"


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):
        return {}


def _checked(value: Any, hint: Any, path: str, strict: bool) -> Any:
    if isinstance(value, dict) and not _takes_mapping(hint):
        raise UserError(
            f"{path}: expected {describe_type(hint)}, got {', '.join(value) or 'nothing'} without a _target_"
        )
    if not _plain(value):
        return value
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value, strict=strict)
    except ValidationError as error:
        shown = "null" if value is None else value
        expected = describe_type(hint)
        got = "" if isinstance(value, str) and "one of " in expected else f", got {type(value).__name__}"
        raise UserError(f"{path}={shown}: expected {expected}{got}") from error


def _takes_mapping(hint: Any) -> bool:
    parts = [hint, *typing.get_args(hint)]
    return any(part in (Any, object, dict) or typing.get_origin(part) in (dict, Mapping) for part in parts)


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def describe_type(hint: Any) -> str:
    """Names a type in the words of configuration files."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(hint))
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    if hint in names:
        return names[hint]
    if typing.get_origin(hint) is list:
        return "a list"
    if typing.get_origin(hint) is dict:
        return "a mapping"
    # What YAML cannot write, such as a tensor, is left out where there is something that it can.
    parts = list(typing.get_args(hint))
    parts = [part for part in parts if part in names or typing.get_origin(part)] or parts
    if parts:
        return " or ".join(dict.fromkeys(describe_type(part) for part in parts))
    return f"a {getattr(hint, '__name__', str(hint))} with a _target_"

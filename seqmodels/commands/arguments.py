"""`key=value` arguments of the commands that take no configuration, held against a function's signature."""

import inspect
import typing
from collections.abc import Callable
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from seqmodels.building import describe_type, unknown_key
from seqmodels.errors import UserError


def parse(function: Callable[..., Any], arguments: list[str]) -> dict[str, Any]:
    """Turns `key=value` into a function's arguments, by its annotations; text is taken as it stands.

    A parameter `class_` has the key `class`, which Python keeps for itself.

    Raises:
        UserError: For anything that is no `key=value`, an unknown key, or a value of the wrong type.

    Example:
        >>> def command(prompt: str = "", length: int = 10, top_k: int | None = None): ...
        >>> parse(command, ["prompt=a = b", "length=20", "top_k=null"])
        {'prompt': 'a = b', 'length': 20, 'top_k': None}
    """
    hints = typing.get_type_hints(function)
    names = {name.removesuffix("_"): name for name in inspect.signature(function).parameters}
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals:
            raise UserError(f"{argument}: expected key=value; keys: {', '.join(names)}")
        if key not in names:
            raise UserError(unknown_key("", key, text, list(names)))
        hint = hints[names[key]]
        if text in ("null", "None") and type(None) in typing.get_args(hint):
            values[names[key]] = None
            continue
        try:
            values[names[key]] = TypeAdapter(hint).validate_python(text)
        except ValidationError as error:
            raise UserError(f"{key}={text}: expected {describe_type(hint)}") from error
    return values


def split_data_keys(arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Takes the keys under `data` out of a command line.

    Returns:
        The other arguments, and the values by their keys, read as configuration files have them; what is no YAML is
        text, such as `*.txt`. Keys of several parts make mappings.

    Raises:
        UserError: For a value that is a mapping, and for keys under one that is given a value.

    Example:
        >>> split_data_keys(["run=latest", "data.glob=*.md", "data.arrays.inputs=series"])
        (['run=latest'], {'glob': '*.md', 'arrays': {'inputs': 'series'}})
    """
    rest = [argument for argument in arguments if not argument.startswith("data.")]
    values: dict[str, Any] = {}
    for argument in arguments:
        if argument not in rest:
            key, _, text = argument.removeprefix("data.").partition("=")
            *outer, last = key.split(".")
            node = values
            for part in outer:
                node = node.setdefault(part, {})
                if not isinstance(node, dict):
                    raise UserError(f"{argument}: data.{part} is given a value on the same command line")
            node[last] = _value(argument, text)
    return rest, values


def _value(argument: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, dict):
        raise UserError(f"{argument}: expected text, a number or a list")
    return value


def print_help(function: Callable[..., Any], command: str) -> None:
    """Prints a command's keys with their defaults and meanings, from its signature and docstring.

    Of a class those that it inherits are told too.
    """
    classes = inspect.getmro(function)[1:-1] if inspect.isclass(function) else ()
    told = [_told(function), *(_told(base).partition("Args:\n")[2] for base in reversed(classes))]
    print(f"usage: seqmodels {command} [key=value ...]\n\n" + "\n".join(told) + "\n\nDefaults:")
    parameters, own = inspect.signature(function).parameters, inspect.get_annotations(function)
    for name, parameter in sorted(parameters.items(), key=lambda item: item[0] not in own):
        default = "required" if parameter.default is parameter.empty else parameter.default
        print(f"    {name.removesuffix('_')}={'null' if default is None else default}")


def _told(function: Callable[..., Any]) -> str:
    """Returns what a docstring says of keys, the last of which is an argument."""
    documentation = (inspect.getdoc(function) or "").replace("class_:", "class:")
    return documentation.partition("Raises:")[0].rstrip()

"""YAML and JSON as plain values: nothing is made, called or interpolated, and no file can grow beyond its own size."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from seqmodels.data.formats.tables import unique
from seqmodels.errors import UserError

MAX_YAML_BYTES = 1 << 18
"""A hundred times a large configuration; the reader is slow."""
MAX_JSON_BYTES = 1 << 26
"""Of the largest vocabulary, a hundred bytes a token."""
MAX_VALUES = 100_000
MAX_JSON_MARKS = 1 << 22
"""Brackets and commas: a million tokens with a merge for each have so many."""
MAX_INTEGER = 2**63
MAX_DEPTH = 100


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a mapping of plain values: mappings with names as keys, lists, text, numbers, true, false and null.

    Args:
        path: The file.

    Raises:
        UserError: Where it cannot be read, or holds anything else, a key twice, a value that contains itself, or more
            values than any configuration: names for values (`&x`, `*x`) can make a small file very large.
    """
    return _mapping(path, MAX_YAML_BYTES, _parse_yaml)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a mapping of plain values.

    Args:
        path: The file.

    Raises:
        UserError: Where it cannot be read, or holds a key twice, or more values than the largest vocabulary.
    """
    return _mapping(path, MAX_JSON_BYTES, _parse_json)


def _parse_yaml(text: str) -> Any:
    if _depth(text) > MAX_DEPTH:  # the reader takes time by its square
        raise RecursionError
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        _check_keys(node)
        values = None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()
    _count(values, {}, set())
    return values


def _check_keys(root: yaml.Node | None) -> None:
    """Refuses keys that stand twice in a mapping, and those that merge others into it, before any is made."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
                raise ValueError("the key <<: expected the keys that it stands for")
            unique([(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)])
            waiting.extend(itertools.chain.from_iterable(node.value))
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _parse_json(text: str) -> Any:
    if sum(map(text.count, "[{,")) > MAX_JSON_MARKS:
        raise ValueError(f"more than {MAX_JSON_MARKS:,} brackets and commas")
    values = json.loads(text, parse_int=_integer, object_pairs_hook=unique)
    waiting = [values]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            waiting.extend(itertools.chain(node, node.values()) if isinstance(node, dict) else node)
        else:
            _check_plain(node)
    return values


def _integer(text: str) -> int:
    return _bounded(int(text))


def _bounded(number: int) -> int:
    if abs(number) >= MAX_INTEGER:
        raise ValueError(f"an integer of {math.ceil(abs(number).bit_length() * math.log10(2))} digits")
    return number


def _mapping(path: Path, limit: int, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: expected a file")
        size = path.stat().st_size
        if size > limit:
            raise UserError(f"{path}: has {size:,} bytes; expected {limit:,} at most")
        text = path.read_text(encoding="utf-8")
        values = parse(text)
    except UserError:
        raise
    except RecursionError as error:
        raise UserError(f"{path}: cannot be read: its values lie too deep in each other") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a mapping, got {'nothing' if values is None else type(values).__name__}")
    return values


def _depth(text: str) -> int:
    """Returns how many brackets are open at once, at most."""
    steps = (1 if letter in "[{" else -1 for letter in text if letter in "[]{}")
    return max(itertools.accumulate(steps), default=0)


def _count(node: Any, counted: dict[int, int], within: set[int]) -> int:
    """Counts the values as if each stood where it is named, and refuses what is not plain.

    Args:
        node: What is counted.
        counted: Those of mappings and lists that were, by identity.
        within: Those that the node lies in.
    """
    if not isinstance(node, dict | list):
        _check_plain(node)
        return 1
    if id(node) in within:
        raise ValueError("a value that contains itself")
    if id(node) not in counted:
        if isinstance(node, dict) and not all(isinstance(key, str) for key in node):
            raise ValueError(f"the key {next(key for key in node if not isinstance(key, str))!r}: expected text")
        inner = [*node, *node.values()] if isinstance(node, dict) else node
        counted[id(node)] = 1 + sum(_count(one, counted, within | {id(node)}) for one in inner)
    if counted[id(node)] > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    return counted[id(node)]


def _check_plain(value: Any) -> None:
    if value is not None and type(value) not in (bool, int, float, str):
        raise ValueError(f"a value of type {type(value).__name__}; expected text, a number, true, false or null")
    if type(value) is int:
        _bounded(value)
    if isinstance(value, str):
        value.encode()  # refuses halves of characters

"""What a study searches: ranges and choices by the keys of the configuration, read from YAML."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from seqmodels.building import call, check_arguments
from seqmodels.errors import UserError
from seqmodels.verified.documents import read_yaml

if TYPE_CHECKING:
    from optuna.trial import Trial

MAX_GRID = 10_000
"""Combinations that a grid has at most."""

NEVER_SEARCHED = ("debug", "plan", "resume", "trusted")
"""Keys of the command line that are no settings of a training."""

_KEY = re.compile(r"\+{0,2}[\w./@-]+")
_FOLDERS = ("output_dir", "name", "data.cache_dir")


@dataclass(frozen=True)
class Float:
    """A number from a range.

    Args:
        low: The least value.
        high: The greatest value.
        log: Draws its logarithm evenly.
        step: The distance between two values; any value where left out.
        when: Values of keys above this one with which it is searched; else it stays as it is configured.

    Raises:
        ValueError: Where the range is empty, has no end or no logarithm.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log, self.step)

    def suggest(self, trial: Trial, key: str) -> Any:
        """Asks a trial for a value."""
        high = self.high if self.step is None else self._value(self.count - 1)
        return trial.suggest_float(key, self.low, high, step=self.step, log=self.log)

    @property
    def count(self) -> int:
        """How many values there are; 0 where there is no step."""
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step or math.inf))
        return 0 if self.step is None else int((high - low) // step) + 1

    def values(self) -> list[float]:
        """Lists all values; none where there is no step."""
        return [self._value(number) for number in range(self.count)]

    def _value(self, number: int) -> float:
        """Counts in decimals, in which three times 0.1 is 0.3."""
        return float(Decimal(str(self.low)) + number * Decimal(str(self.step)))


@dataclass(frozen=True)
class Int:
    """An integer from a range, its ends included.

    Args:
        low: The least value.
        high: The greatest value.
        log: Draws its logarithm evenly.
        step: The distance between two values.
        when: Values of keys above this one with which it is searched; else it stays as it is configured.

    Raises:
        ValueError: Where the range is empty, has no end or no logarithm.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    when: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log, None if self.step == 1 else self.step)

    def suggest(self, trial: Trial, key: str) -> Any:
        """Asks a trial for a value."""
        high = self.low + (self.count - 1) * self.step
        return trial.suggest_int(key, self.low, high, step=self.step, log=self.log)

    @property
    def count(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1

    def values(self) -> Sequence[int]:
        """Lists all values."""
        return range(self.low, self.high + 1, self.step)


@dataclass(frozen=True)
class Categorical:
    """One of some values; of a group, such as `cell`, one of its names.

    Args:
        choices: The values.
        when: Values of keys above this one with which it is searched; else it stays as it is configured.

    Raises:
        ValueError: Where there are none, or one that is a list or a mapping.
    """

    choices: list[Any]
    when: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("choices=[]: expected at least one")
        for choice in self.choices:
            if choice is not None and not isinstance(choice, bool | int | float | str):
                raise ValueError(f"choices: {choice}: expected numbers, text, true, false or null")

    def suggest(self, trial: Trial, key: str) -> Any:
        """Asks a trial for a value."""
        return trial.suggest_categorical(key, self.choices)

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.choices)

    def values(self) -> list[Any]:
        """Lists all values."""
        return self.choices


Dimension = Float | Int | Categorical
TYPES: dict[str, type[Dimension]] = {"float": Float, "int": Int, "categorical": Categorical}


@dataclass(frozen=True)
class Search:
    """A space and the way through it: a file of `configs/hparams_search/`.

    Args:
        space: The dimensions by the keys of the configuration.
        sampler: "tpe" (Bergstra et al. 2011), "random", or "grid" for all combinations.
        pruner: "median" or "hyperband" (Li et al. 2018) gives up trials that do badly, after a validation; "none".
        trials: Trials of the whole study, where the command line gives no number.
        startup_trials: Trials before "tpe" and "median" judge by the earlier ones.
        warmup_validations: Validations of a trial before "median" may give it up.

    Raises:
        ValueError: For values out of range; for a grid over a dimension without steps, and for one too large.
    """

    space: dict[str, Any]
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["none", "median", "hyperband"] = "none"
    trials: int = 20
    startup_trials: int = 10
    warmup_validations: int = 0

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("startup_trials", 0), ("warmup_validations", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least {least}")
        for key, dimension in self.space.items() if self.sampler == "grid" else ():
            if dimension.when is not None or not dimension.count:
                lacks = "a step" if dimension.when is None else "no `when`"
                raise ValueError(f"sampler=grid: space.{key} needs {lacks}; or sampler=tpe or random")
        if self.sampler == "grid" and self.grid_size > MAX_GRID:
            raise ValueError(
                f"sampler=grid: {self.grid_size:,} combinations; expected at most {MAX_GRID:,}; take larger steps, "
                "or sampler=tpe or random"
            )

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Asks a trial for a value of each dimension that applies."""
        values: dict[str, Any] = {}
        for key, dimension in self.space.items():
            if _applies(dimension, values):
                values[key] = dimension.suggest(trial, key)
        return values

    @property
    def grid_size(self) -> int:
        """How many combinations there are."""
        return math.prod(dimension.count for dimension in self.space.values())

    def grid(self) -> Iterator[dict[str, Any]]:
        """Goes through all combinations."""
        columns = [dimension.values() for dimension in self.space.values()]
        return (dict(zip(self.space, values, strict=True)) for values in itertools.product(*columns))

    def samples(self) -> list[dict[str, Any]]:
        """Lists combinations in which each choice and each dimension occurs, to hold against a configuration."""
        found = []
        for varied, dimension in self.space.items():
            for choice in dimension.choices if isinstance(dimension, Categorical) else (dimension.low,):
                wanted = {varied: choice, **(dimension.when or {})}
                values: dict[str, Any] = {}
                for key, other in self.space.items():
                    if _applies(other, values):
                        first = other.choices[0] if isinstance(other, Categorical) else other.low
                        values[key] = _one_of(wanted[key]) if key in wanted else first
                found.append(values)
        return found


def _one_of(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _applies(dimension: Dimension, values: Mapping[str, Any]) -> bool:
    for key, wanted in (dimension.when or {}).items():
        if key not in values or values[key] not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    for name, value in (("low", low), ("high", high)):
        if not -math.inf < value < math.inf:
            raise ValueError(f"{name}={value}: expected a finite number")
    if not low < high:
        raise ValueError(f"low={low}: expected less than high={high}")
    if log and low <= 0:
        raise ValueError(f"low={low}: expected more than 0, where log=true")
    if step is not None and (log or not 0 < step <= high - low):
        raise ValueError(f"step={step}: expected more than 0 and at most high - low, and log=false")


def read_search(path: Path, name: str) -> Search:
    """Reads a search.

    Args:
        path: The YAML file.
        name: What it is called in messages, such as `hparams_search/optimizer`.

    Raises:
        UserError: Where it cannot be read; for unknown keys, wrong types and values out of range.
    """
    read_yaml(path)  # refuses what is small and grows; the other reader takes 1e-4 for a number
    try:
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{name}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(node, dict) or not isinstance(node.get("space"), dict) or not node["space"]:
        raise UserError(f"{name}.space: required: keys of the configuration, each with its range or choices")
    space: dict[str, Dimension] = {}
    for key, given in node["space"].items():
        bare = str(key).lstrip("+")
        if bare in NEVER_SEARCHED:
            raise UserError(f"{name}: space.{key}: no setting of a training; nothing to search")
        if not _KEY.fullmatch(str(key)) or bare in _FOLDERS:
            raise UserError(
                f"{name}: space.{key}: expected a key of the configuration other than {', '.join(_FOLDERS)}"
            )
        is_group = "." not in str(key).partition("@")[0]
        space[str(key)] = _dimension(given, f"{name}: space.{key}", space, is_group)
    arguments = check_arguments(Search, {**{str(key): value for key, value in node.items()}, "space": {}}, name)
    search: Search = call(Search, {**arguments, "space": space}, name)
    return search


def _dimension(given: Any, path: str, earlier: Mapping[str, Dimension], is_group: bool) -> Dimension:
    valid = ", ".join(TYPES)
    if not isinstance(given, dict):
        raise UserError(f"{path}={given}: expected a mapping with a type: {valid}")
    kind = given.get("type")
    if kind not in TYPES:
        raise UserError(f"{path}.type={'null' if kind is None else kind}: expected one of {valid}")
    rest = {str(key): value for key, value in given.items() if key != "type"}
    dimension: Dimension = call(TYPES[kind], check_arguments(TYPES[kind], rest, path), path)
    for choice in dimension.choices if isinstance(dimension, Categorical) and is_group else ():
        if ".." in str(choice).split("/"):
            raise UserError(f"{path}.choices: {choice}: expected names of the package")
    for key, wanted in (dimension.when or {}).items():
        if key not in earlier:
            raise UserError(f"{path}.when.{key}: expected a key above it: {', '.join(earlier) or 'there is none'}")
        other = earlier[key]
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if isinstance(other, Categorical) and value not in other.choices:
                raise UserError(f"{path}.when.{key}={value}: expected one of {', '.join(map(str, other.choices))}")
    return dimension

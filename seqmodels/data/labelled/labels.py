"""What stands in a column of labels: a class, several labels, or a number."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seqmodels.data.arrays.targets import by_number, describe_numbers
from seqmodels.data.formats.tables import LARGEST
from seqmodels.errors import UserError

LabelKind = Literal["classes", "labels", "numbers"]
Label = str | list[str] | float
"""A class, the labels that hold, or a number."""

_MAX_SHOWN = 20


@dataclass(frozen=True)
class Labels:
    """Makes targets of the values of a column.

    Args:
        kind: "classes": one of several; "labels": any number of several; "numbers": a number.
        name: Of the column.
        separator: What stands between several labels, where a file has no lists.

    Raises:
        UserError: Where the separator is empty.

    Example:
        >>> labels = Labels("labels", "genre")
        >>> targets = labels.describe([labels.parse("jazz, blues", "line 2"), labels.parse("", "line 3")])
        >>> targets["labels"], labels.encode(["jazz"], targets, "line 4").tolist()
        (['blues', 'jazz'], [0.0, 1.0])
    """

    kind: LabelKind
    name: str
    separator: str = ","

    def __post_init__(self) -> None:
        if not self.separator:
            raise UserError(
                f"data.label_separator={self.separator!r}: expected what stands between labels, such as ','"
            )

    def parse(self, value: Any, place: str) -> Label:
        """Reads a value.

        Args:
            value: What stands in the column: text, or a value of JSON.
            place: Its file and line, for messages.

        Raises:
            UserError: Where it is no label of this kind.
        """
        if self.kind == "numbers":
            return self._number(value, place)
        if self.kind == "labels":
            parts = value if isinstance(value, list) else [] if value is None else _text(value).split(self.separator)
            return [name for name in (_text(part).strip() for part in parts) if name]
        name = "" if value is None else _text(value).strip()
        if not name or isinstance(value, list | dict):
            raise UserError(f"{place}: column {self.name}: {value!r} is no label; expected a class")
        return name

    def _number(self, value: Any, place: str) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not abs(number) <= LARGEST:  # nor is NaN
            raise UserError(f"{place}: column {self.name}: {value!r} is no number that float32 can hold")
        return number

    def describe(self, training: Sequence[Label], held_out: Sequence[Label] = ()) -> dict[str, Any]:
        """Returns the "targets" of a spec, taken from the labels of the training part.

        Args:
            training: Its labels, of which there is at least one.
            held_out: Those of the parts that were drawn from the same file. A rare label may be among these alone: it
                is known then, and was never learned.

        Raises:
            UserError: Where the training part's are all alike.
        """
        if self.kind == "numbers":
            return describe_numbers([self.name], np.array(training, np.float64)[:, None])
        counts = Counter(name for label in training for name in _names(label))
        if len(counts) < (2 if self.kind == "classes" else 1):
            told = f"has only the label {next(iter(counts))!r}" if counts else "has no label"
            raise UserError(f"data.label_column={self.name}: the training part {told}; there is nothing to learn")
        names = sorted(set(counts) | {name for label in held_out for name in _names(label)}, key=by_number)
        return {"kind": self.kind, self.kind: names, "counts": [counts[name] for name in names]}

    def check(self, targets: Mapping[str, Any]) -> None:
        """Refuses targets of an earlier run that are of another kind."""
        if targets.get("kind") != self.kind:
            raise UserError(
                f"data.label_kind={self.kind}: the run was trained on {targets.get('kind')}; expected the same"
            )

    def encode(self, label: Label, targets: Mapping[str, Any], place: str) -> np.ndarray:
        """Makes a target: a class `()`, int64; labels `(labels,)` or a number `(1,)`, float32.

        Args:
            label: What `parse` returned.
            targets: The "targets" of the spec.
            place: Its file and line, for messages.

        Raises:
            UserError: Where a label is none of those that were trained on.
        """
        if self.kind == "numbers":
            return np.array([label], np.float32)
        known = targets[self.kind]
        names = _names(label)
        for name in names:
            if name not in known:
                shown = ", ".join(known[:_MAX_SHOWN]) + (", ..." if len(known) > _MAX_SHOWN else "")
                raise UserError(f"{place}: label {name!r} is not known; expected one of {shown}")
        if self.kind == "classes":
            return np.array(known.index(names[0]), np.int64)
        return np.isin(known, names).astype(np.float32)

    def absent(self, targets: Mapping[str, Any]) -> np.ndarray:
        """Returns what stands for the target of a text that something is to be predicted for."""
        if self.kind == "classes":
            return np.array(0, np.int64)
        return np.zeros(1 if self.kind == "numbers" else len(targets["labels"]), np.float32)


def _names(label: Label) -> list[str]:
    return label if isinstance(label, list) else [str(label)]


def _text(value: Any) -> str:
    # As JSON has it, and not as Python.
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Classes and numbers of series: what is learned of the training part, and what of it a model is given."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqmodels.data.arrays.files import ArrayFile
from seqmodels.errors import UserError


def describe_targets(file: ArrayFile, numbers: Sequence[int]) -> dict[str, Any]:
    """Returns the "targets" of a spec.

    Args:
        file: What was read; its header's order of the classes is kept, others are sorted, numbers as such.
        numbers: Which of its series are trained on.

    Raises:
        UserError: Where all series are of one class.
    """
    if file.labels is None:
        values = _numbers_of(file)
        several = values.shape[1] > 1
        names = [f"target {place}" for place in range(1, values.shape[1] + 1)] if several else ["target"]
        return describe_numbers(names, values[list(numbers)])
    classes = list(file.classes) or sorted(set(file.labels), key=by_number)
    if len(set(file.labels)) < 2:
        raise UserError(f"{file.path}: all its series are of class {file.labels[0]!r}; expected two classes at least")
    counts = Counter(file.labels[number] for number in numbers)
    return {"kind": "classes", "classes": classes, "counts": [counts[name] for name in classes]}


def describe_numbers(names: Sequence[str], training: np.ndarray) -> dict[str, Any]:
    """Returns the "targets" of a spec whose targets are numbers, with what brings them to mean 0 and variance 1.

    Args:
        names: What they are called.
        training: Those of the training part `(examples, targets)`, in their own units.

    Example:
        >>> describe_numbers(["price"], np.array([[2000.0], [10000.0]]))
        {'kind': 'numbers', 'names': ['price'], 'means': [6000.0], 'deviations': [4000.0]}
    """
    chosen = training.astype(np.float64)
    deviations = np.where(chosen.std(0) > 0, chosen.std(0), 1.0)
    return {
        "kind": "numbers",
        "names": list(names),
        "means": chosen.mean(0).tolist(),
        "deviations": deviations.tolist(),
    }


def by_number(name: str) -> tuple[bool, float, str]:
    """The key that sorts names that are numbers by these, before the others.

    Example:
        >>> sorted(["10", "9", "no"], key=by_number)
        ['9', '10', 'no']
    """
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def targets_of(file: ArrayFile, targets: Mapping[str, Any]) -> list[np.ndarray]:
    """Returns the target of each series of a file: a class `()`, int64, or numbers `(targets,)`, float32.

    Args:
        file: What was read.
        targets: The "targets" of the spec.

    Raises:
        UserError: Where targets are of another kind or number, or a class is none of those trained on.
    """
    kind = "numbers" if file.labels is None else "classes"
    if kind != targets["kind"]:
        raise UserError(f"{file.path}: its targets are {kind}; expected {targets['kind']}, as in training")
    if file.labels is None:
        values = _numbers_of(file)
        if values.shape[1] != len(targets["names"]):
            raise UserError(f"{file.path}: {values.shape[1]} numbers of each series; expected {len(targets['names'])}")
        return list(values)
    places = {name: place for place, name in enumerate(targets["classes"])}
    for item, label in zip(file.items, file.labels, strict=True):
        if label not in places:
            raise UserError(f"{item.place}: class {label!r} is not known; expected one of {', '.join(places)}")
    return [np.array(places[label]) for label in file.labels]


def no_target(targets: Mapping[str, Any]) -> np.ndarray:
    """Returns what stands for the target of a series, or of a step, that something is to be predicted for."""
    if targets["kind"] == "classes":
        return np.array(0)
    return np.zeros(len(targets["labels" if targets["kind"] == "labels" else "names"]), np.float32)


def _numbers_of(file: ArrayFile) -> np.ndarray:
    if file.numbers is None:
        raise UserError(f"{file.path}: its series have no targets")
    return file.numbers

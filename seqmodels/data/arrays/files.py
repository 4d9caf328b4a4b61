"""Series with their classes or numbers, out of the files that arrays come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from seqmodels.data.formats.arrays import is_idx, read_idx, read_npz
from seqmodels.data.formats.ts import TsRow, read_ts, read_ts_rows
from seqmodels.errors import UserError

TargetKind = Literal["auto", "classes", "numbers"]


@dataclass(frozen=True)
class ArrayNames:
    """What the arrays of a `.npz` file are called.

    Args:
        inputs: The series `(series, time)` or `(series, time, channels)`, images `(series, height, width)`, or clips.
        targets: A class or number for each, or several numbers.
        lengths: Steps of each series that are not padding; not needed where a file has no such array.
    """

    inputs: str = "x"
    targets: str = "y"
    lengths: str = "lengths"


class Item(NamedTuple):
    """A series of a file.

    Attributes:
        place: Where it stands, such as "a.ts line 7", for messages.
        line: Its line, or its number from 1 where the file has no lines.
        values: `(time, channels)`, an image `(height, width)` or more; NaN where a value is missing; `None` where it
            could not be read.
        problem: Why it could not be read.
    """

    place: str
    line: int
    values: np.ndarray | None
    problem: str | None = None


@dataclass(frozen=True)
class ArrayFile:
    """What a file holds.

    Args:
        path: The file.
        items: Its series.
        labels: The class of each, where they have one.
        numbers: The numbers of each `(series, targets)`, where they have such.
        classes: The names of the classes where the file tells them, in its order.
        are_images: Whether its series are images.
    """

    path: Path
    items: list[Item]
    labels: list[str] | None = None
    numbers: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    are_images: bool = False


def read_array_file(
    path: Path, names: ArrayNames, target_kind: TargetKind = "auto", labels_path: Path | None = None
) -> ArrayFile:
    """Reads a file of which every series must be good and have its target.

    Args:
        path: A `.ts` file, a `.npz` file, or an IDX file of images.
        names: Of the arrays of a `.npz` file.
        target_kind: Whether targets are classes or numbers; "auto" goes by the file: floating point means numbers.
        labels_path: The IDX file of the images' labels.

    Raises:
        UserError: Where a file cannot be read or does not fit.
    """
    if is_idx(path):
        return _idx_file(path, labels_path or _labels_beside(path))
    if path.suffix.lower() == ".npz":
        return _npz_file(path, names, target_kind)
    if path.suffix.lower() != ".ts":
        raise UserError(f"data.path={path}: expected a .ts file, a .npz file or an IDX file (train-images-idx3-ubyte)")
    file = read_ts(path)
    labels = [row.label or "" for row in file.rows]
    items = _ts_items(path, file.rows)
    if file.has_targets or (target_kind == "numbers" and file.classes):
        return ArrayFile(path, items, numbers=_parsed_numbers(labels, items)[:, None])
    if not file.classes:
        raise UserError(f"{path}: its header has neither @classLabel nor @targetLabel; nothing is there to be learned")
    return ArrayFile(path, items, labels=labels, classes=file.classes)


def read_array_items(path: Path, names: ArrayNames) -> list[Item]:
    """Reads the series alone; one that cannot be read carries its problem.

    Args:
        path: As in `read_array_file`.
        names: Of the arrays of a `.npz` file.

    Raises:
        UserError: Where nothing of the file can be read.
    """
    if is_idx(path):
        return array_items(path, read_idx(path), None)
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path)
        return array_items(path, named_array(path, arrays, names.inputs, "inputs"), arrays.get(names.lengths))
    return _ts_items(path, read_ts_rows(path, labelled=False).rows)


def named_array(path: Path, arrays: dict[str, np.ndarray], name: str, key: str) -> np.ndarray:
    """Returns an array of a `.npz` file.

    Raises:
        UserError: Where there is none of this name, or it is empty; says which there are.
    """
    if name not in arrays:
        raise UserError(f"data.arrays.{key}={name}: {path} has no such array; there are: {', '.join(arrays) or 'none'}")
    if not arrays[name].size:
        raise UserError(f"{path}: array {name!r} is empty; its shape is {arrays[name].shape}")
    return arrays[name]


def _ts_items(path: Path, rows: Sequence[TsRow]) -> list[Item]:
    return [Item(f"{path} line {row.line}", row.line, row.series, row.problem) for row in rows]


def array_items(path: Path, values: np.ndarray, lengths: np.ndarray | None) -> list[Item]:
    """Takes an array of series apart.

    Args:
        path: Its file, for messages.
        values: `(series, time, ...)`.
        lengths: Steps of each series that are not padding `(series,)`; all of them where `None`.

    Raises:
        UserError: Where these are no numbers, or a length is out of range.
    """
    if values.dtype.kind not in "biuf" or values.ndim < 2:
        raise UserError(f"{path}: {values.dtype} of shape {values.shape}; expected numbers, an array of each series")
    if lengths is not None:
        longest = values.shape[1]
        if lengths.shape != values.shape[:1] or lengths.dtype.kind not in "iu":
            raise UserError(f"{path}: lengths of shape {lengths.shape}; expected {len(values)} integers")
        if not ((lengths >= 1) & (lengths <= longest)).all():
            wrong = int(((lengths < 1) | (lengths > longest)).argmax())
            raise UserError(f"{path} item {wrong + 1}: length {lengths[wrong]}; expected 1 to {longest}")
    items = []
    for number, one in enumerate(values, 1):
        one = one if lengths is None else one[: lengths[number - 1]]
        items.append(Item(f"{path} item {number}", number, one))
    return items


def _npz_file(path: Path, names: ArrayNames, target_kind: TargetKind) -> ArrayFile:
    arrays = read_npz(path)
    targets = named_array(path, arrays, names.targets, "targets")
    items = array_items(path, named_array(path, arrays, names.inputs, "inputs"), arrays.get(names.lengths))
    if len(targets) != len(items):
        raise UserError(f"{path}: {len(items)} series in {names.inputs!r} and {len(targets)} targets; expected as many")
    if target_kind == "numbers" or (target_kind == "auto" and targets.dtype.kind == "f"):
        if targets.dtype.kind not in "biuf" or targets.ndim > 2:
            raise UserError(
                f"{path}: targets {targets.dtype} of shape {targets.shape}; expected numbers for each series"
            )
        return ArrayFile(path, items, numbers=_finite(targets.reshape(len(items), -1), items))
    if targets.ndim != 1:
        raise UserError(f"{path}: targets of shape {targets.shape}; expected a class for each series, ({len(items)},)")
    return ArrayFile(path, items, labels=list(map(class_name, targets.tolist())))


def class_name(value: object) -> str:
    """Returns the name of a class that a file gives as a number or as text.

    Example:
        >>> class_name(3.0), class_name("up"), class_name(True)
        ('3', 'up', '1')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return f"{value:.16g}" if isinstance(value, float | int) else str(value)


def _parsed_numbers(labels: Sequence[str], items: Sequence[Item]) -> np.ndarray:
    numbers = np.empty(len(labels))
    for place, (label, item) in enumerate(zip(labels, items, strict=True)):
        try:
            numbers[place] = np.nan if label == "?" else float(label)
        except ValueError:
            raise UserError(f"{item.place}: target {label!r}; expected a number") from None
    return _finite(numbers, items)


def _finite(numbers: np.ndarray, items: Sequence[Item]) -> np.ndarray:
    """Returns numbers as float32, in which all of them have to be finite."""
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    finite = np.isfinite(numbers).reshape(len(items), -1).all(1)
    if not finite.all():
        raise UserError(f"{items[int((~finite).argmax())].place}: its target is no finite number")
    return numbers


def _idx_file(path: Path, labels_path: Path) -> ArrayFile:
    images, labels = read_idx(path), read_idx(labels_path)
    if labels.ndim != 1 or len(labels) != len(images):
        raise UserError(
            f"{labels_path}: {' x '.join(map(str, labels.shape))} labels; expected one for each of the "
            f"{len(images)} images in {path}"
        )
    return ArrayFile(path, array_items(path, images, None), list(map(class_name, labels.tolist())), are_images=True)


def _labels_beside(path: Path) -> Path:
    """Finds the labels of images by the names that MNIST gave them."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    if name == path.name or not path.with_name(name).is_file():
        raise UserError(f"data.labels_path=null: no labels beside {path}; expected {name} there, or a path to them")
    return path.with_name(name)


def file_of_test_part(path: Path) -> Path | None:
    """Returns the file with the test part, by the names that archives give; `None` where there is none.

    NAME_TRAIN.ts and NAME_TEST.ts, train-images-idx3-ubyte and t10k-images-idx3-ubyte.

    Args:
        path: The file with the training part.
    """
    for train, test in (("_TRAIN.", "_TEST."), ("_train.", "_test."), ("train-images", "t10k-images")):
        other = path.with_name(path.name.replace(train, test))
        if other.name != path.name and other.is_file():
            return other
    return None

"""UCR/UEA `.ts` files: series of one or more channels, each with a class or a number."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqmodels.data.formats.lines import lenient_lines, undecodable
from seqmodels.errors import UserError

_FLAGS = ("timestamps", "missing", "univariate", "equallength", "targetlabel")
_NUMBERS = ("dimensions", "dimension", "serieslength")
_MISSING = "?"


class TsRow(NamedTuple):
    """A line of data.

    Attributes:
        line: Its number in the file, from 1.
        series: Values `(time, channels)`, float32, NaN where one is missing; `None` where the line cannot be read.
        label: What stands behind the last colon; `None` where the file has no labels, or the line cannot be read.
        problem: Why the line cannot be read, with file and line; `None` where it can.
    """

    line: int
    series: np.ndarray | None = None
    label: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class TsFile:
    """What a `.ts` file holds.

    Args:
        classes: The names of the classes, in the header's order; empty where labels are numbers, or there are none.
        has_targets: Whether the label of a series is a number.
        num_channels: Channels of every series.
        rows: The lines of data.
    """

    classes: tuple[str, ...]
    has_targets: bool
    num_channels: int
    rows: list[TsRow]

    @property
    def has_labels(self) -> bool:
        """Whether series have a class or a number."""
        return self.has_targets or bool(self.classes)


def read_ts(path: Path) -> TsFile:
    r"""Reads a file of which every line must be good.

    The format is that of the UCR/UEA archive (Bagnall et al. 2018, "The UEA multivariate time series classification
    archive", arXiv:1811.00075): a header of `@` tags, then a series a line, channels between colons, values between
    commas, `?` where one is missing, the label last.

    Args:
        path: The file, UTF-8.

    Raises:
        UserError: Where the file cannot be read, its header is broken, it has time stamps or no data, a value is no
            finite number, channels differ in number or in length, a class is not in the header; with file and line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "motions.ts"
        >>> _ = path.write_text("@dimensions 2\n@classLabel true up down\n@data\n1,2,3:6,?,4:up\n5,7:8,9:down\n")
        >>> file = read_ts(path)
        >>> file.classes, [row.label for row in file.rows], file.rows[1].series.tolist()
        (('up', 'down'), ['up', 'down'], [[5.0, 8.0], [7.0, 9.0]])
    """
    file = read_ts_rows(path)
    for row in file.rows:
        if row.problem:
            raise UserError(row.problem)
    return file


def read_ts_rows(path: Path, labelled: bool = True) -> TsFile:
    """Reads a file; a line of data that cannot be read carries its problem, and the rest goes on.

    Args:
        path: As in `read_ts`.
        labelled: Whether lines have a label where the header says so. Otherwise any label is passed over, and a line
            may be without: where the header does not tell the number of channels, what stands last is one if it has
            several values, as many as the first.

    Raises:
        UserError: Where the file or its header cannot be read, or it has no data.
    """
    lines = ((number, text.strip()) for number, text in lenient_lines(path))
    header = _Header(path)
    header.read(lines)
    rows: list[TsRow] = []
    for number, text in lines:
        if text and not text.startswith("#"):
            row = _row(header, number, text, labelled)
            if row.series is not None:
                # Where the header does not tell the channels, the first series does.
                header.num_channels = header.num_channels or row.series.shape[1]
            rows.append(row)
    if not rows:
        raise UserError(f"{path}: no series after @data")
    return TsFile(header.classes, header.has_targets, header.num_channels or 0, rows)


class _Header:
    """The tags before `@data`."""

    def __init__(self, path: Path):
        self.path = path
        self.classes: tuple[str, ...] = ()
        self.has_targets = False
        self.num_channels: int | None = None

    def read(self, lines: Iterator[tuple[int, str]]) -> None:
        number = 0
        for number, text in lines:
            if not text or text.startswith("#"):
                continue
            if not text.startswith("@"):
                raise UserError(f"{self.path} line {number}: {_shown(text)}: expected @ tags before @data")
            tag, *values = text[1:].split()
            if tag.lower() == "data":
                return
            self._take(f"{self.path} line {number}: @{tag}", tag.lower(), values)
        raise UserError(f"{self.path} line {number}: the file ends without @data; expected a UCR/UEA .ts file")

    def _take(self, place: str, tag: str, values: list[str]) -> None:
        if tag in _FLAGS:
            flag = _flag(place, values)
            if tag == "timestamps" and flag:
                raise UserError(f"{place} true: time stamps are not read; expected a file of evenly spaced values")
            if tag == "univariate" and flag:
                self.num_channels = 1
            if tag == "targetlabel":
                self.has_targets = flag
        elif tag in _NUMBERS:
            number = _whole_number(place, values)
            if tag != "serieslength":
                self.num_channels = number
        elif tag == "classlabel":
            self._take_classes(place, values)
        # Other tags, such as @problemName, tell nothing of the series.

    def _take_classes(self, place: str, values: list[str]) -> None:
        if not _flag(place, values[:1]):
            return
        if len(values) == 1:
            raise UserError(f"{place} true: expected the names of the classes behind it")
        if problem := undecodable("".join(values)):
            raise UserError(f"{place}: {problem}")
        self.classes = tuple(dict.fromkeys(values[1:]))


def _flag(place: str, values: list[str]) -> bool:
    value = values[0].lower() if values else ""
    if value not in ("true", "false"):
        raise UserError(f"{place} {' '.join(values)}: expected true or false")
    return value == "true"


def _whole_number(place: str, values: list[str]) -> int:
    if len(values) != 1 or not values[0].isdecimal() or not 0 < float(values[0]) < 2**63:
        raise UserError(f"{place} {' '.join(values)}: expected an integer of at least 1")
    return int(values[0])


def _row(header: _Header, number: int, text: str, labelled: bool) -> TsRow:
    place = f"{header.path} line {number}"
    try:
        *parts, label = (part.strip() for part in text.split(":"))
        if not header.classes and not header.has_targets:
            parts, label = [*parts, label], ""
        elif not labelled:
            parts, label = (parts if _ends_in_label(header, parts, label) else [*parts, label]), ""
        elif header.classes and label not in header.classes:
            # A line without its label ends in values, which may be many.
            raise UserError(f"{place}: class {_shown(label)}; expected one of {', '.join(header.classes)}")
        elif header.has_targets:
            _values(place, "the target", label)
        return TsRow(number, _series(place, parts, header.num_channels), label or None)
    except UserError as error:
        return TsRow(number, problem=str(error))


def _ends_in_label(header: _Header, channels: list[str], last: str) -> bool:
    """Whether what stands last in a line is a label, of a line that may be without."""
    if not channels:
        return False
    if header.num_channels:
        return len(channels) >= header.num_channels
    return last.count(",") == 0 or last.count(",") != channels[0].count(",")


def _series(place: str, parts: list[str], num_channels: int | None) -> np.ndarray:
    if len(parts) != (num_channels or len(parts)) or not parts:
        raise UserError(f"{place}: {len(parts)} channels; expected {num_channels or 'at least 1'}")
    channels = [_values(place, f"channel {number}", part) for number, part in enumerate(parts, 1)]
    for number, channel in enumerate(channels, 1):
        if len(channel) != len(channels[0]):
            raise UserError(
                f"{place}: channel {number} has {len(channel)} values and channel 1 has {len(channels[0])}; "
                "expected channels of the same length"
            )
    return np.stack(channels, axis=1)


def _values(place: str, name: str, text: str) -> np.ndarray:
    """Reads numbers between commas, `?` as NaN."""
    if not text:
        raise UserError(f"{place}: {name} is empty; expected numbers")
    fields = text.split(",")
    try:
        values = np.array([np.nan if field.strip() == _MISSING else field for field in fields], np.float64)
    except ValueError:
        wrong = next(position for position, field in enumerate(fields) if not _is_number(field))
    else:
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if not np.isinf(narrow).any():
            return narrow
        wrong = int(np.isinf(narrow).argmax())
    raise UserError(f"{place}: {name}, value {wrong + 1}: {_shown(fields[wrong])}; expected a finite number or ?")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip() == _MISSING
    return True


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")

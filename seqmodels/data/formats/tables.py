"""Rows with named columns: CSV, TSV and JSON Lines."""

import csv
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqmodels.data.formats.lines import lenient_lines, numbered_lines, undecodable
from seqmodels.errors import UserError

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")
LARGEST = float(np.finfo(np.float32).max)
"""The largest number that a model can be given."""

_TABS = (".tsv", ".tab")
_DELIMITERS = ",;\t|"
_MAX_SHOWN = 20

csv.field_size_limit(2**31 - 1)  # a document may be longer than the 131,072 characters that are the module's default


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        line: The line it starts in, from 1.
        values: By column: text, or what JSON has.
        problem: Why it could not be read, with file and line; `None` where it could.
    """

    line: int
    values: dict[str, Any]
    problem: str | None = None


def is_table(path: Path) -> bool:
    """Tells by its suffix whether a file is one that `read_table` reads."""
    return path.suffix.lower() in TABLE_SUFFIXES


def read_table(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    r"""Yields each row and the line it starts in; the first one that cannot be read ends it.

    Args:
        path: A `.csv` file (its delimiter, one of `,` `;` `|` and tab, is taken from its first line), a `.tsv` or
            `.tab` file, both with the columns' names in the first row, quoted as in RFC 4180; or a `.jsonl` or
            `.ndjson` file with an object in each line.
        columns: Columns that must be there, by the key that names them: `{"data.text_column": "text"}`.

    Raises:
        UserError: Where the file cannot be read or decoded, lacks a column, or a row is broken; with file and line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "reviews.csv"
        >>> _ = path.write_text('text;label\n"fine; no, great";good\n')
        >>> list(read_table(path, {"data.text_column": "text"}))
        [(2, {'text': 'fine; no, great', 'label': 'good'})]
    """
    for row in _rows(path, columns, numbered_lines(path)):
        if row.problem:
            raise UserError(row.problem)
        yield row.line, row.values


def read_table_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    """Yields each row, those too that cannot be read, with what is wrong with them.

    Args:
        path: As in `read_table`.
        columns: As in `read_table`.

    Raises:
        UserError: Where nothing of the file can be read, or it lacks a column.
    """
    return _rows(path, columns, lenient_lines(path))


def _rows(path: Path, columns: Mapping[str, str], lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise UserError(f"data.path={path}: expected a table, with one of the suffixes {', '.join(TABLE_SUFFIXES)}")
    first = next(lines, None)
    if first is None:
        raise UserError(f"{path}: the file is empty")
    rows = _delimited_rows if suffix in (".csv", *_TABS) else _json_rows
    for row in rows(path, columns, chain([first], lines)):
        problem = row.problem or _undecodable_value(path, row)
        yield row._replace(problem=problem)


def _undecodable_value(path: Path, row: Row) -> str | None:
    for column, value in row.values.items():
        problem = undecodable(value) if isinstance(value, str) else None
        if problem:
            return f"{path} line {row.line}: column {column}: {problem}"
    return None


def _delimited_rows(path: Path, columns: Mapping[str, str], lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    first = next(lines)
    delimiter = "\t" if path.suffix.lower() in _TABS else _sniff(first[1] + "\n", columns.values())
    records = _records(chain([first], lines), delimiter)
    header = _header(path, next(records)[1], columns)
    for line, fields in records:
        place = f"{path} line {line}"
        if isinstance(fields, csv.Error):
            yield Row(line, {}, f"{place}: {fields}; fields with quotes or line ends stand in quotes")
        elif fields and len(fields) != len(header):
            count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
            yield Row(line, {}, f"{place}: {count}; expected {len(header)}: {_listed(header)}")
        elif fields:  # an empty line is no row
            yield Row(line, dict(zip(header, fields, strict=True)))


def _records(lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yields the fields of each row with the line it starts in; or why it has none, and goes on in the next line."""
    waiting: deque[tuple[int, str]] = deque()
    taken: list[tuple[int, str]] = []

    def source() -> Iterator[str]:
        while (entry := waiting.popleft() if waiting else next(lines, None)) is not None:
            taken.append(entry)
            yield entry[1] + "\n"

    reader = csv.reader(source(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield taken[0][0], error
            # A quote that never closes has taken the lines after it, to the end of the file or to the next quote.
            waiting.extendleft(reversed(taken[1:]))
            reader = csv.reader(source(), delimiter=delimiter, strict=True)
        else:
            yield taken[0][0], fields


def _sniff(line: str, columns: Iterable[str]) -> str:
    """Returns the delimiter that gives the columns looked for, or else the most columns."""
    wanted = set(columns)

    def found(delimiter: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([line], delimiter=delimiter))
        except csv.Error:
            return 0, 0
        return len(wanted & set(names)), len(names)

    return max(_DELIMITERS, key=found)


def _header(path: Path, first: list[str] | csv.Error, columns: Mapping[str, str]) -> list[str]:
    if isinstance(first, csv.Error):
        raise UserError(f"{path} line 1: {first}; expected the names of the columns") from first
    names = [name.strip() for name in first]
    if not any(names):
        raise UserError(f"{path} line 1: nothing stands there; expected the names of the columns")
    if problem := undecodable("".join(names)):
        raise UserError(f"{path} line 1: {problem}")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(f"{path} line 1: two columns are named {name!r}; expected different names")
    for key, column in columns.items():
        if column not in names:
            raise UserError(f"{key}={column}: {path} has no such column; there are: {_listed(names)}")
    return names


def _json_rows(path: Path, columns: Mapping[str, str], lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if line.strip():
            yield _json_row(path, columns, number, line)


def _json_row(path: Path, columns: Mapping[str, str], number: int, line: str) -> Row:
    place = f"{path} line {number}"
    try:
        values = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return Row(number, {}, f"{place}: not JSON, at character {error.colno}: {error.msg}")
    except (RecursionError, ValueError) as error:  # too deep, a key twice, a number of too many digits
        return Row(number, {}, f"{place}: not JSON that can be read: {error}")
    if not isinstance(values, dict):
        return Row(number, {}, f'{place}: expected an object such as {{"text": "..."}}, got {type(values).__name__}')
    for key, column in columns.items():
        if column not in values:
            return Row(number, {}, f"{key}={column}: {place} has no such column; there are: {_listed(list(values))}")
    return Row(number, values)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes a mapping of keys and values.

    Raises:
        ValueError: For a key that stands there twice.

    Example:
        >>> unique([("a", 1), ("a", 2)])
        Traceback (most recent call last):
        ...
        ValueError: the key 'a' stands there twice
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {key!r} stands there twice")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=unique)


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_MAX_SHOWN]))
    return f"{shown}, ..." if len(names) > _MAX_SHOWN else shown

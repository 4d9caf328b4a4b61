"""Reading series from a table with a column of times: CSV and its kin, or Parquet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from seqmodels.data.files import find_files
from seqmodels.data.forecasting.columns import SeriesColumns
from seqmodels.data.forecasting.grids import Grid, RowGrid, place_on_grid
from seqmodels.data.formats.tables import LARGEST, TABLE_SUFFIXES, read_table, read_table_rows
from seqmodels.errors import UserError

Missing = Literal["error", "interpolate", "mask"]

_PARQUET = (".parquet", ".pq")
_NOTHING = ("", "nan", "na", "n/a", "null", "none", "?")


@dataclass(frozen=True)
class Series:
    """One series; numbers that are missing are NaN.

    Attributes:
        name: What the id column calls it; "" where there is none.
        start: The step of its first row on the grid of the file.
        targets: `(rows, targets)`, float64.
        covariates: `(rows, covariates)`, float64.
        known: `(rows + future rows, known covariates)`, float64.
        line: The line of the file where it starts; in Parquet, the row.
    """

    name: str
    start: int
    targets: np.ndarray
    covariates: np.ndarray
    known: np.ndarray
    line: int = 1

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class SeriesTable:
    """What is read from a file.

    Attributes:
        path: The file.
        columns: Its columns, none left open.
        grid: The times that all its series stand on.
        series: The series, in the order in which they appear.
        problems: What could not be read, with its line, where the rest was to be read all the same.
    """

    path: Path
    columns: SeriesColumns
    grid: Grid
    series: list[Series]
    problems: list[tuple[int, str]] = field(default_factory=list)

    def place(self, series: Series) -> str:
        """Names a series in messages."""
        return f"{self.path} line {series.line}" + (f" (series {series.name!r})" if series.name else "")


def read_series(
    path: str,
    columns: SeriesColumns,
    missing: Missing = "error",
    frequency: str | float | None = None,
    lenient: bool = False,
) -> SeriesTable:
    """Reads series from a table. Within a series rows may come in any order where a column tells their times.

    Rows at a series' end that have known covariates and no targets are its future.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file.
        columns: Which columns are what.
        missing: "error" refuses an empty cell and a gap between times; otherwise both become NaN.
        frequency: The space between two times, see `place_on_grid`.
        lenient: Whether to leave out rows and series that cannot be read and to list them among the problems, as of a
            file to predict from.

    Raises:
        UserError: The file cannot be read, a cell is no number, a time is no time or comes twice; with file and line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "births.csv"
        >>> _ = path.write_text("day,girls,boys\\n2026-01-01,3,4\\n2026-01-02,5,1\\n2026-01-03,2,2\\n")
        >>> table = read_series(str(path), SeriesColumns(time="day"))
        >>> table.columns.targets, table.series[0].targets.tolist(), table.grid.label(3)
        (['girls', 'boys'], [[3.0, 4.0], [5.0, 1.0], [2.0, 2.0]], '2026-01-04')
    """
    if missing not in get_args(Missing):
        raise UserError(f"data.missing={missing}: expected one of {', '.join(get_args(Missing))}")
    key = "input" if lenient else "data.path"
    file = _file(path, key)
    is_parquet = file.suffix.lower() in _PARQUET
    problems: list[tuple[int, str]] = []
    lines, rows = _read_parquet(file) if is_parquet else _read_lines(file, columns, problems if lenient else None)
    if not rows:
        raise UserError(f"{key}={file}: it has no rows")
    places = [f"{file} {'row' if is_parquet else 'line'} {line}" for line in lines]
    columns = columns.found_in(list(rows[0]), file, _columns_of_dates(rows) if is_parquet else ())
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault("" if columns.series is None else str(row[columns.series]).strip(), []).append(number)
    grid, steps = _steps(columns, rows, groups, places, frequency)
    reader = _Reader(columns, rows, steps, lines, places, grid, missing)
    series = []
    for name, numbers in groups.items():
        try:
            series.append(reader.read(name, numbers))
        except UserError as error:
            if not lenient:
                raise
            problems.append((lines[numbers[0]], str(error)))
    return SeriesTable(file, columns, grid, series, problems)


def _file(path: str, key: str) -> Path:
    file = Path(path).expanduser()
    if file.is_dir():
        raise UserError(f"{key}={path}: expected one file, it is a folder")
    if file.suffix.lower() not in (*TABLE_SUFFIXES, *_PARQUET):
        raise UserError(f"{key}={path}: expected a table: {', '.join((*TABLE_SUFFIXES, *_PARQUET))}")
    return find_files(path, key=key)[0]


def _read_lines(
    file: Path, columns: SeriesColumns, problems: list[tuple[int, str]] | None
) -> tuple[list[int], list[dict[str, Any]]]:
    """Returns the lines that rows stand in, and their cells by column; adds to the problems, if asked for."""
    wanted = {key: name for key, names in columns.by_key().items() for name in names[:1]}
    if problems is None:
        table = list(read_table(file, wanted))
        return [line for line, _ in table], [row for _, row in table]
    read = list(read_table_rows(file, wanted))
    problems.extend((row.line, row.problem) for row in read if row.problem)
    return [row.line for row in read if not row.problem], [row.values for row in read if not row.problem]


def _read_parquet(file: Path) -> tuple[list[int], list[dict[str, Any]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"data.path={file}: Parquet needs pyarrow: pip install 'seqmodels[parquet]'") from error
    try:
        rows = parquet.read_table(file).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    return list(range(1, len(rows) + 1)), rows


def _columns_of_dates(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the columns whose first cell that is not empty is a date; an index of times is stored as the last one."""
    found = []
    for name in rows[0]:
        first = next((row[name] for row in rows if row[name] is not None), None)
        if isinstance(first, date):
            found.append(name)
    return found


def _steps(
    columns: SeriesColumns,
    rows: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Sequence[int]],
    places: Sequence[str],
    frequency: str | float | None,
) -> tuple[Grid, np.ndarray]:
    """Returns the grid and the step of each row."""
    if not columns.time:
        steps = np.empty(len(rows), np.int64)
        for numbers in groups.values():
            steps[numbers] = np.arange(len(numbers))
        return RowGrid(), steps
    key = f"data.time_column={columns.time}"
    times = [row[columns.time] for row in rows]
    for time, place in zip(times, places, strict=True):
        if time is None or str(time).strip().lower() in _NOTHING:
            raise UserError(f"{place}: {key}: empty; expected a time in every row")
    return place_on_grid(times, list(groups.values()), places, key, frequency)


@dataclass(frozen=True)
class _Reader:
    """Makes series of the rows of one file."""

    columns: SeriesColumns
    rows: Sequence[Mapping[str, Any]]
    steps: np.ndarray
    lines: Sequence[int]
    places: Sequence[str]
    grid: Grid
    missing: Missing

    def read(self, name: str, numbers: Sequence[int]) -> Series:
        """Makes the series of the rows of these numbers."""
        order = sorted(numbers, key=lambda number: self.steps[number])
        self._check_times(name, order)
        targets, covariates, known = (
            self._values(columns, order)
            for columns in (self.columns.targets or [], self.columns.covariates, self.columns.known)
        )
        end = len(targets)
        while self.columns.known and end and np.isnan(targets[end - 1]).all():
            end -= 1
        if self.missing == "error":
            self._check_filled(order, targets[:end], self.columns.targets or [])
            self._check_filled(order, covariates[:end], self.columns.covariates)
            self._check_filled(order, known, self.columns.known)
        first = order[0]
        return Series(
            name,
            int(self.steps[first]),
            targets[:end],
            covariates[:end],
            known,
            min(map(self.lines.__getitem__, order)),
        )

    def _check_times(self, name: str, order: Sequence[int]) -> None:
        """Refuses a time that comes twice, and a gap where none is allowed."""
        series = f" of series {name!r}" if name else ""
        for before, number in pairwise(order):
            distance = self.steps[number] - self.steps[before]
            time = self.rows[number][self.columns.time] if self.columns.time else ""
            if distance == 0:
                several = "" if name else "; data.id_column= names the column that tells several series apart"
                raise UserError(
                    f"{self.places[number]}: time {time}{series} was in {self.places[before]} already{several}"
                )
            if distance > 1 and self.missing == "error":
                expected = self.grid.label(int(self.steps[before]) + 1)
                raise UserError(
                    f"{self.places[number]}: time {time}{series}: a gap, expected {expected} after "
                    f"{self.places[before]}; data.missing=interpolate or mask allows gaps"
                )

    def _values(self, columns: Sequence[str], order: Sequence[int]) -> np.ndarray:
        """Returns the numbers of some columns `(rows with gaps filled, columns)`; NaN where there is none."""
        first = self.steps[order[0]]
        values = np.full((int(self.steps[order[-1]] - first) + 1, len(columns)), np.nan)
        for number in order:
            row, place = self.rows[number], self.places[number]
            values[self.steps[number] - first] = [_number(row[column], column, place) for column in columns]
        return values

    def _check_filled(self, order: Sequence[int], values: np.ndarray, columns: Sequence[str]) -> None:
        for row, column in np.argwhere(np.isnan(values)):
            raise UserError(
                f"{self.places[order[row]]}: column {columns[column]!r} is empty; "
                "data.missing=interpolate or mask allows that"
            )


def _number(cell: Any, column: str, place: str) -> float:
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in _NOTHING):
        return math.nan
    try:
        number = float(cell)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: column {column!r}: {cell!r} is no number") from error
    if abs(number) > LARGEST:
        raise UserError(f"{place}: column {column!r}: {cell!r} is not finite in float32; expected a number, or nothing")
    return number

"""`metrics.csv`: every reported number, one row a report, readable while training runs."""

import csv
import os
import re
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from seqmodels.errors import UserError

_STEP = re.compile("[0-9]{1,18}")


class CsvMetrics(Logger):
    """Appends metrics to one CSV file; a new metric adds a column.

    Args:
        path: The file. An existing one is continued.
        resumed_step: Rows after this step are dropped: a resumed run writes them again.

    Raises:
        UserError: Where an existing one cannot be read.
    """

    def __init__(self, path: Path, resumed_step: int | None = None):
        super().__init__()
        self.path = path
        self.columns = ["step"]
        if path.exists():
            rows = self._read()
            self.columns = list(rows[0]) if rows else self.columns
            self._write([row for row in rows if resumed_step is None or int(row["step"]) <= resumed_step])

    @property
    def name(self) -> str:
        """The logger's name."""
        return "csv"

    @property
    def version(self) -> str:
        """One file, one version."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any) -> None:
        """Does nothing: `config.yaml` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Appends one row."""
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        if not values:
            return
        row = {"step": step or 0, **values}
        new = [name for name in row if name not in self.columns]
        if new:
            rows = self._read()
            self.columns += new
            self._write([*rows, row])
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def _read(self) -> list[dict[str, Any]]:
        """Returns the rows that are whole: a kill may have cut the last one short."""
        if not self.path.exists():
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                return [row for row in csv.DictReader(file) if _is_whole(row)]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{self.path}: is no CSV in UTF-8; put it elsewhere, and a new one is begun") from error

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """Writes the whole file beside the old one, then renames it."""
        beside = self.path.with_name(f".{self.path.name}")
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(beside, self.path)


def _is_whole(row: dict[Any, Any]) -> bool:
    """Tells whether a row has a step and a field for each column."""
    return None not in row and None not in row.values() and bool(_STEP.fullmatch(row.get("step", "")))

"""Which columns of a table are what."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqmodels.errors import UserError


@dataclass(frozen=True)
class SeriesColumns:
    """Which columns of a table are what.

    Args:
        time: The time of each row; `None` is the first column that is not named otherwise, `False` takes each row as
            a step.
        targets: What is forecast; `None` is all columns that are nothing else.
        covariates: What is known up to the present, such as the weather.
        known: What is known of the future too, such as holidays.
        series: Which series a row belongs to; `None` where there is one alone.

    Raises:
        UserError: A column has two uses, or none is a target.
    """

    time: str | Literal[False] | None = None
    targets: list[str] | None = None
    covariates: Sequence[str] = ()
    known: Sequence[str] = ()
    series: str | None = None

    def __post_init__(self) -> None:
        if self.targets is not None and not self.targets:
            raise UserError("data.target_columns=[]: expected at least one column, or null for all that are left")
        uses: dict[str, str] = {}
        for key, names in self.by_key().items():
            for name in names:
                if name in uses:
                    raise UserError(f"{key}={name}: it is {uses[name]} already; expected one use of each column")
                uses[name] = key

    def by_key(self) -> dict[str, list[str]]:
        """Returns the columns that are named, by the key that names them."""
        return {
            "data.time_column": [self.time] if self.time else [],
            "data.target_columns": list(self.targets or []),
            "data.covariate_columns": list(self.covariates),
            "data.known_columns": list(self.known),
            "data.id_column": [] if self.series is None else [self.series],
        }

    def over(self, earlier: "SeriesColumns") -> "SeriesColumns":
        """Returns the columns of an earlier table with those in their place that are named here.

        Raises:
            UserError: Others in number than the earlier ones.

        Example:
            >>> SeriesColumns(time="date").over(SeriesColumns("day", ["sold"], series="shop"))
            SeriesColumns(time='date', targets=['sold'], covariates=(), known=(), series='shop')
        """
        before = earlier.by_key()
        for key, names in self.by_key().items():
            if key.endswith("_columns") and names and len(names) != len(before[key]):
                listed = ", ".join(before[key]) or "none"
                raise UserError(
                    f"{key}={', '.join(names)}: the run has {len(before[key])} ({listed}); expected as many"
                )
        return SeriesColumns(
            earlier.time if self.time is None else self.time,
            self.targets or earlier.targets,
            self.covariates or earlier.covariates,
            self.known or earlier.known,
            self.series or earlier.series,
        )

    def found_in(self, names: Sequence[str], path: Path, dates: Sequence[str] = ()) -> "SeriesColumns":
        """Returns the same with nothing left open, for a table of the columns `names`.

        Args:
            names: All columns.
            path: The table.
            dates: Those that are known to hold dates: where no column is named as the time, the first of them is.

        Raises:
            UserError: The table lacks a column; with those it has.

        Example:
            >>> columns = SeriesColumns(known=["holiday"]).found_in(["day", "sold", "holiday"], Path("shop.csv"))
            >>> columns.time, columns.targets
            ('day', ['sold'])
        """
        named = self.by_key()
        for key, columns in named.items():
            for column in columns:
                if column not in names:
                    raise UserError(f"{key}={column}: {path} has no such column; there are: {', '.join(names)}")
        free = [name for name in names if not any(name in columns for columns in named.values())]
        time = self.time or False
        if self.time is None and free:
            time = next((name for name in free if name in dates), free[0])
        targets = self.targets or [name for name in free if name != time]
        if not targets:
            raise UserError(
                f"data.target_columns=null: {path} has no column left to forecast; there are: {', '.join(names)}; "
                "data.time_column=false is for a table without times"
            )
        return SeriesColumns(time, targets, self.covariates, self.known, self.series)

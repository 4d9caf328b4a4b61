"""Data modules of series to forecast."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqmodels.data.corpus import CorpusConfig
from seqmodels.data.examples import load_examples
from seqmodels.data.forecasting.columns import SeriesColumns
from seqmodels.data.forecasting.grids import NumberGrid
from seqmodels.data.forecasting.preparation import Fitted, Preparation, plain_columns, split_series
from seqmodels.data.forecasting.scaling import Method, Scaling, Transform
from seqmodels.data.forecasting.tables import Missing, Series, SeriesTable, read_series
from seqmodels.data.forecasting.windows import WindowShape
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

_SUNSPOT_CYCLE = 11


class SeriesFile(DataModule):
    """The user's series: windows of a context and the horizon after it, split in time.

    Training windows lie within the training part, at every row. Those of validation and test have their horizon in
    their part, at every `stride` rows (rolling origins), and their context in what came before. Scaling is fitted on
    the training part of each series alone.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file.
        time_column: The time of each row; the first column that has no other use where left out, false for a table
            whose rows are steps.
        target_columns: What is forecast; all columns without another use where left out.
        covariate_columns: What is known up to the present.
        known_columns: What is known of the future too.
        id_column: Which series a row belongs to, where there are several.
        frequency: The space between two times, an alias of pandas or a number; found in the file where left out.
        season: Steps of a season, which the seasonal-naive forecast and the scaled error go by; by custom where left
            out (months: 12, days: 7, ...).
        context: Steps that are read before each forecast.
        horizon: Steps that are forecast.
        stride: Rows from one forecast to the next in validation and test.
        missing: "error" refuses empty cells and gaps in time, "interpolate" reads a line between the values around,
            "mask" reads a zero and a mark. Neither scores what is missing.
        scaling: "standard", "robust" or "none".
        transform: A function of the targets before scaling, "log1p" or "sqrt".
        relative: Whether targets are told relative to the last value before each forecast, for series with a trend.
        val_fraction: Share of the time, before the test part, that is for validation.
        test_fraction: Share of the time, at the end, that is for the final test.
        batch_size: Windows in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: k1 is null, as a window is one update; k2 limits how far the gradient goes back.
        seed: Of the order of batches.
        spec: From an earlier run, whose scaling and season are used instead of fitted ones.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the file does not fit.
    """

    def __init__(
        self,
        path: str | None = None,
        time_column: str | Literal[False] | None = None,
        target_columns: list[str] | None = None,
        covariate_columns: list[str] | None = None,
        known_columns: list[str] | None = None,
        id_column: str | None = None,
        frequency: str | float | None = None,
        season: int | None = None,
        context: int = 48,
        horizon: int = 12,
        stride: int = 1,
        missing: Missing = "error",
        scaling: Method = "standard",
        transform: Transform | None = None,
        relative: bool = False,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        for name, value in (("context", context), ("horizon", horizon), ("stride", stride), ("season", season)):
            if value is not None and value < 1:
                raise UserError(f"data.{name}={value}: expected an integer of at least 1")
        _check_windows(tbptt, horizon)
        self.path = path
        self.columns = SeriesColumns(
            time_column, target_columns, tuple(covariate_columns or ()), tuple(known_columns or ()), id_column
        )
        self.frequency, self.season = frequency, season
        self.context, self.horizon, self.stride = context, horizon, stride
        self.missing, self.relative = missing, relative
        self.scaling = Scaling(scaling, transform)
        self.fractions = CorpusConfig("stream", val_fraction, test_fraction, seed)
        self.batch_size, self.tbptt = batch_size, tbptt
        self.earlier = spec
        if spec is not None:
            self._check_earlier(spec)

    def load(self) -> Loaded:
        """Reads the file."""
        table = self.read()
        preparation = self._preparation(table)
        splits = split_series(table.series, table.grid, self.fractions)
        scales: dict[str, Fitted] = {}
        series = []
        for one, split in zip(table.series, splits, strict=True):
            place = table.place(one)
            scales[one.name] = self._earlier_scales.get(one.name) or preparation.fit_training(
                one, split.train_end, place
            )
            series.append(preparation.prepare(one, scales[one.name], place))
        parts = {
            part: preparation.windows(series, splits, part, 1 if part == "train" else self.stride)
            for part in ("train", "val", "test")
        }
        preparation.check_parts(parts, table, splits, self.fractions.splits)
        spec = self._spec(table, preparation.shape.season, scales)
        return load_examples(spec, parts, self.batch_size, self.tbptt, self.fractions.seed)

    def read(self) -> SeriesTable:
        """Reads the file, or what is embedded where none is given."""
        return self.embedded() if self.path is None else self._read(self.path)

    def embedded(self) -> SeriesTable:
        """Refuses to go on without a file.

        Raises:
            UserError: Always; a subclass has something to give.
        """
        raise UserError("data.path=null: expected a table of series, such as a .csv file with a column of times")

    def read_requests(self, path: str) -> list[Request]:
        """Reads histories, each to be continued from its end: a request for each series, an item for each time.

        A series that the run was trained on is scaled as it was then, any other by its own history. Known covariates
        need rows of the future, with empty targets.
        """
        table = self._read(path, lenient=True)
        preparation = self._preparation(table)
        requests = [Request(line, None, problem) for line, problem in table.problems]
        for one in table.series:
            try:
                requests.append(self._request(one, table, preparation))
            except UserError as error:
                requests.append(Request(one.line, None, str(error)))
        return sorted(requests, key=lambda request: request.line)

    def _request(self, series: Series, table: SeriesTable, preparation: Preparation) -> Request:
        place = table.place(series)
        _check_history(series, place, preparation.shape, table.columns.known)
        end = len(series)
        fitted = self._earlier_scales.get(series.name) or preparation.fit(series, end, place)
        example = preparation.shape.cut(preparation.prepare(series, fitted, place), end)
        named = {"series": series.name} if series.name else {}
        ahead = range(series.start + end, series.start + end + self.horizon)
        return Request(series.line, example, items=[{**named, "time": table.grid.label(step)} for step in ahead])

    def _read(self, path: str, lenient: bool = False) -> SeriesTable:
        if self.earlier is None:
            return read_series(path, self.columns, self.missing, self.frequency, lenient)
        earlier = self.earlier["series"]
        columns = self.columns.over(SeriesColumns(**earlier["columns"]))
        frequency = earlier["frequency"] if self.frequency is None else self.frequency
        return read_series(path, columns, self.missing, frequency, lenient)

    def _preparation(self, table: SeriesTable) -> Preparation:
        if self.earlier is not None:
            season = int(self.earlier["series"]["season"])
        else:
            season = self.season or table.grid.season()
        gaps: Literal["interpolate", "mask"] = "mask" if self.missing == "mask" else "interpolate"
        return Preparation(WindowShape(self.context, self.horizon, season, gaps, self.relative), self.scaling)

    @cached_property
    def _earlier_scales(self) -> dict[str, Fitted]:
        return {} if self.earlier is None else self.earlier["series"]["scales"]

    def _settings(self) -> dict[str, Any]:
        """Returns what a run and the data that it is used on have to share."""
        return {
            "context": self.context,
            "horizon": self.horizon,
            "missing": self.missing,
            "relative": self.relative,
            "scaling": self.scaling.method,
            "transform": self.scaling.transform,
        }

    def _check_earlier(self, spec: dict[str, Any]) -> None:
        earlier = spec.get("series")
        if not isinstance(earlier, dict):
            raise UserError("data: these are series, and the run was trained on something else")
        for name, value in self._settings().items():
            if earlier[name] != value:
                raise UserError(f"data.{name}={value}: belongs to the run, which was trained with {earlier[name]}")
        if self.season not in (None, earlier["season"]):
            raise UserError(f"data.season={self.season}: belongs to the run, which has {earlier['season']}")

    def _spec(self, table: SeriesTable, season: int, scales: dict[str, Fitted]) -> dict[str, Any]:
        columns = table.columns
        targets = columns.targets or []
        num_marks = len(targets) if self.missing == "mask" else 0
        num_features = len(targets) + num_marks + len(columns.covariates) + len(columns.known)
        return {
            "kind": "sequences",
            "shape": "many_to_many",
            "inputs": {"kind": "vectors", "num_features": num_features},
            "targets": {"kind": "numbers", "names": targets},
            "horizon": self.horizon,
            "num_targets": len(targets),
            "num_marks": num_marks,
            "num_known": len(columns.known),
            "series": {
                **self._settings(),
                "season": season,
                "frequency": table.grid.frequency,
                "columns": plain_columns(table),
                "scales": scales,
            },
        }


class Sunspots(SeriesFile):
    """Sunspot numbers: the yearly ones of 1700 to 2008 that statsmodels brings, or those of a file given by `path`.

    Args and Raises are those of `SeriesFile`.
    """

    def embedded(self) -> SeriesTable:
        """Returns the yearly numbers."""
        from statsmodels.datasets import sunspots

        data = sunspots.load_pandas().data
        years, numbers = data["YEAR"].to_numpy(), data["SUNACTIVITY"].to_numpy(np.float64)
        nothing = np.zeros((len(numbers), 0))
        return SeriesTable(
            Path("statsmodels.datasets.sunspots"),
            SeriesColumns("YEAR", ["SUNACTIVITY"]),
            NumberGrid(float(years[0]), 1.0, custom=_SUNSPOT_CYCLE),
            [Series("", 0, numbers[:, None], nothing, nothing)],
        )


def _check_history(series: Series, place: str, shape: WindowShape, known: Sequence[str]) -> None:
    """Refuses a history that lacks a context, or known covariates of the future."""
    count, future = len(series), len(series.known) - len(series)
    if count < shape.context:
        raise UserError(
            f"{place}: {count} row{'' if count == 1 else 's'}; expected at least data.context={shape.context}"
        )
    if known and future < shape.horizon:
        raise UserError(
            f"{place}: {future} future row{'' if future == 1 else 's'} with {', '.join(known)}; "
            f"expected data.horizon={shape.horizon}"
        )


def _check_windows(tbptt: TBPTT, horizon: int) -> None:
    if tbptt.k1 is not None:
        raise UserError(
            f"tbptt.k1={tbptt.k1}: a window of context and horizon is one update; expected null (tbptt=whole); "
            "tbptt.k2 may limit how far the gradient goes back"
        )
    if tbptt.k2 is not None and tbptt.k2 < horizon:
        raise UserError(f"tbptt.k2={tbptt.k2}: expected at least data.horizon={horizon}, or null for the whole window")

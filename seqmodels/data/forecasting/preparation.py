"""From tables of series to windows: the split in time, what is fitted on the training part, the spec."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from seqmodels.data.corpus import CorpusConfig
from seqmodels.data.forecasting.calendars import CalendarGrid
from seqmodels.data.forecasting.grids import Grid
from seqmodels.data.forecasting.scaling import Scaling, naive_error
from seqmodels.data.forecasting.tables import Series, SeriesTable
from seqmodels.data.forecasting.windows import PreparedSeries, SeriesWindows, WindowShape
from seqmodels.errors import UserError

Fitted = dict[str, list[float]]
"""What was fitted on the training part of one series, plain JSON."""


@dataclass(frozen=True)
class Split:
    """Where the training part of a series and its validation part end, in rows; what comes after is the test part."""

    train_end: int
    val_end: int

    def bounds(self, part: str, length: int) -> tuple[int, int]:
        """Returns the first row of a part and the one after its last."""
        bounds = {"train": (0, self.train_end), "val": (self.train_end, self.val_end), "test": (self.val_end, length)}
        return bounds[part]


def split_series(series: Sequence[Series], grid: Grid, fractions: CorpusConfig) -> list[Split]:
    """Splits series in time, the test part last.

    Where times are dates, all series are split at the same moments, so that none is trained on what another is tested
    for; otherwise each by its own rows.

    Args:
        series: The series.
        grid: The times they stand on.
        fractions: The shares of validation and test.
    """
    shared = isinstance(grid, CalendarGrid)
    first = min(one.start for one in series)
    last = max(one.start + len(one) for one in series)
    splits = []
    for one in series:
        sizes = fractions.sizes(last - first if shared else len(one))
        begin = first if shared else one.start
        train_end = begin + sizes["train"]
        val_end = train_end + sizes.get("val", 0)
        splits.append(Split(*(int(np.clip(end - one.start, 0, len(one))) for end in (train_end, val_end))))
    return splits


@dataclass(frozen=True)
class Preparation:
    """Scales series and cuts them into windows.

    Args:
        shape: What a window is.
        scaling: How targets are scaled; covariates are by the same method, without the transform.
    """

    shape: WindowShape
    scaling: Scaling

    def fit(self, series: Series, end: int, place: str) -> Fitted:
        """Fits the scaling of a series on its rows before `end`; the naive error is NaN where they are too few."""
        targets = series.targets[:end]
        center, scale = self.scaling.fit(self.scaling.transformed(targets, place))
        error = naive_error(targets, self.shape.season)
        covariates, known = self.scaling.fit(series.covariates[:end]), self.scaling.fit(series.known[:end])
        names = ("center", "scale", "naive_error", "covariate_center", "covariate_scale", "known_center", "known_scale")
        values = (center, scale, error, *covariates, *known)
        return {name: value.tolist() for name, value in zip(names, values, strict=True)}

    def fit_training(self, series: Series, end: int, place: str) -> Fitted:
        """Fits on a training part, the rows before `end`.

        Raises:
            UserError: No two values of it are a season apart.
        """
        fitted = self.fit(series, end, place)
        if np.isnan(fitted["naive_error"]).any():
            remedy = "a smaller data.season"
            if series.name:
                remedy += ", smaller data.val_fraction and data.test_fraction, or a file without this series"
            raise UserError(
                f"{place}: its training part has {end} row{'' if end == 1 else 's'}; expected more than a season of "
                f"values (data.season={self.shape.season}), or else {remedy}"
            )
        return fitted

    def prepare(self, series: Series, fitted: Fitted, place: str) -> PreparedSeries:
        """Scales a series."""
        parts = {name: np.asarray(values) for name, values in fitted.items()}
        return PreparedSeries(
            raw=series.targets,
            targets=(self.scaling.transformed(series.targets, place) - parts["center"]) / parts["scale"],
            covariates=(series.covariates - parts["covariate_center"]) / parts["covariate_scale"],
            known=(series.known - parts["known_center"]) / parts["known_scale"],
            center=parts["center"],
            scale=parts["scale"],
            naive_error=parts["naive_error"],
        )

    def windows(
        self, series: Sequence[PreparedSeries], splits: Sequence[Split], part: str, stride: int
    ) -> SeriesWindows:
        """Returns the windows whose horizon lies in one part; their context may reach into the part before."""
        origins = [
            self.shape.origins(*split.bounds(part, len(one)), stride) for one, split in zip(series, splits, strict=True)
        ]
        return SeriesWindows(series, origins, self.shape)

    def check_parts(
        self, parts: Mapping[str, SeriesWindows], table: SeriesTable, splits: Sequence[Split], stated: Sequence[str]
    ) -> None:
        """Refuses a horizon or a context that is longer than the data.

        Raises:
            UserError: A part that is wanted has no window, or no window with a value to score.
        """
        for part in stated:
            if len(parts[part]) and parts[part].any_observed():
                continue
            if len(parts[part]):
                raise UserError(
                    f"data.target_columns={', '.join(table.columns.targets or [])}: nothing is observed in the {part} "
                    f"part of {table.path}; other values of data.val_fraction and data.test_fraction move it"
                )
            ends = [split.bounds(part, len(one)) for split, one in zip(splits, table.series, strict=True)]
            longest = max(end - begin for begin, end in ends)
            needed = self.shape.horizon + (self.shape.context if part == "train" else 0)
            reach = "data.horizon + data.context" if part == "train" else "data.horizon"
            share = "" if part == "train" else f", or a larger data.{part}_fraction"
            raise UserError(
                f"data.horizon={self.shape.horizon}, data.context={self.shape.context}: the {part} part of "
                f"{table.path} has {longest} rows, and {reach} takes {needed}; expected shorter ones{share}"
            )


def plain_columns(table: SeriesTable) -> dict[str, Any]:
    """Returns the columns of a table as plain JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(table.columns).items()}

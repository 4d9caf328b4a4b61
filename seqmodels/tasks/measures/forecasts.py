"""Measures of forecasts, beside the two forecasts that anyone can make: the last value, and the last season's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data import FootingTensors, Scaling, Window, unpack_footing
from seqmodels.tasks.measures.measure import Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_SHOWN = 64
_PANELS = 4


class PointErrors:
    """Errors of point forecasts, summed over everything that was observed.

    The mean absolute and the root mean squared error in the units of the data; the mean absolute scaled error, each
    error divided by that of the seasonal-naive forecast over the training part (Hyndman and Koehler 2006, "Another look
    at measures of forecast accuracy"); the symmetric mean absolute percentage error, 0 to 200, with 0 where forecast
    and truth are 0 (Makridakis and Hibon 2000, "The M3-Competition").

    Example:
        >>> errors = PointErrors()
        >>> errors.add(torch.tensor([[[3.0], [5.0]]]), torch.tensor([[[1.0], [5.0]]]), torch.tensor([[4.0]]))
        >>> {name: round(value, 3) for name, value in errors.compute().items()}
        {'mae': 1.0, 'rmse': 1.414, 'mase': 0.25, 'smape': 50.0}
    """

    def __init__(self) -> None:
        self.count, self.scaled_count = 0, 0
        self.sizes, self.squares, self.scaled, self.percentages = 0.0, 0.0, 0.0, 0.0

    def add(self, forecast: Tensor, truth: Tensor, naive_error: Tensor) -> None:
        """Adds forecasts.

        Args:
            forecast: `(batch, horizon, targets)`.
            truth: The same, NaN where nothing was observed.
            naive_error: `(batch, targets)`; series that have none, being constant or new, do not count in the scaled
                error.
        """
        observed = ~truth.isnan()
        errors = (forecast - truth).abs()
        scale = naive_error[:, None].expand_as(errors)
        comparable = observed & (scale > 0)
        sums = forecast.abs() + truth.abs()
        self.count += int(observed.sum())
        self.scaled_count += int(comparable.sum())
        self.sizes += float(errors[observed].sum())
        self.squares += float(errors[observed].square().sum())
        self.scaled += float((errors / scale)[comparable].sum())
        self.percentages += float(torch.where(sums > 0, 200 * errors / sums, 0.0)[observed].sum())

    def compute(self) -> dict[str, float]:
        """Returns the means."""
        count = self.count or float("nan")
        return {
            "mae": self.sizes / count,
            "rmse": (self.squares / count) ** 0.5,
            "mase": self.scaled / (self.scaled_count or float("nan")),
            "smape": self.percentages / count,
        }


class IntervalErrors:
    """The quantile loss, averaged over levels, and how often the truth lies between two levels that mirror each other.

    Koenker and Bassett 1978, "Regression quantiles".

    Example:
        >>> errors = IntervalErrors()
        >>> truth = torch.tensor([[[1.0], [4.0]]])
        >>> errors.add(torch.tensor([0.0, 1.0, 3.0]).expand(1, 2, 1, 3), truth, torch.tensor([0.1, 0.5, 0.9]))
        >>> {name: round(value, 3) for name, value in errors.compute().items()}
        {'quantile_loss': 0.517, 'coverage_80': 0.5}
    """

    def __init__(self) -> None:
        self.loss, self.count = 0.0, 0
        self.covered: dict[str, int] = {}

    def add(self, quantiles: Tensor, truth: Tensor, levels: Tensor) -> None:
        """Adds forecasts.

        Args:
            quantiles: `(batch, horizon, targets, levels)`.
            truth: `(batch, horizon, targets)`, NaN where nothing was observed.
            levels: `(levels,)`, in rising order.
        """
        observed = ~truth.isnan()
        over = truth[..., None] - quantiles
        losses = torch.maximum(levels * over, (levels - 1) * over).mean(-1)
        self.loss += float(losses[observed].sum())
        self.count += int(observed.sum())
        for low in range(len(levels) // 2):
            high = len(levels) - 1 - low
            if abs(float(levels[low] + levels[high]) - 1) > 1e-6:
                continue
            name = f"coverage_{100 * float(levels[high] - levels[low]):.4g}"
            inside = (truth >= quantiles[..., low]) & (truth <= quantiles[..., high])
            self.covered[name] = self.covered.get(name, 0) + int(inside[observed].sum())

    def compute(self) -> dict[str, float]:
        """Returns the means; nothing where there were no quantiles."""
        if not self.count:
            return {}
        shares = {name: covered / self.count for name, covered in sorted(self.covered.items())}
        return {"quantile_loss": self.loss / self.count, **shares}


def in_units(described: Mapping[str, Tensor], footing: FootingTensors, scaling: Scaling) -> dict[str, Tensor]:
    """Returns forecasts in the units of the data, in double precision.

    Args:
        described: "value" `(batch, horizon, targets)` and perhaps "quantiles" `(..., levels)`, scaled.
        footing: Of the same windows.
        scaling: How they were scaled.
    """
    center, scale = footing.center[:, None], footing.scale[:, None]
    forecasts = {"value": scaling.restored(described["value"], center, scale)}
    if "quantiles" in described:
        forecasts["quantiles"] = scaling.restored(described["quantiles"], center[..., None], scale[..., None])
    return forecasts


class _Shown(NamedTuple):
    """One window to draw: its past `(time,)`, then `(horizon,)` each, quantiles `(horizon, levels)`."""

    past: Tensor
    truth: Tensor
    forecast: Tensor
    seasonal: Tensor
    quantiles: Tensor | None


class Forecasts(Measure):
    """Errors of forecasts in the units of the data; of the last value and of the last season's, on the same windows.

    Args:
        spec: Of the data: horizon, number of targets, scaling.
    """

    def __init__(self, spec: Mapping[str, Any]):
        self.horizon, self.num_targets = spec["horizon"], spec["num_targets"]
        series = spec["series"]
        self.scaling = Scaling(series["scaling"], series["transform"])
        self.gap_marks = bool(spec["num_marks"])
        self.name = spec["targets"]["names"][0]
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.errors = {name: PointErrors() for name in ("", "_last_value", "_seasonal_naive")}
        self.intervals = IntervalErrors()
        self.shown: list[_Shown] = []
        self.seen, self.every = 0, 1

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Adds the forecasts of a batch.

        Args:
            described: "value" `(batch, horizon, targets)` and perhaps "quantiles" with their "levels".
            window: The batch, with the footing of each window as context.
        """
        assert window.context is not None
        footing = unpack_footing(window.context, self.num_targets)
        center, scale = footing.center[:, None], footing.scale[:, None]
        truth = footing.truth
        forecasts = in_units(described, footing, self.scaling)
        last = footing.last[:, None].expand_as(truth)
        for name, values in (("", forecasts["value"]), ("_last_value", last), ("_seasonal_naive", footing.seasonal)):
            self.errors[name].add(values, truth, footing.naive_error)
        quantiles = forecasts.get("quantiles")
        if quantiles is not None:
            self.intervals.add(quantiles, truth, described["levels"].double())
        self._keep(self._past(window, center, scale), truth, forecasts["value"], footing.seasonal, quantiles)

    def compute(self) -> dict[str, float]:
        """Returns the errors of the model under their plain names, those of the others with `_last_value` and so on."""
        figures = {
            f"{name}{suffix}": value
            for suffix, errors in self.errors.items()
            for name, value in errors.compute().items()
        }
        return figures | self.intervals.compute()

    def _past(self, window: Window, center: Tensor, scale: Tensor) -> Tensor:
        """Returns the first target of the rows before the origin `(batch, time)`, NaN where none was observed."""
        end = window.inputs.shape[1] - self.horizon + 1
        read = window.inputs[:, max(0, end - 2 * self.horizon) : end]
        past = self.scaling.restored(read[..., 0], center[..., 0], scale[..., 0])
        return past.masked_fill(read[..., self.num_targets] == 0, float("nan")) if self.gap_marks else past

    def _keep(self, past: Tensor, truth: Tensor, forecast: Tensor, seasonal: Tensor, quantiles: Tensor | None) -> None:
        """Keeps some windows to draw, evenly over all: where there are too many, every second one is dropped."""
        for row in range(len(past)):
            if self.seen % self.every == 0:
                bands = None if quantiles is None else quantiles[row, :, 0].cpu()
                of_truth, of_ours, of_season = (part[row, :, 0].cpu() for part in (truth, forecast, seasonal))
                self.shown.append(_Shown(past[row].cpu(), of_truth, of_ours, of_season, bands))
            self.seen += 1
            if len(self.shown) > _MAX_SHOWN:
                self.shown, self.every = self.shown[::2], 2 * self.every

    def pictures(self) -> "dict[str, Figure]":
        """Returns forecasts of the first target against the truth, with a band between the outer quantiles."""
        if not self.shown:
            return {}
        from matplotlib.figure import Figure

        count = min(_PANELS, len(self.shown))
        figure = Figure(figsize=(10, 2.4 * count))
        figure.subplots_adjust(left=0.08, right=0.98, bottom=0.2 / count, top=1 - 0.06 / count)
        for panel in range(count):
            axes = figure.add_subplot(count, 1, panel + 1)
            _draw(axes, self.shown[panel * len(self.shown) // count])
            axes.set_ylabel(self.name, parse_math=False)
        figure.axes[0].legend(loc="upper left", fontsize="small")
        figure.axes[-1].set_xlabel("steps from the forecast's origin")
        return {"forecast": figure}


def _draw(axes: "Axes", shown: _Shown) -> None:
    past, ahead = range(-len(shown.past), 0), range(len(shown.truth))
    axes.plot([*past, *ahead], torch.cat([shown.past, shown.truth]).numpy(), color="black", label="truth")
    if shown.quantiles is not None:
        low, high = shown.quantiles[:, 0].numpy(), shown.quantiles[:, -1].numpy()
        axes.fill_between(ahead, low, high, alpha=0.3, label="outer quantiles")
    axes.plot(ahead, shown.forecast.numpy(), label="forecast")
    axes.plot(ahead, shown.seasonal.numpy(), linestyle=":", label="seasonal naive")
    axes.axvline(-0.5, color="grey", linewidth=0.5)

"""Measures of forecasts against sums done by hand."""

import math

import numpy as np
import pytest
import torch

from seqmodels.data import Scaling, collate
from seqmodels.data.forecasting.scaling import naive_error
from seqmodels.data.forecasting.windows import PreparedSeries, WindowShape
from seqmodels.tasks.measures.forecasts import Forecasts, IntervalErrors, PointErrors

NAN = float("nan")


def spec(horizon, transform=None, num_marks=0, names=("x",)):
    return {
        "horizon": horizon,
        "num_targets": len(names),
        "num_marks": num_marks,
        "targets": {"kind": "numbers", "names": list(names)},
        "series": {"scaling": "standard", "transform": transform},
    }


def windows(values, origins, shape, scaling, train_end):
    """Makes one batch of windows of one series, with the scaling of its first rows."""
    raw = np.asarray(values, np.float64)[:, None]
    transformed = scaling.transformed(raw, "x")
    center, scale = scaling.fit(transformed[:train_end])
    nothing = np.zeros((len(raw), 0))
    error = naive_error(raw[:train_end], shape.season)
    series = PreparedSeries(raw, (transformed - center) / scale, nothing, nothing, center, scale, error)
    return collate([shape.cut(series, origin) for origin in origins]), series


@pytest.mark.parametrize("transform", [None, "log1p", "sqrt"])
@pytest.mark.parametrize("gaps", ["interpolate", "mask"])
def test_all_figures_agree_with_a_loop_over_the_raw_series(transform, gaps):
    draw = np.random.default_rng(0)
    values = draw.uniform(1, 9, size=60)
    values[[45, 52]] = NAN
    horizon, season, train_end, origins = 4, 3, 30, [41, 44, 47, 50, 54]
    shape = WindowShape(context=8, horizon=horizon, season=season, gaps=gaps)
    batch, series = windows(values, origins, shape, Scaling("standard", transform), train_end)
    ours = torch.from_numpy(draw.normal(size=(len(origins), horizon, 1))).float()
    measure = Forecasts(spec(horizon, transform, num_marks=int(gaps == "mask")))
    # In two batches, as sums must not depend on how windows are batched.
    for rows in (slice(0, 2), slice(2, None)):
        part = batch._replace(inputs=batch.inputs[rows], targets=batch.targets[rows], context=batch.context[rows])
        measure.update({"value": ours[rows]}, part)
    figures = measure.compute()

    back = {None: lambda x: x, "log1p": np.expm1, "sqrt": lambda x: max(x, 0) ** 2}[transform]
    scale = np.mean([abs(values[t] - values[t - season]) for t in range(season, train_end)])
    errors = {"": [], "_last_value": [], "_seasonal_naive": []}
    for row, origin in enumerate(origins):
        for step in range(horizon):
            truth = values[origin + step]
            if math.isnan(truth):
                continue
            last = next(v for v in values[:origin][::-1] if not math.isnan(v))
            before = origin + step - season * (step // season + 1)
            while math.isnan(values[before]):
                before -= season
            scaled = float(ours[row, step, 0])
            forecast = back(series.center[0] + series.scale[0] * scaled)
            for name, value in (("", forecast), ("_last_value", last), ("_seasonal_naive", values[before])):
                errors[name].append((value - truth, abs(value) + abs(truth)))
    for name, pairs in errors.items():
        sizes = np.abs([error for error, _ in pairs])
        assert figures[f"mae{name}"] == pytest.approx(sizes.mean(), rel=1e-5)
        assert figures[f"rmse{name}"] == pytest.approx(math.sqrt((sizes**2).mean()), rel=1e-5)
        assert figures[f"mase{name}"] == pytest.approx(sizes.mean() / scale, rel=1e-5)
        smape = np.mean([200 * size / total for size, (_, total) in zip(sizes, pairs, strict=True)])
        assert figures[f"smape{name}"] == pytest.approx(smape, rel=1e-5)
    assert not measure.intervals.compute()


def test_the_seasonal_naive_forecast_of_its_own_training_part_has_a_scaled_error_of_one():
    values = np.random.default_rng(3).normal(size=31)
    shape = WindowShape(context=6, horizon=6, season=6)
    batch, _ = windows(values, range(6, 26), shape, Scaling("none"), train_end=31)
    measure = Forecasts(spec(6))
    # One-step-apart origins of a whole season score the inner rows equally; a horizon of a season scores each once.
    once = slice(0, 20, 6)
    measure.update(
        {"value": torch.zeros(4, 6, 1)},
        batch._replace(inputs=batch.inputs[once], targets=batch.targets[once], context=batch.context[once]),
    )
    expected = np.abs(values[6:30] - values[:24]).mean() / np.abs(values[6:] - values[:-6]).mean()
    assert measure.compute()["mase_seasonal_naive"] == pytest.approx(expected, rel=1e-5)


def test_a_constant_series_does_not_spoil_the_scaled_error_of_the_others():
    errors = PointErrors()
    truth = torch.tensor([[[1.0], [1.0]], [[2.0], [4.0]]])
    errors.add(torch.zeros(2, 2, 1), truth, torch.tensor([[0.0], [3.0]]))
    figures = errors.compute()
    assert figures["mase"] == pytest.approx((2 + 4) / 3 / 2)
    assert figures["mae"] == 2.0


def test_forecast_and_truth_of_zero_have_no_percentage_error():
    errors = PointErrors()
    errors.add(torch.tensor([[[0.0], [3.0]]]), torch.tensor([[[0.0], [1.0]]]), torch.ones(1, 1))
    assert errors.compute()["smape"] == pytest.approx(50.0)


@pytest.mark.parametrize("transform", [None, "log1p", "sqrt"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_perfect_forecast_of_counts_with_zeros_has_no_error_and_the_simple_ones_that_of_the_raw_rows(
    transform, relative
):
    counts = np.random.default_rng(1).poisson(0.4, 120).astype(np.float64)
    origins, horizon = range(60, 117), 3
    shape = WindowShape(context=8, horizon=horizon, season=7, relative=relative)
    batch, _ = windows(counts, origins, shape, Scaling("standard", transform), train_end=60)
    perfect = batch.targets[:, -horizon:]
    measure = Forecasts(spec(horizon, transform))
    levels = torch.tensor([0.1, 0.5, 0.9])
    measure.update({"value": perfect, "quantiles": perfect[..., None].expand(-1, -1, -1, 3), "levels": levels}, batch)
    figures = measure.compute()
    assert figures["smape"] == pytest.approx(0, abs=1e-4)
    pairs = [(counts[origin - 1], counts[origin + step]) for origin in origins for step in range(horizon)]
    expected = np.mean([200 * abs(f - y) / (f + y) if f + y else 0.0 for f, y in pairs])
    assert figures["smape_last_value"] == pytest.approx(expected, rel=1e-12)


def test_a_truth_of_zero_lies_within_a_bound_of_zero_and_what_repeats_itself_has_an_error_of_exactly_zero():
    values = np.tile([0.0, 0.1, 0.7], 20)
    shape = WindowShape(context=8, horizon=3, season=3)
    batch, _ = windows(values, range(30, 57), shape, Scaling("standard", "sqrt"), train_end=30)
    measure = Forecasts(spec(3, "sqrt"))
    below = torch.tensor([-60.0, -50.0]).expand(27, 3, 1, 2)  # both are clamped to 0
    levels = torch.tensor([0.1, 0.9])
    measure.update({"value": torch.zeros(27, 3, 1), "quantiles": below, "levels": levels}, batch)
    figures = measure.compute()
    assert figures["coverage_80"] == 1 / 3
    assert figures["mae_seasonal_naive"] == figures["smape_seasonal_naive"] == 0


def test_nothing_collected_is_nan_under_the_names_that_will_be_reported():
    measure = Forecasts(spec(3))
    figures = measure.compute()
    assert {"mae", "rmse", "mase", "smape", "mase_last_value", "mase_seasonal_naive"} <= figures.keys()
    assert all(math.isnan(value) for value in figures.values())
    assert measure.pictures() == {}


def test_coverage_and_quantile_loss_by_hand():
    errors = IntervalErrors()
    levels = torch.tensor([0.05, 0.1, 0.5, 0.9, 0.95])
    quantiles = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]).expand(1, 4, 1, 5)
    truth = torch.tensor([2.5, 3.5, 9.0, NAN])[None, :, None]
    errors.add(quantiles, truth, levels)
    figures = errors.compute()
    assert figures["coverage_80"] == pytest.approx(1 / 3)
    assert figures["coverage_90"] == pytest.approx(2 / 3)
    losses = [
        np.mean(
            [max(level * (y - q), (level - 1) * (y - q)) for level, q in zip(levels.tolist(), range(5), strict=True)]
        )
        for y in (2.5, 3.5, 9.0)
    ]
    assert figures["quantile_loss"] == pytest.approx(np.mean(losses), rel=1e-6)


def test_quantiles_are_measured_in_the_units_of_the_data():
    values = np.arange(1.0, 41.0)
    shape = WindowShape(context=4, horizon=2, season=1)
    batch, series = windows(values, [30], shape, Scaling("standard"), train_end=20)
    # 10 below and above each truth, but for the second upper one, which falls short of it.
    bounds = torch.tensor([[[21.0, 41.0]], [[22.0, 30.0]]])[None].double()
    scaled = (bounds - series.center[0]) / series.scale[0]
    measure = Forecasts(spec(2))
    measure.update(
        {"value": scaled.mean(-1), "quantiles": scaled, "levels": torch.tensor([0.1, 0.9])},
        batch,
    )
    figures = measure.compute()
    assert figures["coverage_80"] == 0.5
    assert figures["mae"] == pytest.approx((0 + 6) / 2, abs=1e-4)
    assert figures["quantile_loss"] == pytest.approx((1 + (0.1 * 10 + 0.9 * 2) / 2) / 2, abs=1e-4)


def test_the_picture_shows_the_truth_the_forecast_and_its_band():
    values = np.arange(1.0, 301.0)
    shape = WindowShape(context=8, horizon=4, season=2, gaps="mask")
    batch, series = windows(values, range(100, 290), shape, Scaling("standard"), train_end=90)
    measure = Forecasts(spec(4, num_marks=1, names=["passengers"]))
    value = torch.zeros(190, 4, 1)
    quantiles = torch.tensor([-1.0, 0.0, 1.0]).expand(190, 4, 1, 3)
    measure.update({"value": value, "quantiles": quantiles, "levels": torch.tensor([0.1, 0.5, 0.9])}, batch)
    (figure,) = measure.pictures().values()
    assert len(figure.axes) == 4
    first, last = figure.axes[0], figure.axes[-1]
    assert first.get_ylabel() == "passengers"
    truth, forecast, seasonal = (line.get_ydata() for line in first.get_lines()[:3])
    assert truth.tolist() == pytest.approx(list(range(93, 105)), abs=1e-4)
    assert forecast.tolist() == pytest.approx([series.center[0]] * 4)
    assert seasonal.tolist() == [99, 100, 99, 100]
    assert len(first.collections) == 1
    assert last.get_lines()[0].get_ydata()[-1] > 200  # they are spread over the whole part
    assert len(measure.shown) <= 64
    measure.clear()
    assert measure.pictures() == {}

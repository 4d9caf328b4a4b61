"""Windows of context and horizon: what they hold, where they lie, and that nothing of the future is in them."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from seqmodels.data import Scaling, SeriesFile, unpack_footing
from seqmodels.data.corpus import CorpusConfig
from seqmodels.data.forecasting.calendars import CalendarGrid
from seqmodels.data.forecasting.grids import RowGrid
from seqmodels.data.forecasting.preparation import split_series
from seqmodels.data.forecasting.scaling import naive_error
from seqmodels.data.forecasting.tables import Series
from seqmodels.data.forecasting.windows import PreparedSeries, WindowShape
from seqmodels.errors import UserError

NAN = float("nan")


def prepared(targets, covariates=None, known=None):
    targets = np.asarray(targets, np.float64).reshape(len(targets), -1)
    ones = np.ones(targets.shape[1])
    columns = [
        np.zeros((len(targets), 0)) if part is None else np.float64(part)[:, None] for part in (covariates, known)
    ]
    return PreparedSeries(targets, targets, *columns, 0 * ones, ones, ones)


def test_a_window_reads_the_row_before_and_what_is_known_of_the_row_it_predicts():
    series = prepared(np.arange(10), covariates=100 + np.arange(10), known=200 + np.arange(10))
    example = WindowShape(context=3, horizon=3, season=1).cut(series, origin=5)
    # Rows 2, 3, 4 are read; rows 3 to 7 are predicted, 5 to 7 being the horizon.
    assert example.inputs[:, 0].tolist() == [2, 3, 4, 0, 0]
    assert example.inputs[:, 1].tolist() == [102, 103, 104, 104, 104]
    assert example.inputs[:, 2].tolist() == [203, 204, 205, 206, 207]
    assert example.targets[:, 0].tolist() == [3, 4, 5, 6, 7]


def test_the_footing_has_the_simple_forecasts():
    series = prepared([1, 2, 3, 4, 5, 6, 7, 8])
    example = WindowShape(context=2, horizon=5, season=3).cut(series, origin=7)
    footing = unpack_footing(torch.from_numpy(example.context)[None], num_targets=1)
    assert footing.last.tolist() == [[7]]
    assert footing.seasonal[0, :, 0].tolist() == [5, 6, 7, 5, 6]


def test_the_footing_has_the_truth_to_the_last_bit_and_nothing_after_the_end():
    values = np.array([0.1, 0.2, 0.3, 0.7, 1 / 3])
    example = WindowShape(context=2, horizon=3, season=1).cut(prepared(values), origin=3)
    truth = unpack_footing(torch.from_numpy(example.context)[None], num_targets=1).truth
    np.testing.assert_array_equal(truth[0, :, 0].numpy(), [0.7, 1 / 3, NAN])


@pytest.mark.parametrize("transform", [None, "log1p", "sqrt"])
def test_a_zero_in_single_precision_is_restored_as_zero(transform):
    values = np.random.default_rng(0).poisson(0.4, (200, 1)).astype(np.float64)
    scaling = Scaling("standard", transform)
    transformed = scaling.transformed(values, "x")
    center, scale = scaling.fit(transformed)
    scaled = torch.from_numpy((transformed - center) / scale).float()
    restored = scaling.restored(scaled, torch.from_numpy(center), torch.from_numpy(scale)).numpy()
    np.testing.assert_array_equal(restored == 0, values == 0)
    np.testing.assert_allclose(restored, values, rtol=1e-5)


def test_simple_forecasts_look_further_back_where_values_are_missing():
    series = prepared([1, 2, 3, 4, NAN, NAN])
    example = WindowShape(context=2, horizon=3, season=3).cut(series, origin=6)
    footing = unpack_footing(torch.from_numpy(example.context)[None], num_targets=1)
    assert footing.last.tolist() == [[4]]
    assert footing.seasonal[0, :, 0].tolist() == [4, 2, 3]


def test_a_missing_value_is_read_as_a_line_or_as_a_marked_zero_and_is_never_scored():
    series = prepared([1, NAN, NAN, 4, NAN, 6])
    drawn = WindowShape(context=3, horizon=3, season=1, gaps="interpolate").cut(series, origin=3)
    assert drawn.inputs[:3, 0].tolist() == [1, 1, 1]  # the 4 that a line would lead to is not known yet
    drawn = WindowShape(context=4, horizon=2, season=1, gaps="interpolate").cut(series, origin=4)
    assert drawn.inputs[:4, 0].tolist() == [1, 2, 3, 4]
    marked = WindowShape(context=4, horizon=2, season=1, gaps="mask").cut(series, origin=4)
    assert marked.inputs[:, 0].tolist() == [1, 0, 0, 4, 0]
    assert marked.inputs[:, 1].tolist() == [1, 0, 0, 1, 0]
    np.testing.assert_array_equal(marked.targets[:, 0], [NAN, NAN, 4, NAN, 6])
    np.testing.assert_array_equal(marked.targets, drawn.targets)


def test_relative_windows_differ_by_nothing_but_their_footing():
    shape = WindowShape(context=3, horizon=2, season=1, relative=True)
    low, high = (shape.cut(prepared(np.arange(8) + level), origin=5) for level in (0, 1000))
    np.testing.assert_array_equal(low.inputs, high.inputs)
    np.testing.assert_array_equal(low.targets, high.targets)
    assert low.inputs[:3, 0].tolist() == [-2, -1, 0]
    footing = unpack_footing(torch.from_numpy(high.context)[None], 1)
    restored = Scaling().restored(torch.from_numpy(high.targets), footing.center, footing.scale)
    assert restored[-2:, 0].tolist() == [1005, 1006]


def test_origins_keep_context_and_horizon_within_bounds():
    shape = WindowShape(context=4, horizon=3, season=1)
    assert list(shape.origins(0, 10)) == [4, 5, 6, 7]
    assert list(shape.origins(6, 12, stride=3)) == [6, 9]
    assert list(shape.origins(9, 11)) == []


@pytest.mark.parametrize("gaps", ["interpolate", "mask"])
@pytest.mark.parametrize("relative", [False, True])
def test_nothing_from_the_origin_on_changes_what_is_read(gaps, relative):
    draw = np.random.default_rng(0)
    targets, covariates, known = draw.normal(size=(40, 2)), draw.normal(size=40), draw.normal(size=40)
    targets[draw.random(targets.shape) < 0.2] = NAN
    targets[19:23] = NAN  # a gap that the origin lies in
    origin = 21
    changed, changed_covariates = targets.copy(), covariates.copy()
    changed[origin:] = draw.normal(size=changed[origin:].shape)
    changed_covariates[origin:] = NAN
    shape = WindowShape(context=12, horizon=5, season=4, gaps=gaps, relative=relative)
    before = shape.cut(prepared(targets, covariates, known), origin)
    after = shape.cut(prepared(changed, changed_covariates, known), origin)
    np.testing.assert_array_equal(before.inputs, after.inputs)
    np.testing.assert_array_equal(before.context[:-10], after.context[:-10])  # all but the truth, which no model reads
    np.testing.assert_array_equal(before.targets[:-5], after.targets[:-5])
    assert not np.array_equal(before.targets[-5:], after.targets[-5:], equal_nan=True)


def write_series(path, values, covariate):
    rows = [f"{1900 + year}-{month:02}" for year in range(len(values) // 12) for month in range(1, 13)]
    lines = [f"{time},{value!r},{other!r}" for time, value, other in zip(rows, values, covariate, strict=True)]
    path.write_text("\n".join(["month,x,weather", *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize("scaling", ["standard", "robust", "none"])
@pytest.mark.parametrize("transform", [None, "sqrt", "log1p"])
def test_a_changed_test_part_changes_no_scaling_and_no_earlier_window(tmp_path, scaling, transform):
    draw = np.random.default_rng(1)
    values, weather = draw.uniform(0, 9, size=120).round(3), draw.normal(size=120).round(3)
    loaded = []
    for factor in (1.0, 50.0):
        changed = [np.concatenate([part[:96], factor * part[96:]]).tolist() for part in (values, weather)]
        path = write_series(tmp_path / f"{factor}.csv", *changed)
        data = SeriesFile(
            path,
            target_columns=["x"],
            covariate_columns=["weather"],
            context=12,
            horizon=6,
            val_fraction=0.2,
            test_fraction=0.2,
            scaling=scaling,
            transform=transform,
        )
        data.setup()
        loaded.append(data)
    before, after = loaded
    assert before.spec == after.spec
    for split in ("train", "val"):
        pairs = zip(before.evaluation_dataloader(split), after.evaluation_dataloader(split), strict=True)
        for one, other in pairs:
            assert torch.equal(one.inputs, other.inputs)
            assert torch.equal(one.targets, other.targets)
            assert torch.equal(one.context, other.context)
    (one,), (other,) = (list(data.evaluation_dataloader("test")) for data in loaded)
    assert torch.equal(one.inputs[0], other.inputs[0])  # its horizon begins where the change does
    assert not torch.equal(one.targets[0], other.targets[0])
    assert not torch.equal(one.inputs[1], other.inputs[1])


def test_the_parts_follow_each_other_without_sharing_a_scored_row(tmp_path):
    path = write_series(tmp_path / "x.csv", np.arange(120.0).tolist(), np.zeros(120).tolist())
    data = SeriesFile(path, target_columns=["x"], context=12, horizon=6, stride=2, scaling="none")
    data.setup()
    horizons = {
        split: torch.cat([window.targets[:, -6:, 0] for window in data.evaluation_dataloader(split)])
        for split in data.splits
    }
    assert horizons["train"][:, 0].tolist() == list(range(12, 91))
    assert horizons["val"][:, 0].tolist() == [96, 98, 100, 102]
    assert horizons["test"][:, 0].tolist() == [108, 110, 112, 114]
    ranges = [(int(part.min()), int(part.max())) for part in horizons.values()]
    assert all(earlier[1] < later[0] for earlier, later in pairwise(ranges))


def test_series_on_a_calendar_are_split_at_the_same_moment_and_others_by_their_own_rows():
    nothing = np.zeros((0, 0))
    series = [
        Series("a", 0, np.zeros((100, 1)), nothing, nothing),
        Series("b", 60, np.zeros((40, 1)), nothing, nothing),
    ]
    fractions = CorpusConfig("stream", 0.1, 0.2)
    dates = split_series(series, CalendarGrid(None, "D"), fractions)
    assert [(split.train_end, split.val_end) for split in dates] == [(70, 80), (10, 20)]
    rows = split_series(series, RowGrid(), fractions)
    assert [(split.train_end, split.val_end) for split in rows] == [(70, 80), (28, 32)]


def test_scaling_is_fitted_on_what_is_observed_and_is_undone_exactly():
    values = np.array([[1.0], [NAN], [3.0], [8.0]])
    for method, center, scale in (("standard", 4.0, np.std([1, 3, 8])), ("robust", 3.0, 3.5 / 1.34898)):
        fitted = Scaling(method).fit(values)
        assert fitted[0].tolist() == [center]
        assert fitted[1].tolist() == [pytest.approx(scale, rel=1e-5)]
    assert [part.tolist() for part in Scaling("none").fit(values)] == [[0], [1]]
    assert Scaling("standard").fit(np.full((5, 1), 1e9))[1].tolist() == [1]
    for transform in ("log1p", "sqrt"):
        scaling = Scaling("standard", transform)
        transformed = scaling.transformed(values, "x")
        fitted = scaling.fit(transformed)
        scaled = torch.from_numpy((transformed - fitted[0]) / fitted[1])
        restored = scaling.restored(scaled, *map(torch.from_numpy, fitted))
        np.testing.assert_allclose(restored, values, rtol=1e-12)


@pytest.mark.parametrize(("transform", "value"), [("log1p", -1.0), ("sqrt", -0.5)])
def test_a_value_too_small_for_the_transform_is_told(transform, value):
    with pytest.raises(UserError, match=rf"data\.transform={transform}: sales has the value {value:g}"):
        Scaling("standard", transform).transformed(np.array([[2.0], [value]]), "sales")


def test_the_naive_error_skips_what_is_missing():
    values = np.array([[1.0], [5.0], [NAN], [6.0], [4.0]])
    assert naive_error(values, 2).tolist() == [1.0]  # |6 - 5| alone
    assert np.isnan(naive_error(values[:2], 2)).all()

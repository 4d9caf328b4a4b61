"""The data modules of series: their spec, what they refuse, histories to predict from."""

import json
import math

import numpy as np
import pytest
import torch

from seqmodels.data import TBPTT, SeriesFile, Sunspots
from seqmodels.errors import UserError

NAMES = ("inputs", "targets", "context")


def day(step):
    return str(np.datetime64("2026-01-01") + step)


@pytest.fixture
def shops(tmp_path):
    """Writes two shops' sales with a covariate and a known one; `future` rows more have the known one alone."""

    def write(name="shops.csv", rows=60, future=0, shops=("a", "b"), factor=1.0, cells=None):
        lines = ["day,shop,sold,rain,open"]
        for number, shop in enumerate(shops):
            for step in range(rows + future):
                sold, rain = factor * (10 * number + step % 7 + 0.01 * step), step % 3
                here = f"{sold:.3f},{rain}" if step < rows else ","
                lines.append(f"{day(step)},{shop},{here},{int(step % 7 < 5)}")
        for line, text in (cells or {}).items():
            lines[line - 1] = text
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


def module(path, spec=None, **changed):
    columns = {
        "time_column": "day",
        "target_columns": ["sold"],
        "covariate_columns": ["rain"],
        "known_columns": ["open"],
        "id_column": "shop",
    }
    sizes = {"context": 14, "horizon": 3, "val_fraction": 0.2, "test_fraction": 0.2}
    return SeriesFile(path, **{**columns, **sizes, **changed}, spec=spec)


def test_the_spec_is_plain_and_has_the_sizes_that_a_model_needs(shops):
    data = module(shops(), missing="mask")
    data.setup()
    assert json.loads(json.dumps(data.spec)) == data.spec
    assert data.spec["inputs"]["num_features"] == 4
    assert {name: data.spec[name] for name in ("num_targets", "num_marks", "num_known", "horizon")} == {
        "num_targets": 1,
        "num_marks": 1,
        "num_known": 1,
        "horizon": 3,
    }
    assert data.spec["series"]["season"] == 7
    assert data.spec["series"]["frequency"] == "D"
    assert set(data.spec["series"]["scales"]) == {"a", "b"}
    assert data.splits == ("train", "val", "test")


def test_each_series_is_scaled_by_its_own_training_part(shops):
    data = module(shops())
    data.setup()
    for number, name in enumerate("ab"):
        expected = [10 * number + step % 7 + 0.01 * step for step in range(36)]
        fitted = data.spec["series"]["scales"][name]
        assert fitted["center"] == [pytest.approx(np.mean(expected), abs=1e-3)]
        assert fitted["scale"] == [pytest.approx(np.std(expected), abs=1e-3)]
        assert fitted["naive_error"] == [pytest.approx(0.07, abs=1e-9)]


def test_windows_never_mix_series(shops):
    data = module(shops(), scaling="none")
    data.setup()
    for window in data.evaluation_dataloader("train"):
        values = window.inputs[:, :14, 0]
        assert bool(((values < 9).all(1) | (values >= 10).all(1)).all())


def test_a_spec_of_an_earlier_run_keeps_its_scaling_on_other_data(shops):
    first = module(shops())
    first.setup()
    again = module(shops("other.csv", factor=5.0), spec=first.spec)
    again.setup()
    assert again.spec["series"]["scales"] == first.spec["series"]["scales"]
    with_new = module(shops("new.csv", shops=("a", "c"), factor=3.0), spec=first.spec)
    with_new.setup()
    scales = with_new.spec["series"]["scales"]
    assert scales["a"] == first.spec["series"]["scales"]["a"]
    assert scales["c"]["center"] == [pytest.approx(3 * first.spec["series"]["scales"]["b"]["center"][0])]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("context", 10, "data.context=10.*14"),
        ("horizon", 4, "data.horizon=4.*3"),
        ("missing", "mask", "data.missing=mask.*error"),
        ("scaling", "robust", "data.scaling=robust.*standard"),
        ("transform", "log1p", "data.transform=log1p.*None"),
        ("relative", True, "data.relative=True.*False"),
        ("season", 3, "data.season=3.*7"),
    ],
)
def test_what_belongs_to_the_run_does_not_change(shops, key, value, words):
    data = module(shops())
    data.setup()
    with pytest.raises(UserError, match=words):
        module(shops(), spec=data.spec, **{key: value})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"horizon": 500}, r"data\.horizon=500.*train part of .*shops\.csv has 36 rows.*takes 514"),
        ({"context": 36}, r"data\.context=36.*train part.*36 rows.*takes 39"),
        ({"horizon": 13}, r"data\.horizon=13.*val part.*12 rows.*takes 13.*data\.val_fraction"),
        ({"test_fraction": 0.01}, r"test part.*data\.test_fraction"),
        ({"season": 36}, r"shops\.csv line 2 \(series 'a'\).*36 rows.*data\.season=36"),
        ({"horizon": 0}, r"data\.horizon=0"),
        ({"stride": 0}, r"data\.stride=0"),
        ({"missing": "ignore"}, r"data\.missing=ignore: expected one of error, interpolate, mask"),
        ({"scaling": "minmax"}, r"data\.scaling=minmax: expected one of standard, robust, none"),
        ({"transform": "log"}, r"data\.transform=log: expected one of log1p, sqrt, or null"),
        ({"transform": "sqrt", "target_columns": ["rain"], "covariate_columns": []}, None),
        ({"tbptt": TBPTT(8, None)}, r"tbptt\.k1=8.*null"),
        ({"tbptt": TBPTT(None, 2)}, r"tbptt\.k2=2.*data\.horizon=3"),
        ({"tbptt": TBPTT(None, 17)}, r"tbptt\.k2=17.*16"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, r"data\.val_fraction=0\.6 and data\.test_fraction=0\.5"),
        ({"batch_size": 0}, r"data\.batch_size=0"),
        ({"path": None}, r"data\.path=null"),
        ({"target_columns": []}, r"data\.target_columns=\[\]"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_one_line(shops, changed, words):
    path = changed.pop("path", shops())
    if words is None:
        module(path, **changed).setup()
        return
    with pytest.raises(UserError, match=words) as error:
        module(path, **changed).setup()
    assert "\n" not in str(error.value)


def test_a_history_is_read_as_the_last_window_of_training_data_is(shops):
    data = module(shops(rows=60, future=0))
    data.setup()
    rows = list(data.evaluation_dataloader("test"))[-1]
    history = shops("history.csv", rows=57, future=3)
    requests = module(history, spec=data.spec).read_requests(history)
    assert [request.line for request in requests] == [2, 62]
    for request, row in zip(requests, (9, 19), strict=True):
        assert request.problem is None
        np.testing.assert_array_equal(request.example.inputs, rows.inputs[row])
        np.testing.assert_array_equal(request.example.context[:-3], rows.context[row][:-3])
        assert np.isnan(request.example.context[-3:]).all()  # the truth is yet to come
        assert [item["time"] for item in request.items] == [day(57), day(58), day(59)]
    assert [request.items[0]["series"] for request in requests] == ["a", "b"]


def test_a_history_that_cannot_be_used_is_told_and_the_rest_goes_on(shops):
    data = module(shops())
    data.setup()
    cells = {20: "2026-01-19,a,lots,0,1", 65: "2026-01-04,b"}
    history = shops("history.csv", rows=30, future=3, shops=("a", "b", "c"), cells=cells)
    requests = module(history, spec=data.spec).read_requests(history)
    assert [request.line for request in requests] == sorted(request.line for request in requests)
    problems = [request.problem for request in requests if request.problem]
    assert len(problems) == 3
    assert "line 20" in problems[0]
    assert "'lots'" in problems[0]
    assert "gap" in problems[1]  # where the ragged row was, and the row itself
    assert "line 65" in problems[1] + problems[2]
    (good,) = [request for request in requests if request.example is not None]
    assert good.items[0] == {"series": "c", "time": day(30)}


@pytest.fixture
def plain(tmp_path):
    """Writes a file of a time and a number, under other names of columns, and perhaps of two series."""

    def write(name, header, series=("",), rows=40):
        lines = [f"{t},{one},{t % 5}" if one else f"{t},{t % 5}" for one in series for t in range(rows)]
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return str(path)

    return write


def test_columns_that_are_named_replace_those_of_the_run_and_the_others_stay(plain):
    sizes = {"context": 4, "horizon": 2}
    data = SeriesFile(plain("one.csv", "t,x"), **sizes)
    data.setup()
    several = plain("several.csv", "t,shop,x", series=("a", "b"))
    requests = SeriesFile(several, **sizes, id_column="shop", spec=data.spec).read_requests(several)
    assert [request.items[0] for request in requests] == [{"series": name, "time": "40"} for name in "ab"]
    renamed = plain("renamed.csv", "year,x")
    (request,) = SeriesFile(renamed, **sizes, time_column="year", spec=data.spec).read_requests(renamed)
    assert request.problem is None
    other = plain("other.csv", "t,y")
    (request,) = SeriesFile(other, **sizes, target_columns=["y"], spec=data.spec).read_requests(other)
    assert request.problem is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id_column": "shop"}, r"data\.id_column=shop: .*one\.csv.*'t', 'x'"),
        ({"time_column": "year"}, r"data\.time_column=year: .*one\.csv.*'t', 'x'"),
        ({"target_columns": ["x", "y"]}, r"data\.target_columns=x, y: the run has 1 \(x\); expected as many"),
        ({"known_columns": ["open"]}, r"data\.known_columns=open: the run has 0 \(none\)"),
    ],
)
def test_columns_for_a_run_that_do_not_fit_are_told_in_one_line(plain, changed, words):
    path = plain("one.csv", "t,x")
    data = SeriesFile(path, context=4, horizon=2)
    data.setup()
    with pytest.raises(UserError, match=words) as error:
        SeriesFile(path, context=4, horizon=2, **changed, spec=data.spec).read_requests(path)
    assert "\n" not in str(error.value)


def test_a_series_that_begins_after_the_training_part_is_named_with_what_to_do(shops):
    late = "\n".join(f"{day(step)},late,{step % 7},0,1" for step in range(50, 60))
    path = shops(shops=("a",), cells={61: f"{day(59)},a,3,2,0\n{late}"})
    words = r"series 'late'.*has 0 rows.*data\.val_fraction.*a file without this series"
    with pytest.raises(UserError, match=words) as error:
        module(path).setup()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("part", "begin"), [("val", 36), ("test", 48)])
def test_a_part_without_a_value_to_score_is_told(shops, part, begin):
    cells = {step + 2: f"{day(step)},a,,0,1" for step in range(begin, begin + 12)}
    cells[61] = f"{day(59)},a,{'3' if part == 'val' else ''},0,1"
    path = shops(shops=("a",), cells=cells)
    # Known covariates tell the future apart, where targets are empty: there would be no test part.
    with pytest.raises(UserError, match=rf"nothing is observed in the {part} part of .*data\.val_fraction") as error:
        module(path, known_columns=[], covariate_columns=["rain", "open"], missing="mask").setup()
    assert "\n" not in str(error.value)


def test_a_history_too_short_or_without_its_future_is_told(shops):
    data = module(shops())
    data.setup()
    short = shops("short.csv", rows=10, future=3)
    for request in module(short, spec=data.spec).read_requests(short):
        assert "10 rows; expected at least data.context=14" in request.problem
    blind = shops("blind.csv", rows=30, future=2)
    for request in module(blind, spec=data.spec).read_requests(blind):
        assert "2 future rows with open; expected data.horizon=3" in request.problem


def test_a_history_needs_no_seasons_to_be_scaled(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["t,x", *(f"{t},{math.sin(t)}" for t in range(60))]))
    sizes = {"context": 4, "horizon": 2, "season": 20}
    data = SeriesFile(str(path), **sizes)
    data.setup()
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["t,x", *(f"{t},{t}" for t in range(6))]))
    known = dict(data.spec["series"], scales={})
    (request,) = SeriesFile(str(new), **sizes, spec=dict(data.spec, series=known)).read_requests(str(new))
    assert request.problem is None
    assert [item["time"] for item in request.items] == ["6", "7"]


def test_yearly_sunspots_are_at_hand(tmp_path):
    data = Sunspots(context=22)
    data.setup()
    assert data.spec["targets"]["names"] == ["SUNACTIVITY"]
    assert data.spec["series"]["season"] == 11
    windows = list(data.evaluation_dataloader("test"))
    assert sum(len(window.inputs) for window in windows) == 20  # 31 years less the horizon, and one
    path = tmp_path / "monthly.csv"
    months = [f"{year}-{month:02}" for year in range(1749, 1760) for month in range(1, 13)]
    path.write_text("\n".join(["Month,Sunspots", *(f"{month},{n % 50}" for n, month in enumerate(months))]))
    data = Sunspots(str(path), context=24)
    data.setup()
    assert data.spec["series"]["season"] == 12


def test_batches_are_a_function_of_the_seed(shops):
    path = shops()
    orders = []
    for seed in (1, 1, 2):
        data = module(path, seed=seed, batch_size=8)
        data.setup()
        orders.append(torch.cat([window.inputs.flatten(1) for window in data.train_dataloader()]))
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[0].sum(0).round(decimals=3), orders[2].sum(0).round(decimals=3))

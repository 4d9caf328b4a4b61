"""Series read from tables, and every mistake in one told in one line."""

import math

import numpy as np
import pytest

from seqmodels.data.forecasting.columns import SeriesColumns
from seqmodels.data.forecasting.tables import read_series
from seqmodels.errors import UserError

MONTHS = ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05"]


@pytest.fixture
def table(tmp_path):
    """Writes a file of these lines and reads it."""

    def read(*lines, name="series.csv", missing="error", frequency=None, lenient=False, **columns):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return read_series(str(path), SeriesColumns(**columns), missing, frequency, lenient)

    return read


def month_rows(values):
    return [f"{month},{value}" for month, value in zip(MONTHS, values, strict=True)]


def test_the_first_column_is_the_time_and_the_others_are_targets(table):
    read = table("month,sold,returned", "2026-01,5,1", "2026-02,6,2", "2026-03,7.5,0")
    (series,) = read.series
    assert read.columns.time == "month"
    assert read.columns.targets == ["sold", "returned"]
    assert series.targets.tolist() == [[5, 1], [6, 2], [7.5, 0]]
    assert read.grid.frequency == "MS"
    assert read.grid.season() == 12
    assert read.grid.label(3) == "2026-04"


def test_columns_may_be_named_in_any_order(table):
    read = table(
        "rain,sold,day,open,note",
        "3,10,2026-01-01,1,x",
        "4,11,2026-01-02,0,y",
        "5,12,2026-01-03,1,z",
        time="day",
        targets=["sold"],
        covariates=["rain"],
        known=["open"],
    )
    (series,) = read.series
    assert series.targets.tolist() == [[10], [11], [12]]
    assert series.covariates.tolist() == [[3], [4], [5]]
    assert series.known.tolist() == [[1], [0], [1]]


def test_rows_of_several_series_may_be_mixed_and_unsorted(table):
    read = table(
        "day,shop,sold",
        "2026-01-02,b,20",
        "2026-01-03,a,3",
        "2026-01-01,a,1",
        "2026-01-03,b,30",
        "2026-01-02,a,2",
        "2026-01-04,b,40",
        series="shop",
    )
    by_name = {series.name: series for series in read.series}
    assert by_name["a"].targets[:, 0].tolist() == [1, 2, 3]
    assert by_name["b"].targets[:, 0].tolist() == [20, 30, 40]
    assert (by_name["a"].start, by_name["b"].start) == (0, 1)


def test_rows_are_steps_where_no_column_is_the_time(table):
    read = table("a,b", "1,2", "3,4", time=False)
    assert read.series[0].targets.tolist() == [[1, 2], [3, 4]]
    assert read.grid.label(2) == "3"


def test_numbers_may_be_times(table):
    read = table("year,count", "1700,5", "1701,11", "1702,16", "1703,23")
    assert read.grid.frequency == 1
    assert read.grid.label(4) == "1704"


@pytest.mark.parametrize(
    ("times", "frequency", "following"),
    [
        (["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"], "ME", "2026-05-31"),
        (["2026-01-15", "2026-02-15", "2026-03-15", "2026-04-15"], "MS", "2026-05-15"),
        (["2026-01-02", "2026-01-05", "2026-01-06", "2026-01-07"], "B", "2026-01-08"),
        (["13/01/2026", "14/01/2026", "15/01/2026", "16/01/2026"], "D", "17/01/2026"),
        (["2026-01-01 10:00", "2026-01-01 10:15", "2026-01-01 10:30", "2026-01-01 10:45"], "15min", "2026-01-01 11:00"),
        (["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"], "h", None),
    ],
)
def test_the_space_between_dates_is_found_and_goes_on(table, times, frequency, following):
    read = table("time,x", *(f"{time},{step}" for step, time in enumerate(times)))
    assert read.grid.frequency == frequency
    assert read.series[0].targets[:, 0].tolist() == [0, 1, 2, 3]
    if following:
        assert read.grid.label(4) == following


@pytest.mark.parametrize(
    ("times", "frequency", "season", "following"),
    [
        (["20200130", "20200131", "20200201", "20200202"], "D", 7, "20200203"),
        (["20200131", "20200229", "20200331", "20200430"], "ME", 12, "20200531"),
        (["202011", "202012", "202101", "202102"], "MS", 12, "202103"),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_dates_written_as_numbers_are_dates(table, times, frequency, season, following, given):
    rows = [f"{time},{step}" for step, time in enumerate(times)]
    read = table("time,x", *rows, frequency=frequency if given else None)
    assert read.grid.frequency == frequency
    assert read.grid.season() == season
    assert read.grid.label(4) == following
    assert read.series[0].targets[:, 0].tolist() == [0, 1, 2, 3]
    lines = [f'{{"time": {time}, "x": {step}}}' for step, time in enumerate(times)]
    assert table(*lines, name="series.jsonl").grid.label(4) == following


@pytest.mark.parametrize(
    ("times", "frequency"),
    [
        (["202010", "202011", "202012", "202013"], None),  # no thirteenth month
        (["20200131", "20200132", "20200133", "20200134"], None),
        (["202001", "202002", "202003", "202004"], 1.0),  # a run on numbers goes on with numbers
        (["300001", "300002", "300003", "300004"], None),
    ],
)
def test_numbers_that_are_not_all_dates_stay_numbers(table, times, frequency):
    read = table("time,x", *(f"{time},0" for time in times), frequency=frequency)
    assert read.grid.frequency == 1.0
    assert read.grid.label(4) == str(int(times[-1]) + 1)


def test_a_column_of_dates_is_the_time_of_a_parquet_file_wherever_it_stands(tmp_path):
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2026-01-01", periods=3, name="day")
    frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0]}, index=index)
    for stored in (frame, frame.rename_axis(None), frame.reset_index()[["x", "day", "y"]]):
        stored.to_parquet(tmp_path / "series.parquet")
        read = read_series(str(tmp_path / "series.parquet"), SeriesColumns())
        assert read.columns.targets == ["x", "y"]
        assert read.grid.frequency == "D"
    named = read_series(str(tmp_path / "series.parquet"), SeriesColumns(time="x", targets=["y"]))
    assert named.columns.time == "x"


def test_json_lines_and_parquet_read_the_same(table, tmp_path):
    pandas = pytest.importorskip("pandas")
    expected = [[1.0, 2.0], [3.0, math.nan], [5.0, 6.0]]
    lines = [
        '{"day": "2026-01-01", "x": 1, "y": 2}',
        '{"day": "2026-01-02", "x": 3.0, "y": null}',
        '{"day": "2026-01-03", "x": 5, "y": 6}',
    ]
    read = table(*lines, name="series.jsonl", missing="mask")
    np.testing.assert_array_equal(read.series[0].targets, expected)
    frame = pandas.DataFrame({"day": pandas.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"])})
    frame["x"], frame["y"] = [1, 3, 5], [2.0, None, 6.0]
    frame.to_parquet(tmp_path / "series.parquet")
    read = read_series(str(tmp_path / "series.parquet"), SeriesColumns(), "mask")
    np.testing.assert_array_equal(read.series[0].targets, expected)
    assert read.grid.frequency == "D"


def test_gaps_and_empty_cells_become_nan_where_the_policy_allows_it(table):
    read = table("month,x", "2026-01,1", "2026-02,", "2026-03,3", "2026-05,5", missing="interpolate")
    np.testing.assert_array_equal(read.series[0].targets[:, 0], [1, math.nan, 3, math.nan, 5])


def test_rows_after_the_last_target_are_the_known_future(table):
    read = table("day,sold,open", "2026-01-01,5,1", "2026-01-02,6,0", "2026-01-03,,1", "2026-01-04,,0", known=["open"])
    (series,) = read.series
    assert series.targets[:, 0].tolist() == [5, 6]
    assert series.known[:, 0].tolist() == [1, 0, 1, 0]


MISTAKES = {
    "no such column": (
        ["month,x", *month_rows(range(5))],
        {"targets": ["y"]},
        ["data.target_columns=y", "month", "x"],
    ),
    "no such second column": (
        ["month,x", *month_rows(range(5))],
        {"targets": ["x", "z"]},
        ["data.target_columns=z", "there are", "x"],
    ),
    "no such id": (["month,x", *month_rows(range(5))], {"series": "shop"}, ["data.id_column=shop", "there are"]),
    "two uses": (
        ["month,x", *month_rows(range(5))],
        {"targets": ["x"], "known": ["x"]},
        ["data.known_columns=x", "data.target_columns"],
    ),
    "nothing to forecast": (["month", *MONTHS], {}, ["data.target_columns=null", "time_column=false"]),
    "text": (["month,x", *month_rows([1, 2, "many", 4, 5])], {}, ["series.csv line 4", "'x'", "'many'"]),
    "infinite": (["month,x", *month_rows([1, 2, "inf", 4, 5])], {}, ["line 4", "'inf'", "finite"]),
    "ragged": (["month,x", "2026-01,1", "2026-02,2,3"], {}, ["series.csv line 3", "3 fields"]),
    "empty cell": (
        ["month,x", *month_rows([1, 2, 3, "", 5])],
        {},
        ["line 5", "'x'", "empty", "data.missing=interpolate"],
    ),
    "not a number": (["month,x", *month_rows([1, "NaN", 3, 4, 5])], {}, ["line 3", "empty", "mask"]),
    "gap": (
        ["month,x", "2026-01,1", "2026-02,2", "2026-03,3", "2026-06,4"],
        {},
        ["line 5", "gap", "2026-04", "line 4", "data.missing"],
    ),
    "twice": (
        ["month,x", "2026-01,1", "2026-02,2", "2026-03,3", "2026-02,4"],
        {},
        ["2026-02", "line 3", "line 5", "already", "data.id_column="],
    ),
    "no time": (["month,x", *month_rows(range(5)), "soon,7"], {}, ["line 7", "'soon'", "time"]),
    "no times at all": (["a,b", "x,1", "y,2"], {}, ["line 2", "data.time_column=a", "'x'"]),
    "empty time": (["month,x", *month_rows(range(5)), ",7"], {}, ["line 7", "data.time_column=month", "empty"]),
    "off the grid": (["t,x", "1,1", "2,2", "3,3", "3.5,4"], {}, ["line 5", "3.5", "data.frequency"]),
    "off the calendar": (
        ["day,x", "2026-01-05,1", "2026-01-12,2", "2026-01-19,3", "2026-01-20,4"],
        {"frequency": "W-MON"},
        ["line 5", "2026-01-20", "W-MON", "data.frequency"],
    ),
    "mistyped year": (
        ["t,x", "2026-01-01 00:00:00,1", "2026-01-01 00:00:01,2", "2026-01-01 00:00:02,3", "2226-01-01 00:00:03,4"],
        {},
        ["line 5", "2226", "steps after"],
    ),
    "unknown frequency": (
        ["month,x", *month_rows(range(5))],
        {"frequency": "monthly"},
        ["data.frequency=monthly", "alias"],
    ),
    "one row": (["month,x", "2026-01,1"], {}, ["data.frequency"]),
    "no rows": (["month,x"], {}, ["no rows"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(table, name):
    lines, keys, words = MISTAKES[name]
    with pytest.raises(UserError) as error:
        table(*lines, **keys)
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("name", ["series.xlsx", "series"])
def test_another_kind_of_file_is_refused(table, name):
    with pytest.raises(UserError, match=r"data\.path=.*\.csv.*\.parquet"):
        table("month,x", "2026-01,1", name=name)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.path=.*folder"):
        read_series(str(tmp_path), SeriesColumns())


def test_what_is_no_parquet_is_told(table):
    with pytest.raises(UserError, match=r"series\.parquet: cannot be read as Parquet"):
        table("month,x", "2026-01,1", name="series.parquet")


def test_parquet_without_its_library_says_what_to_install(table, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'seqmodels\[parquet\]'"):
        table("month,x", "2026-01,1", name="series.parquet")


def test_lenient_reading_goes_on_with_the_other_series(table):
    read = table(
        "day,shop,sold",
        *(f"2026-01-0{day},a,{day}" for day in (1, 2, 3)),
        *(f"2026-01-0{day},b,{'x' if day == 2 else day}" for day in (1, 2, 3)),
        "2026-01-04,a,4,5",
        series="shop",
        lenient=True,
    )
    assert [series.name for series in read.series] == ["a"]
    lines = sorted(line for line, _ in read.problems)
    assert lines == [5, 8]
    assert all("line" in problem for _, problem in read.problems)


def test_a_file_to_predict_from_is_told_by_the_key_that_named_it(tmp_path):
    (tmp_path / "empty.csv").write_text("day,girls\n")
    for name in ("none.csv", "empty.csv", "none.xyz", ""):
        for lenient, key in ((True, "input"), (False, "data.path")):
            with pytest.raises(UserError) as caught:
                read_series(str(tmp_path / name), SeriesColumns(), "error", None, lenient)
            assert str(caught.value).startswith(f"{key}={tmp_path / name}")

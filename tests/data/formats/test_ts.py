"""`.ts` files: what is read, and what is said of those that cannot be."""

import numpy as np
import pytest

from seqmodels.data.formats.ts import read_ts, read_ts_rows
from seqmodels.errors import UserError

HEADER = "#two channels\n@problemName Motions\n@timeStamps false\n@dimensions 2\n@classLabel true up down\n@data\n"


@pytest.fixture
def write(tmp_path):
    def write_file(text, encoding="utf-8"):
        path = tmp_path / "series.ts"
        path.write_bytes(text.encode(encoding))
        return path

    return write_file


def test_series_of_different_lengths_keep_their_channels_and_gaps(write):
    file = read_ts(write(HEADER + "1,2.5,-3e2 : ?,NaN,6 : up\n\n#a comment\n7:8:down\n"))

    assert file.classes == ("up", "down")
    assert [row.label for row in file.rows] == ["up", "down"]
    assert [row.line for row in file.rows] == [7, 10]
    np.testing.assert_array_equal(file.rows[0].series, np.float32([[1, np.nan], [2.5, np.nan], [-300, 6]]))
    np.testing.assert_array_equal(file.rows[1].series, np.float32([[7, 8]]))
    assert file.rows[0].series.dtype == np.float32


def test_windows_line_ends_a_byte_order_mark_and_capitals_in_tags(write):
    file = read_ts(write("\ufeff@UNIVARIATE true\r\n@ClassLabel TRUE a b\r\n@Data\r\n1,2:a\r\n"))

    assert (file.classes, file.num_channels, file.rows[0].label) == (("a", "b"), 1, "a")


def test_targets_that_are_numbers(write):
    file = read_ts(write("@univariate true\n@targetlabel true\n@data\n1,2:0.5\n3:-7\n"))

    assert file.has_targets
    assert [float(row.label) for row in file.rows] == [0.5, -7.0]


def test_without_labels_the_last_part_is_a_channel(write):
    file = read_ts(write("@classLabel false\n@data\n1,2:3,4\n"))

    assert not file.has_labels
    np.testing.assert_array_equal(file.rows[0].series, [[1, 3], [2, 4]])
    assert file.rows[0].label is None


@pytest.mark.parametrize(
    "text, line, said",
    [
        (HEADER.replace("timeStamps false", "timeStamps true"), 3, "time stamps are not read"),
        (HEADER.replace("dimensions 2", "dimensions two"), 4, "@dimensions two: expected an integer"),
        (HEADER.replace("true up", "yes up"), 5, "expected true or false"),
        (HEADER.replace("true up down", "true"), 5, "expected the names of the classes"),
        ("1,2:up\n", 1, "expected @ tags before @data"),
        (HEADER + "1,2:3:up\n", 7, "channel 2 has 1 values and channel 1 has 2"),
        (HEADER + "1,2:up\n", 7, "1 channels; expected 2"),
        (HEADER + "1,2:3,4:left\n", 7, "class 'left'; expected one of up, down"),
        (HEADER + "1,2:3,4\n", 7, "class '3,4'; expected one of up, down"),
        (HEADER + "1,2:3,4:up\n1,x:3,4:up\n", 8, "channel 1, value 2: 'x'; expected a finite number or ?"),
        (HEADER + "1,2:3,inf:up\n", 7, "channel 2, value 2: 'inf'; expected a finite number"),
        (HEADER + "1,:3,4:up\n", 7, "channel 1, value 2: ''; expected a finite number"),
        (HEADER + "1,2::up\n", 7, "channel 2 is empty"),
        ("@targetlabel true\n@data\n1,2:high\n", 3, "the target, value 1: 'high'"),
        ("@univariate true\n@data\n1:2\n", 3, "2 channels; expected 1"),
        ("@data\n1:2\n1:2:3\n", 3, "3 channels; expected 2"),
    ],
)
def test_a_broken_file_is_told_with_its_line(write, text, line, said):
    path = write(text)

    with pytest.raises(UserError) as caught:
        read_ts(path)

    assert f"{path} line {line}: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text, said", [(HEADER, "no series after @data"), ("@data", "no series after @data")])
def test_a_file_without_series(write, text, said):
    with pytest.raises(UserError, match=said):
        read_ts(write(text))


def test_a_file_without_data_tag_and_one_that_is_not_there(write, tmp_path):
    with pytest.raises(UserError, match="ends without @data"):
        read_ts(write("@problemName x\n"))
    with pytest.raises(UserError, match=r"none\.ts: cannot be read: No such file"):
        read_ts(tmp_path / "none.ts")


def test_rows_that_cannot_be_read_carry_their_problem_and_the_rest_goes_on(write):
    rows = read_ts_rows(write(HEADER + "1:2:up\n1:x:up\n3:4:down\n", encoding="latin-1")).rows

    assert [row.line for row in rows] == [7, 8, 9]
    assert rows[1].series is None
    assert "line 8: channel 2, value 1: 'x'" in rows[1].problem
    np.testing.assert_array_equal(rows[2].series, [[3, 4]])


def test_bytes_that_are_no_text_are_told(write):
    with pytest.raises(UserError, match="line 5: @classLabel: byte 0xe9 is not valid UTF-8"):
        read_ts(write(HEADER.replace("up", "é"), encoding="latin-1"))
    # In a comment they do no harm: archives have such.
    assert len(read_ts(write("#é\n" + HEADER + "1:2:up\n", encoding="latin-1")).rows) == 1


@pytest.mark.parametrize("last", [":?", ":sideways", ":up", ":7", ""])
def test_where_labels_are_passed_over_any_or_none_will_do(write, last):
    rows = read_ts_rows(write(HEADER + f"1,2,3:4,5,6{last}\n"), labelled=False).rows
    assert rows[0].problem is None
    np.testing.assert_array_equal(rows[0].series, [[1, 4], [2, 5], [3, 6]])
    # Where the header tells no number of channels, the values do.
    rows = read_ts_rows(write(HEADER.replace("@dimensions 2\n", "") + f"1,2,3:4,5,6{last}\n"), labelled=False).rows
    np.testing.assert_array_equal(rows[0].series, [[1, 4], [2, 5], [3, 6]])

import time
from pathlib import Path

import pytest

from seqmodels.data.formats.tables import Row, read_table, read_table_rows
from seqmodels.errors import UserError

COLUMNS = {"data.text_column": "text", "data.label_column": "label"}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_delimiter_of_csv_is_found(tmp_path: Path, delimiter: str) -> None:
    text = 'id,text,label\n1,"a, b; c| d\te",good\n2,,bad\n'
    # Only what stands outside quotes is a delimiter.
    head, _, tail = text.partition("a, b; c| d\te")
    path = write(tmp_path / "a.csv", head.replace(",", delimiter) + "a, b; c| d\te" + tail.replace(",", delimiter))
    assert list(read_table(path, COLUMNS)) == [
        (2, {"id": "1", "text": "a, b; c| d\te", "label": "good"}),
        (3, {"id": "2", "text": "", "label": "bad"}),
    ]


def test_columns_looked_for_decide_between_delimiters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text;label (a,b,c)\nx;1\n")
    assert list(read_table(path, {"data.text_column": "text"})) == [(2, {"text": "x", "label (a,b,c)": "1"})]


def test_tsv_does_not_guess(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "text\tlabel\na;b;c\tgood\n")
    assert list(read_table(path, COLUMNS)) == [(2, {"text": "a;b;c", "label": "good"})]


def test_quoted_fields_span_lines_and_numbers_stay_right(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '\ufefftext,label\r\n"one\r\ntwo, ""three""",good\r\n\r\nfour,bad\r\n')
    assert list(read_table(path, COLUMNS)) == [
        (2, {"text": 'one\ntwo, "three"', "label": "good"}),
        (5, {"text": "four", "label": "bad"}),
    ]


def test_long_fields_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"text,label\n{'x' * 200_000},good\n")
    assert len(next(read_table(path, COLUMNS))[1]["text"]) == 200_000


def test_json_lines_keep_their_values(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a\\nb", "label": ["x", "y"]}\n\n{"label": 1, "text": "c\u2028d"}\n')
    assert list(read_table(path, COLUMNS)) == [
        (1, {"text": "a\nb", "label": ["x", "y"]}),
        (3, {"label": 1, "text": "c\u2028d"}),
    ]


def test_missing_column_says_which_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "review,stars\nx,1\n")
    with pytest.raises(UserError) as caught:
        list(read_table(path, COLUMNS))
    assert str(caught.value) == f"data.text_column=text: {path} has no such column; there are: 'review', 'stars'"
    path = write(tmp_path / "a.jsonl", '{"text": "x", "label": 1}\n{"text": "x", "stars": 1}\n')
    with pytest.raises(UserError, match=r"data\.label_column=label: .*a\.jsonl line 2 has .*: 'text', 'stars'"):
        list(read_table(path, COLUMNS))


BROKEN = [
    ("a.csv", "text,label\nx,good\nx,y,bad\nlast,good\n", "line 3: 3 fields; expected 2: 'text', 'label'"),
    ("a.csv", 'text,label\nx,good\n"x" y,bad\nlast,good\n', "line 3: ',' expected after '\"'"),
    ("a.tsv", "text\tlabel\nx\tgood\nx\nlast\tgood\n", "line 3: 1 field; expected 2"),
    ("a.jsonl", '{"text":"x","label":1}\n\n{"text":\n{"text":"last","label":1}\n', "line 3: not JSON, at character 9"),
    ("a.jsonl", '{"text":"x","label":1}\n\n["x"]\n{"text":"last","label":1}\n', "line 3: expected an object"),
    ("a.jsonl", '{"text":"x","label":1}\n\n{"label":2}\n{"text":"last","label":1}\n', "line 3 has no such column"),
    ("a.jsonl", '{"text":"x","label":1}\n\n{"text":"\\ud800"}\n{"text":"last","label":1}\n', r"line 3: .*\\ud800"),
    ("a.csv", b"text,label\nx,good\n\xffx,bad\nlast,good\n", "line 3: column text: byte 0xff is not valid UTF-8"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_broken_row_is_told_and_the_rest_goes_on(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path / name, content)
    columns = {"data.text_column": "text"}
    rows = list(read_table_rows(path, columns))
    assert [row.values.get("text") for row in rows if not row.problem] == ["x", "last"]
    (broken,) = (row for row in rows if row.problem)
    assert broken.line == 3
    with pytest.raises(UserError, match=message):
        raise UserError(broken.problem)
    # The same, where the first mistake is the last: but for bytes, whose column nobody has looked for then.
    with pytest.raises(UserError, match=message if isinstance(content, str) else r"a\.csv line 3: byte 0xff is not"):
        list(read_table(path, columns))


def test_quote_that_never_closes_takes_no_other_row(tmp_path: Path) -> None:
    rows = 'x,good\n"never closed,bad\nmore,good\n\n"two\nlines",good\n"again,bad\nlast,good\n'
    found = list(read_table_rows(write(tmp_path / "a.csv", "text,label\n" + rows), COLUMNS))
    assert [(row.line, row.values.get("text")) for row in found] == [
        (2, "x"),
        (3, None),
        (4, "more"),
        (6, "two\nlines"),
        (8, None),
        (9, "last"),
    ]
    assert "line 8: unexpected end of data" in str(found[4].problem)
    assert found[1].problem is not None
    with pytest.raises(UserError, match=r"a\.csv line 3: "):
        list(read_table(tmp_path / "a.csv", COLUMNS))


@pytest.mark.parametrize("name", ["a.xlsx", "a.txt"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"expected a table, with one of the suffixes \.csv, \.tsv"):
        list(read_table(write(tmp_path / name, "x"), COLUMNS))


def test_header_mistakes(tmp_path: Path) -> None:
    for content, message in [
        ("text,text,label\nx,y,z\n", "line 1: two columns are named 'text'"),
        ('"te"xt,label\nx,y\n', "line 1: "),
        ("\n\n", "line 1: nothing stands there; expected the names of the columns"),
        ("", r"a\.csv: the file is empty"),
    ]:
        with pytest.raises(UserError, match=message):
            list(read_table(write(tmp_path / "a.csv", content), COLUMNS))
        with pytest.raises(UserError, match=message):
            list(read_table_rows(tmp_path / "a.csv", COLUMNS))
    with pytest.raises(UserError, match=r"a\.jsonl: the file is empty"):
        list(read_table_rows(write(tmp_path / "a.jsonl", ""), COLUMNS))
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(read_table(tmp_path / "none.csv", COLUMNS))
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(read_table_rows(tmp_path / "none.csv", COLUMNS))


def test_rows_are_what_they_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nx,good\n")
    assert list(read_table_rows(path, COLUMNS)) == [Row(2, {"text": "x", "label": "good"}, None)]


def test_a_key_that_stands_twice_in_a_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "x", "label": "a"}\n{"text": "x", "label": "a", "label": "b"}\n')
    with pytest.raises(UserError, match=r"a\.jsonl line 2: not JSON that can be read: the key 'label' stands there tw"):
        list(read_table(path, COLUMNS))
    assert [row.problem is None for row in read_table_rows(path, COLUMNS)] == [True, False]


def test_tens_of_thousands_of_columns_are_no_wait(tmp_path: Path) -> None:
    """Half a minute where each is counted among all."""
    names = ",".join(["text", "label", *map(str, range(40_000))])
    began = time.monotonic()
    with pytest.raises(UserError, match=r"no such column; there are: 'text', 'label', '0', .*, '17', \.\.\.$"):
        list(read_table(write(tmp_path / "a.csv", f"{names}\n"), {"data.text_column": "body"}))
    assert time.monotonic() - began < 5

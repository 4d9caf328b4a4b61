"""Pairs of texts from aligned files, from lines with a tab, from tables."""

import re

import pytest

from seqmodels.data.formats.pairs import aligned_files, has_column, read_aligned, read_pairs, read_tab_pairs
from seqmodels.errors import UserError


def write(folder, **files):
    """Writes files by name, `__` standing for a dot."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def error_of(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def texts(pairs):
    return [(pair.source, pair.target) for pair in pairs]


def test_aligned_files_are_read_line_by_line(tmp_path):
    write(tmp_path, a__de="ein Hund \r\nzwei\r\n", a__en="\ufeffa dog\ntwo")
    pairs = read_aligned(tmp_path / "a.de", tmp_path / "a.en")
    assert texts(pairs) == [("ein Hund", "a dog"), ("zwei", "two")]
    assert pairs[1].place == f"{tmp_path / 'a.en'} line 2"
    assert texts(read_pairs([str(tmp_path / "a.en"), str(tmp_path / "a.de")], None, None, "error")) == [
        ("a dog", "ein Hund"),
        ("two", "zwei"),
    ]


def test_different_numbers_of_lines_are_both_told(tmp_path):
    write(tmp_path, a__de="eins\nzwei\ndrei\n", a__en="one\n")
    message = error_of(lambda: read_aligned(tmp_path / "a.de", tmp_path / "a.en"))
    assert message.startswith(f"{tmp_path / 'a.de'} has 3 lines and {tmp_path / 'a.en'} has 1 line;")


def test_an_empty_line_is_an_error_or_left_out(tmp_path):
    write(tmp_path, a__de="eins\n\ndrei\nvier\n", a__en="one\ntwo\n \nfour\n")
    files = tmp_path / "a.de", tmp_path / "a.en"
    message = error_of(lambda: read_aligned(*files))
    assert message == f"{files[0]} line 2: the line is empty; data.empty=skip leaves such pairs out"
    assert texts(read_aligned(*files, "skip")) == [("eins", "one"), ("vier", "four")]
    write(tmp_path, a__de="eins\nzwei\ndrei\nvier\n")
    assert f"{files[1]} line 3: the line is empty" in error_of(lambda: read_aligned(*files))
    write(tmp_path, a__de="\n\n", a__en="one\ntwo\n")
    assert "there is no pair of texts in it" in error_of(lambda: read_aligned(*files, "skip"))


@pytest.mark.parametrize(
    "line, told",
    [
        (b"zwei two", "there is no tab; expected a source text, a tab and its target text"),
        (b"zwei\ttwo\tdeux", "3 columns; expected a source text, a tab and its target text"),
        (b"zwei\t ", "there is no text after the tab; data.empty=skip"),
        (b"\ttwo", "there is no text before the tab; data.empty=skip"),
        (b"", "the line is empty; data.empty=skip"),
        (b"zw\xe9i\ttwo", "byte 0xe9 is not valid UTF-8"),
    ],
)
def test_a_line_that_is_no_pair_is_told(tmp_path, line, told):
    path = write(tmp_path, pairs__tsv=b"eins\tone\n" + line + b"\ndrei\tthree\n") / "pairs.tsv"
    assert error_of(lambda: read_tab_pairs(path)).startswith(f"{path} line 2: {told}")
    if "skip" in told:
        assert texts(read_tab_pairs(path, "skip")) == [("eins", "one"), ("drei", "three")]


def test_tables_are_read_by_their_columns(tmp_path):
    write(
        tmp_path,
        a__csv='target,source\n"a dog, here",ein Hund\n',
        a__jsonl='{"de": "eins", "en": "one"}\n{"de": "zwei", "en": 2}\n',
        a__tsv="en\tde\none\teins\n",
        b__tsv="de\ten\n",
    )
    assert texts(read_pairs(str(tmp_path / "a.csv"), None, None, "error")) == [("ein Hund", "a dog, here")]
    assert texts(read_pairs(str(tmp_path / "a.tsv"), "de", "en", "error")) == [("eins", "one")]
    # Without names of columns a file of tabs has no line of names.
    assert texts(read_pairs(str(tmp_path / "b.tsv"), None, None, "error")) == [("de", "en")]
    jsonl = str(tmp_path / "a.jsonl")
    assert (
        error_of(lambda: read_pairs(jsonl, "de", "en", "error")) == f"{jsonl} line 2: column en: expected text, got 2"
    )
    message = error_of(lambda: read_pairs(str(tmp_path / "a.csv"), "de", None, "error"))
    assert message.startswith("data.source=de:")
    assert "'target', 'source'" in message


def test_a_missing_file_is_told_with_its_key(tmp_path):
    assert error_of(lambda: read_pairs("no.tsv", None, None, "error", "data.val_path")) == (
        "data.val_path=no.tsv: there is no such file"
    )
    assert "expected two files, [SOURCE,TARGET]" in error_of(lambda: read_pairs(["a"], None, None, "error"))


def test_a_folder_tells_its_languages(tmp_path):
    write(tmp_path, train__en="a", train__de="b", dev__de="c", dev__en="d", README__md="e", test__fr="f")
    found = aligned_files(tmp_path)
    assert found == {part: [str(tmp_path / f"{name}.{end}") for end in ("de", "en")] for part, name in PARTS.items()}
    assert aligned_files(tmp_path, source="en")["train"] == [str(tmp_path / "train.en"), str(tmp_path / "train.de")]
    assert aligned_files(tmp_path, target="de") == aligned_files(tmp_path, "en")


PARTS = {"train": "train", "val": "dev"}


@pytest.mark.parametrize(
    "names, keys, told",
    [
        (
            ["train.de", "train.en", "train.fr"],
            {},
            "there are train.de, train.en, train.fr in this folder; expected two",
        ),
        (["train.de", "train.en", "train.fr"], {"source": "fr"}, "expected two such as train.de and train.en"),
        (["train.de", "train.en"], {"source": "fr"}, "data.source=fr: data.path=.*there are train.de, train.en"),
        (
            ["train.de", "train.en"],
            {"source": "de", "target": "de"},
            "data.target=de: the same as data.source; .* train.de, train.en",
        ),
        (["train.de"], {}, "there is train.de in this folder; expected two"),
        (["a.de", "a.en"], {}, r"there is no file train.\* in this folder; expected two"),
        (["train.de", "train.en", "val.de"], {}, "val.de has no counterpart that ends in en"),
        (["train.de", "train.en", "val.de", "dev.de"], {}, "dev.de and val.de are both for val"),
    ],
)
def test_a_folder_that_leaves_open_what_is_meant_is_told(tmp_path, names, keys, told):
    for name in names:
        (tmp_path / name).write_text("text\n")
    assert re.search(told, error_of(lambda: aligned_files(tmp_path, **keys)))


def test_two_of_several_languages_can_be_named(tmp_path):
    for name in ("train.de", "train.en", "train.fr", "val.fr", "val.de", "val.en", "test.en"):
        (tmp_path / name).write_text("text\n")
    found = aligned_files(tmp_path, "fr", "de")
    assert {part: [file.rpartition(".")[2] for file in files] for part, files in found.items()} == {
        "train": ["fr", "de"],
        "val": ["fr", "de"],
    }


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_what_is_validated_on_has_several_names(tmp_path, name):
    for part in ("train", name):
        write(tmp_path, **{f"{part}__de": "a", f"{part}__en": "b"})
    assert aligned_files(tmp_path)["val"] == [str(tmp_path / f"{name}.{ending}") for ending in ("de", "en")]


@pytest.mark.parametrize("name", ["test2016.de", "validate.en", "test.2016.de"])
def test_a_file_of_pairs_that_would_be_passed_over_is_told(tmp_path, name):
    others = ("train.de", "train.en", "train.tok.de", "train.tok.en", "test.tok.de", "notes.txt")
    for other in others:
        (tmp_path / other).write_text("text\n")
    assert list(aligned_files(tmp_path, "de", "en")) == ["train"]
    (tmp_path / name).write_text("text\n")
    ending = name[-3:]
    assert error_of(lambda: aligned_files(tmp_path, "de", "en")) == (
        f"data.path={tmp_path}: {name} is of no part; expected another name (val{ending}, valid{ending}, "
        f"validation{ending}, dev{ending}, test{ending}), data.val_path= and data.test_path= with the files that are "
        "meant, or this one elsewhere"
    )
    (tmp_path / "val.de").write_text("text\n")
    (tmp_path / "val.en").write_text("text\n")
    assert f"(test{ending}), data.test_path= with" in error_of(lambda: aligned_files(tmp_path, "de", "en"))
    # Where no part is missing, or the user says what it is, nothing would be drawn in its place.
    assert list(aligned_files(tmp_path, "de", "en", {"test": "elsewhere.tsv"})) == ["train", "val"]
    (tmp_path / "val.de").unlink()
    (tmp_path / "val.en").unlink()
    assert list(aligned_files(tmp_path, "de", "en", {"val": [str(tmp_path / name), "b"]})) == ["train"]


@pytest.mark.parametrize(
    "lines, found",
    [
        ("source\ttarget\neins\tone\n", [("eins", "one")]),
        ("n\ttarget\tsource\n1\tone\teins\n", [("eins", "one")]),
        ("Source\tTarget\neins\tone\n", [("Source", "Target"), ("eins", "one")]),
        ("the source\ttarget\neins\tone\n", [("the source", "target"), ("eins", "one")]),
    ],
)
def test_a_first_line_of_tabs_may_name_the_columns(tmp_path, lines, found):
    write(tmp_path, a__tsv=lines)
    assert texts(read_pairs(str(tmp_path / "a.tsv"), None, None, "error")) == found


def test_tables_tell_whether_they_have_a_column(tmp_path):
    write(tmp_path, a__tsv="de\ten\n", a__csv="de;en\n1;2\n", a__jsonl='{"de": 1, "en": 2}\n', a__txt="de\ten\n")
    for name, expected in (("a.tsv", True), ("a.csv", True), ("a.jsonl", True), ("a.txt", False)):
        assert has_column(tmp_path / name, "en") == expected
        assert not has_column(tmp_path / name, "fr")
        assert not has_column(tmp_path / name, None)

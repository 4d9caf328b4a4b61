import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.files import _cut, find_files, read_lines, read_text, read_texts
from seqmodels.errors import UserError


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 1000])
def test_pieces_make_up_the_text(tmp_path: Path, chunk_bytes: int) -> None:
    file = write(tmp_path / "a.txt", "\ufeffnaïve\r\n猫🐈\rend\n\r\n")
    assert "".join(read_text(file, chunk_bytes)) == "naïve\n猫🐈\nend\n\n"
    assert "".join(read_texts([file, file], chunk_bytes)) == "naïve\n猫🐈\nend\n\n" * 2


@pytest.mark.parametrize("chunk_bytes", [1, 4, 1000])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_byte_that_is_not_utf8_is_named(tmp_path: Path, chunk_bytes: int, bom: bytes) -> None:
    file = write(tmp_path / "a.txt", bom + "naïve".encode() + b"\xff rest")
    with pytest.raises(UserError, match=rf"a\.txt: byte {6 + len(bom)} \(0xff\) is not valid UTF-8"):
        list(read_text(file, chunk_bytes))


@pytest.mark.parametrize("chunk_bytes", [1, 4, 1000])
def test_character_that_the_end_cuts_is_named(tmp_path: Path, chunk_bytes: int) -> None:
    file = write(tmp_path / "a.txt", "ab猫".encode()[:-1])
    with pytest.raises(UserError, match=r"byte 2 \(0xe7\)"):
        list(read_text(file, chunk_bytes))


@given(text=st.text("ab \n", min_size=1, max_size=60), chunk=st.integers(8, 20))
def test_reading_in_pieces_loses_nothing(tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int) -> None:
    file = write(tmp_path_factory.mktemp("text") / "a.txt", text)
    pieces = list(read_texts([file, file], chunk))
    second = text if text.endswith("\n") else "\n" + text
    assert "".join(pieces) == text + second
    assert max(map(len, pieces)) <= 2 * chunk


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one\ntwo\nthree", "one\ntwo\n"),
        ("one\ntwo\n\nthree", "one\n"),
        ("one\ntwo\n three", "one\n"),
        ("one\n two", "one\n"),
        ("one two three", "one two "),
        ("onetwo", "onetw"),
    ],
)
def test_pieces_end_where_tokens_do(text: str, first: str) -> None:
    assert text[: _cut(text)] == first


def test_files_of_a_folder_are_sorted_and_empty_ones_left_out(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "note.md"):
        write(tmp_path / name, "x")
    write(tmp_path / "empty.txt", "")
    names = [file.relative_to(tmp_path.resolve()).as_posix() for file in find_files(str(tmp_path))]
    assert names == ["a.txt", "b.txt", "sub/c.txt"]
    assert [file.name for file in find_files(str(tmp_path), "*.md")] == ["note.md"]


def test_list_keeps_its_order(tmp_path: Path) -> None:
    b, a = write(tmp_path / "b.txt", "x"), write(tmp_path / "a.txt", "x")
    assert [file.name for file in find_files([str(b), str(a)])] == ["b.txt", "a.txt"]


def test_mistakes_name_the_path(tmp_path: Path) -> None:
    write(tmp_path / "empty.txt", "")
    (tmp_path / "folder").mkdir()
    for path, message in [
        ("missing.txt", "no such file or folder"),
        ("empty.txt", "the file is empty"),
        ("folder", r"no file matches \*\*/\*\.txt"),
        ("", r"only empty files match"),
    ]:
        with pytest.raises(UserError, match=message) as caught:
            find_files(str(tmp_path / path))
        assert str(caught.value).startswith(f"data.path={tmp_path / path}: ")
    for empty in ("", [], [""]):
        with pytest.raises(UserError, match=r"^data\.path="):
            find_files(empty)
    with pytest.raises(UserError, match=r"^data\.glob='/x': expected a pattern"):
        find_files(str(tmp_path), "/x")


def test_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        find_files(str(tmp_path))


def test_lines_are_stripped_and_empty_ones_left_out(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", " one \r\n\n\t\ntwo\nthree")
    assert list(read_lines([file, file])) == ["one", "two", "three"] * 2

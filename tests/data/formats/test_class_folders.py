from pathlib import Path

import pytest

from seqmodels.data.formats.class_folders import Item, read_class_folders
from seqmodels.errors import UserError


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_folder_for_each_class(tmp_path: Path) -> None:
    first, second = write(tmp_path / "pos" / "b.txt", " fine\nfilm \n"), write(tmp_path / "pos" / "c.txt", "good")
    third = write(tmp_path / "neg" / "a.txt", "bad")
    write(tmp_path / "neg" / "a.md", "not this")
    write(tmp_path / "urls.txt", "nor this")
    write(tmp_path / ".cache" / "x.txt", "nor this")
    assert read_class_folders(tmp_path) == [
        Item("bad", "neg", str(third)),
        Item("fine\nfilm", "pos", str(first)),
        Item("good", "pos", str(second)),
    ]


def test_file_for_each_class(tmp_path: Path) -> None:
    greek = write(tmp_path / "Greek.txt", "\ufeffÁlexis\r\n\r\n  Zorbas \r\n")
    irish = write(tmp_path / "Irish.txt", "Adam")
    assert read_class_folders(tmp_path) == [
        Item("Álexis", "Greek", f"{greek} line 1"),
        Item("Zorbas", "Greek", f"{greek} line 3"),
        Item("Adam", "Irish", f"{irish} line 1"),
    ]


def test_mistakes_name_the_class(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.val_path=.*none: there is no such folder"):
        read_class_folders(tmp_path / "none", key="data.val_path")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match=r"no folder and no file that matches \*\.txt"):
        read_class_folders(tmp_path / "nothing")
    write(tmp_path / "folders" / "pos" / "a.txt", "x")
    (tmp_path / "folders" / "neg").mkdir()
    with pytest.raises(UserError, match=r"^data\.path=.*folders: the folder of class 'neg' has no file"):
        read_class_folders(tmp_path / "folders")
    write(tmp_path / "folders" / "neg" / "b.txt", " \n")
    with pytest.raises(UserError, match=r"neg/b\.txt: there is no text in this file"):
        read_class_folders(tmp_path / "folders")
    write(tmp_path / "folders" / "neg" / "b.txt", b"bad\nna\xefve")
    with pytest.raises(UserError, match=r"neg/b\.txt line 2: byte 0xef is not valid UTF-8; expected UTF-8 text"):
        read_class_folders(tmp_path / "folders")
    write(tmp_path / "files" / "Greek.txt", "Zorbas\n")
    write(tmp_path / "files" / "Irish.txt", "\n \n")
    with pytest.raises(UserError, match=r"the file of class 'Irish', Irish\.txt, has no line with text"):
        read_class_folders(tmp_path / "files")
    write(tmp_path / "files" / "Irish.txt", b"Adam\nAd\xe1m\n")
    with pytest.raises(UserError, match=r"Irish\.txt line 2: byte 0xe1 is not valid UTF-8; expected UTF-8 text"):
        read_class_folders(tmp_path / "files")
    with pytest.raises(UserError, match=r"^data\.glob='/x': expected a pattern"):
        read_class_folders(tmp_path / "files", "/x")

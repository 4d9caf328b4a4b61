"""Folders whose names, or whose files' names, are classes."""

import os
from pathlib import Path
from typing import NamedTuple

from seqmodels.data.files import read_text
from seqmodels.data.formats.lines import numbered_lines
from seqmodels.errors import UserError


class Item(NamedTuple):
    """A text and its class.

    Attributes:
        text: Without the spaces around it.
        label: The class.
        place: Where it stands: the file, and the line where a file has several.
    """

    text: str
    label: str
    place: str


def read_class_folders(path: Path, glob: str = "*.txt", key: str = "data.path") -> list[Item]:
    """Reads texts by class.

    Either a folder for each class with a text in each file, as in `pos/0_9.txt`, or one file for each class with a text
    in each line, as in `Greek.txt`. Where there are folders, files beside them are not read. Names that begin with a
    dot are left out, as are empty lines.

    Args:
        path: The folder.
        glob: Which files.
        key: The key that named the folder, for messages.

    Returns:
        All texts: classes, files and lines in order.

    Raises:
        UserError: Where a file cannot be read or decoded, or a class has no text.
    """
    if not path.is_dir():
        raise UserError(f"{key}={path}: there is no such folder")
    folders = sorted(entry for entry in _entries(path, key) if entry.is_dir())
    if folders:
        return [item for folder in folders for item in _items_of_folder(folder, glob, key)]
    files = _matching(path, glob, key)
    if not files:
        raise UserError(f"{key}={path}: no folder and no file that matches {glob}; expected one for each class")
    return [item for file in files for item in _items_of_file(file, key)]


def _items_of_folder(folder: Path, glob: str, key: str) -> list[Item]:
    files = _matching(folder, glob, key)
    if not files:
        raise UserError(f"{key}={folder.parent}: the folder of class {folder.name!r} has no file that matches {glob}")
    items = [Item("".join(read_text(file)).strip(), folder.name, str(file)) for file in files]
    for item in items:
        if not item.text:
            raise UserError(f"{item.place}: there is no text in this file")
    return items


def _items_of_file(file: Path, key: str) -> list[Item]:
    lines = ((number, line.strip()) for number, line in numbered_lines(file))
    items = [Item(line, file.stem, f"{file} line {number}") for number, line in lines if line]
    if not items:
        raise UserError(f"{key}={file.parent}: the file of class {file.stem!r}, {file.name}, has no line with text")
    return items


def _matching(folder: Path, glob: str, key: str) -> list[Path]:
    _entries(folder, key)  # Path.glob passes over a folder that it may not read
    try:
        return sorted(file for file in folder.glob(glob) if file.is_file() and not file.name.startswith("."))
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"data.glob={glob!r}: expected a pattern such as *.txt") from error


def _entries(folder: Path, key: str) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError as error:
        raise UserError(f"{key}={folder}: cannot be read: {error.strerror}") from error

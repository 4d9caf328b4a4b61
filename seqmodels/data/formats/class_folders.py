"""Folders whose names, or whose files' names, are classes."""

import os
from pathlib import Path
from typing import NamedTuple

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

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "Greek.txt").write_text("Zorbas")
        >>> _ = (folder / "Irish.txt").write_text("Adam")
        >>> [(item.text, item.label) for item in read_class_folders(folder)]
        [('Zorbas', 'Greek'), ('Adam', 'Irish')]
    """
    if not path.is_dir():
        raise UserError(f"{key}={path}: there is no such folder")
    if has_folders(path, key):
        folders = sorted(entry for entry in _entries(path, key) if entry.is_dir())
        return [item for folder in folders for item in _items_of_folder(folder, glob, key)]
    files = _matching(path, glob, key)
    if not files:
        raise UserError(f"{key}={path}: no folder and no file that matches {glob}; expected one for each class")
    return [item for file in files for item in _items_of_file(file, key)]


def has_folders(path: Path, key: str = "data.path") -> bool:
    """Tells whether there are folders in a folder, but for those whose names begin with a dot.

    Raises:
        UserError: Where it cannot be read.
    """
    return any(entry.is_dir() for entry in _entries(path, key))


def files_within(path: Path, glob: str = "*.txt", key: str = "input") -> list[Path]:
    """Returns the files of a folder and of those within it, sorted; names that begin with a dot are left out.

    Args:
        path: The folder.
        glob: Which files.
        key: The key that named the folder, for messages.

    Raises:
        UserError: Where a folder cannot be read, or there is no such file.
    """
    files = _within(path, glob, key)
    if not files:
        raise UserError(f"{key}={path}: no file in this folder matches {glob}; data.glob= takes another pattern")
    return sorted(files)


def _within(folder: Path, glob: str, key: str) -> list[Path]:
    inner = [file for entry in _entries(folder, key) if entry.is_dir() for file in _within(entry, glob, key)]
    return _matching(folder, glob, key) + inner


def _items_of_folder(folder: Path, glob: str, key: str) -> list[Item]:
    files = _matching(folder, glob, key)
    if not files:
        raise UserError(f"{key}={folder.parent}: the folder of class {folder.name!r} has no file that matches {glob}")
    texts = ("\n".join(line for _, line in numbered_lines(file)).strip() for file in files)
    items = [Item(text, folder.name, str(file)) for text, file in zip(texts, files, strict=True)]
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

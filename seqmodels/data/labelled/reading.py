"""Texts with labels from a table, from folders, from the hub; texts without from a table or from lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from seqmodels.data.files import find_files
from seqmodels.data.formats.class_folders import files_within, has_folders, read_class_folders
from seqmodels.data.formats.lines import lenient_lines, undecodable
from seqmodels.data.formats.tables import is_table, read_table, read_table_rows
from seqmodels.data.labelled.hub import HUB, read_hub
from seqmodels.errors import UserError

FolderForm = Literal["files", "lines"]


class LabelledRow(NamedTuple):
    """A text with what stands for its label.

    Attributes:
        text: The text, without the spaces around it.
        label: The value of the column of labels, as the file has it.
        place: File and line.
    """

    text: str
    label: Any
    place: str


class TextRow(NamedTuple):
    """A text that something is to be predicted for.

    Attributes:
        line: Where it stands, from 1.
        text: The text, without the spaces around it; empty where there is a problem.
        problem: Why it could not be read, with file and line; `None` where it could.
        file: Its file, relative to the folder that was asked for; `None` where all are of one file.
    """

    line: int
    text: str
    problem: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class TextSource:
    """How labelled texts are read.

    Args:
        text_column: The column of a table that has the text.
        label_column: The one that has the label.
        glob: Which files of a folder.
    """

    text_column: str
    label_column: str
    glob: str

    def read(self, path: str, key: str = "data.path") -> dict[str, list[LabelledRow]]:
        """Reads texts with labels.

        Args:
            path: A table (see `read_table`), a folder (see `read_class_folders`), or `hub:NAME` of a data set of the
                hub, which may have parts of its own.
            key: The key that named it, for messages.

        Returns:
            The texts of "train", and of "val" and "test" where the hub has them.

        Raises:
            UserError: Where something cannot be read or has no text.
        """
        if path.startswith(HUB):
            parts = read_hub(path.removeprefix(HUB), self.text_column, self.label_column, key)
            return {part: [self._checked(*row) for row in rows] for part, rows in parts.items()}
        place = Path(path).expanduser()
        if place.is_dir():
            return {"train": [LabelledRow(*item) for item in read_class_folders(place, self.glob, key)]}
        if not path or not place.exists():
            raise UserError(f"{key}={path}: there is no such file or folder")
        (file,) = find_files(path, key=key)
        columns = {"data.text_column": self.text_column, "data.label_column": self.label_column}
        rows = read_table(file, columns)
        texts = [self._checked(row[self.text_column], row[self.label_column], f"{file} line {n}") for n, row in rows]
        if not texts:
            raise UserError(f"{key}={path}: the table has no rows")
        return {"train": texts}

    def _checked(self, text: Any, label: Any, place: str) -> LabelledRow:
        if problem := _no_text(text, self.text_column):
            raise UserError(f"{place}: {problem}")
        return LabelledRow(text.strip(), label, place)


def folder_form(path: str) -> FolderForm:
    """Tells where the texts of a folder stand: "lines", in those of its files, or "files", one in each, as elsewhere.

    Args:
        path: What is trained on.
    """
    place = Path(path).expanduser()
    return "lines" if place.is_dir() and not has_folders(place) else "files"


def read_texts_to_label(
    path: str,
    text_column: str,
    glob: str = "*.txt",
    folder: FolderForm = "files",
    key: str = "data.text_column",
) -> Iterator[TextRow]:
    """Reads texts that something is to be predicted for.

    Args:
        path: A table, whose other columns are of no account; a folder, whose folders' names are of none; or any other
            text file, with a text in each line.
        text_column: The column of a table that has the text.
        glob: Which files of a folder are read.
        folder: Where the texts of a folder stand, see `folder_form`; they are numbered in the order of its files.
        key: The key that names the column, for messages.

    Raises:
        UserError: Where nothing of it can be read.
    """
    file, column = Path(path).expanduser(), text_column
    if file.is_dir():
        files = files_within(file, glob)
        rows = _texts_of_lines if folder == "lines" else _text_of_file
        texts = (text._replace(file=str(one.relative_to(file))) for one in files for text in rows(one))
        for number, text in enumerate(texts, start=1):
            yield text._replace(line=number)
    elif is_table(file):
        for row in read_table_rows(file, {key: column}):
            problem = row.problem or _at(file, row.line, _no_text(row.values[column], column))
            yield TextRow(row.line, "" if problem else row.values[column].strip(), problem)
    else:
        yield from _texts_of_lines(file)


def _texts_of_lines(file: Path) -> Iterator[TextRow]:
    for number, line in lenient_lines(file):
        problem = _at(file, number, undecodable(line) or (None if line.strip() else "there is no text"))
        yield TextRow(number, "" if problem else line.strip(), problem)


def _text_of_file(file: Path) -> Iterator[TextRow]:
    text = "\n".join(line for _, line in lenient_lines(file)).strip()
    problem = undecodable(text) or (None if text else "there is no text in this file")
    yield TextRow(1, "" if problem else text, f"{file}: {problem}" if problem else None)


def _no_text(value: Any, column: str) -> str | None:
    if not isinstance(value, str):
        return f"column {column}: expected text, got {value!r}"
    return None if value.strip() else f"column {column}: there is no text"


def _at(file: Path, line: int, problem: str | None) -> str | None:
    return f"{file} line {line}: {problem}" if problem else None

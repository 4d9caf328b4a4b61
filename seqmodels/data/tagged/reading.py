"""Tagged sentences from files, and from folders of files for training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seqmodels.data.files import find_files
from seqmodels.data.formats.conll import is_conllu, read_conll
from seqmodels.errors import UserError

_ENDINGS = {"train": ("train",), "val": ("dev", "valid", "val", "testa"), "test": ("test", "testb")}


class Tagged(NamedTuple):
    """A sentence with its tags.

    Attributes:
        words: Its words.
        tags: Their tags; `None` for a word that has none.
        place: File and line of the first word.
    """

    words: list[str]
    tags: Sequence[str | None]
    place: str


@dataclass(frozen=True)
class TagColumns:
    """Which columns of a file are read.

    Args:
        word: That of the words; `None` is "form" in CoNLL-U, and 0 in plain CoNLL.
        tag: That of the tags; `None` is "upos" in CoNLL-U, and -1, the last, in plain CoNLL.
    """

    word: str | int | None
    tag: str | int | None

    def read(self, path: str, key: str = "data.path") -> list[Tagged]:
        """Reads a file.

        Args:
            path: CoNLL-U, by its suffix `.conllu`, or else plain CoNLL; see `read_conll`.
            key: The key that named it, for messages.

        Raises:
            UserError: Where it is not there, cannot be read, or a line does not have the columns.
        """
        if not path or not Path(path).expanduser().is_file():
            raise UserError(f"{key}={path}: there is no such file")
        (file,) = find_files(path, key=key)
        tag = self.tag if self.tag is not None else ("upos" if is_conllu(file) else -1)
        sentences = read_conll(file, self.word, tag)
        return [Tagged(one.words, one.tags or [], f"{file} line {one.line}") for one in sentences]


def files_of(path: str) -> dict[str, str]:
    """Returns the file of each part: the path itself as "train", or in a folder those whose names end accordingly.

    Args:
        path: A file, or a folder with files such as `en-train.conllu`, `en-dev.conllu` and `en-test.conllu`.

    Raises:
        UserError: Where a folder has none for training, or several for a part.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return {"train": path}
    files: dict[str, str] = {}
    for file in find_files(path, "*.*"):
        for part, endings in _ENDINGS.items():
            if not file.name.startswith(".") and file.stem.lower().endswith(endings):
                if part in files:
                    raise UserError(
                        f"data.path={path}: {Path(files[part]).name} and {file.name} are both for {part}; "
                        "expected one, or the file itself as data.path"
                    )
                files[part] = str(file)
    if "train" not in files:
        raise UserError(f"data.path={path}: no file in this folder has a name that ends in train, such as train.conllu")
    return files

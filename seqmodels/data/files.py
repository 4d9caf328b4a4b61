"""Reading text files in pieces, with mistakes told by file and place."""

import codecs
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqmodels.errors import UserError

CHUNK_BYTES = 1 << 20
MAX_LINE = 1 << 26
"""Characters of a line, where each is one text."""


def find_files(
    path: str | list[str], glob: str = "**/*.txt", key: str = "data.path", glob_key: str | None = "data.glob"
) -> list[Path]:
    """Returns the files that are meant.

    Args:
        path: A file, a folder, or a list of them.
        glob: Which files of a folder; they are sorted by name.
        key: The key that named them, for messages.
        glob_key: The key that takes another pattern; `None` where there is none.

    Returns:
        Files with something in them, by their full path.

    Raises:
        UserError: Where one is missing or empty, a folder cannot be read or has no file that matches.
    """
    paths = [path] if isinstance(path, str) else path
    if not paths or not all(paths):
        raise UserError(f"{key}={path!r}: expected a text file, a list of text files, or a folder")
    return [file for one in paths for file in _files_of(Path(one).expanduser(), glob, key, glob_key)]


def _files_of(path: Path, glob: str, key: str, glob_key: str | None) -> list[Path]:
    try:
        if not path.is_dir():
            if path.stat().st_size == 0:
                raise UserError(f"{key}={path}: the file is empty")
            return [path.resolve()]
        os.listdir(path)  # Path.glob passes over a folder that it may not read
        matches = sorted(file.resolve() for file in path.glob(glob) if file.is_file())
        files = [file for file in matches if file.stat().st_size]
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{key}={path}: there is no such file or folder") from error
    except OSError as error:
        raise UserError(f"{key}={path}: cannot be read: {error.strerror}") from error
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"data.glob={glob!r}: expected a pattern such as **/*.txt") from error
    if not files:
        found = f"only empty files match {glob}" if matches else f"no file matches {glob}"
        advice = f"{glob_key}= takes another pattern" if glob_key else "expected a file, or a folder with such"
        raise UserError(f"{key}={path}: {found} in this folder; {advice}")
    return files


def read_text(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[str]:
    r"""Yields the text of a UTF-8 file in pieces; without byte order mark, every line end as `\n`.

    Args:
        path: The file.
        chunk_bytes: How much is read at once.

    Raises:
        UserError: Where the file cannot be read, or a byte is NUL or not UTF-8; with the byte's offset.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    num_read = 0
    try:
        with open(path, "rb") as file:
            while block := file.read(chunk_bytes):
                if b"\0" in block:
                    place = num_read + block.index(b"\0")
                    raise UserError(
                        f"{path}: byte {place} is NUL, as binary files and UTF-16 have; expected UTF-8 text"
                    )
                num_read += len(block)
                yield decoder.decode(block)
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # What the decoder had before it ends where reading has got to.
        offset = num_read - len(error.object) + error.start
        raise UserError(
            f"{path}: byte {offset} ({error.object[error.start]:#04x}) is not valid UTF-8; expected UTF-8 text"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def read_texts(paths: Iterable[Path], chunk_bytes: int = CHUNK_BYTES) -> Iterator[str]:
    """Yields the text of several files one after the other, each ended by a line end, in pieces.

    Pieces end where no tokenizer would have a token go on: at the end of a line that neither ends in a space nor is
    followed by one or by an empty line. Where a text has none they end at another line end, a space, or anywhere.
    """
    rest = ""
    for number, path in enumerate(paths):
        if number and not rest.endswith("\n"):
            rest += "\n"
        for chunk in read_text(path, chunk_bytes):
            text = rest + chunk
            cut = _cut(text) if len(text) >= chunk_bytes // 4 else 0
            if cut:
                yield text[:cut]
            rest = text[cut:]
    if rest:
        yield rest


def _cut(text: str) -> int:
    end = text.rfind("\n", 1, len(text) - 1)
    while end > 0:
        if not text[end - 1].isspace() and not text[end + 1].isspace():
            return end + 1
        end = text.rfind("\n", 1, end)
    # The last piece is never the whole text, so that `rest` tells whether a file ended its line.
    return text.rfind("\n", 0, len(text) - 1) + 1 or text.rfind(" ", 0, len(text) - 1) + 1 or len(text) - 1


def read_lines(paths: Iterable[Path]) -> Iterator[str]:
    """Yields each line without the spaces around it; empty lines are left out."""
    rest = ""
    for chunk in read_texts(paths):
        *lines, rest = (rest + chunk).split("\n")
        if len(rest) > MAX_LINE:
            raise UserError(
                f"{rest[:40]!r}...: this line has more than {MAX_LINE:,} characters; expected a shorter one"
            )
        yield from filter(None, map(str.strip, lines))
    if rest.strip():
        yield rest.strip()

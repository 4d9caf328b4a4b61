"""Lines of a text file with their numbers, and what of them is no text."""

from collections.abc import Iterator
from pathlib import Path

from seqmodels.errors import UserError

MAX_LINE = 1 << 26
"""Characters of a line: a line is one row, and this is a library of novels."""


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yields each line of a UTF-8 file without its end, and its number from 1.

    Lines end at `\n`, `\r\n` or `\r`, and nowhere else.

    Raises:
        UserError: Where the file cannot be read, or a byte is not UTF-8; with the number of its line.
    """
    for number, line in lenient_lines(path):
        if problem := undecodable(line):
            raise UserError(f"{path} line {number}: {problem}; expected UTF-8 text")
        yield number, line


def lenient_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the same, but goes on where a byte is not UTF-8: `undecodable` finds it in the line.

    Raises:
        UserError: Where the file cannot be read, or a line is longer than any row.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1):
                check_line(path, number, line)
                yield number, line.removesuffix("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def check_line(path: Path, number: int, line: str) -> None:
    """Refuses a line that is longer than any row, before more of it is read.

    Args:
        path: Its file.
        number: Its number, from 1.
        line: What was read of it, `MAX_LINE` characters at most.

    Raises:
        UserError: For such a one.
    """
    if len(line) >= MAX_LINE:
        raise UserError(f"{path} line {number}: has more than {MAX_LINE - 1:,} characters; expected a shorter line")


def undecodable(text: str) -> str | None:
    r"""Returns what of a text is not Unicode, in words; `None` where it is.

    Example:
        >>> undecodable("naïve"), undecodable(b"na\xefve".decode("utf-8", "surrogateescape"))
        (None, 'byte 0xef is not valid UTF-8')
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        # What surrogateescape makes of a byte; any other surrogate was written so, in JSON.
        return (
            f"byte {code - 0xDC00:#04x} is not valid UTF-8" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:x} is no text"
        )
    return "a NUL byte is no text" if "\0" in text else None

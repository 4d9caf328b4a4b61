"""Quotes, comments and brackets of a text: which of them are open after each character."""

import re
from functools import lru_cache
from typing import NamedTuple

MARKS = {"single": ("'",), "double": ('"', "”"), "triple": ("'''", '"""')}
"""The kinds of quotes, and the marks that end them."""

OPENING = {"(": ")", "[": "]", "{": "}"}
LONGEST_PREFIX = 2
"""Letters before a quote that are part of a Python string, as in `rb"..."`, at most."""

FAR = 200
"""Characters before a mark that are looked at."""

_TRIPLE = re.compile("\"\"\"|'''")
_PREFIX = re.compile(r"\b[rbfut]{1,2}$", re.IGNORECASE)


class Scan(NamedTuple):
    """What is open after each character.

    Attributes:
        marks: The mark that will end the quote, `#` in a comment, nothing outside of both.
        depths: How many brackets are open.
    """

    marks: tuple[str, ...]
    depths: tuple[int, ...]


@lru_cache(maxsize=4)
def scan(text: str) -> Scan:
    """Reads a text from its beginning, as Python where it is Python, and forgivingly where it is prose.

    A quote is open from its first mark on and closed with its last. An apostrophe in a word is no quote. A comment
    goes from `#` to the end of its line. Single quotes end with their line; double quotes, which prose carries over
    lines, and brackets that nobody closes end with the paragraph: at a line that is not indented, after an empty one.
    Brackets that are left open in a quote or a comment end with it; those that nobody opened are nothing. A text that
    was cut out of a longer one may begin within triple quotes: what stands around the first such marks tells.

    Args:
        text: Any; other than that it should begin outside of quotes.

    Example:
        >>> scan("'a' # b").marks
        ("'", "'", '', '', '#', '#', '#')
        >>> scan("don't (a[0])").depths
        (0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 1, 0)
    """
    return _Reader(text).read()


class _Reader:
    """Holds what is open while a text is read."""

    def __init__(self, text: str):
        self.text = text
        self.mark = _mark_at_start(text)
        self.brackets: list[str] = []  # the marks that close those that are open
        self.base = 0  # how many of them stand outside of the quote

    def read(self) -> Scan:
        marks: list[str] = []
        depths: list[int] = []
        while len(marks) < len(self.text):
            place, before = len(marks), self.mark
            self._end_paragraph(place)
            length = self._read_comment(place) if self.mark == "#" else self._read(place)
            # A mark of three is inside until its last character, whether it opens or closes.
            marks += [before or self.mark] * (length - 1) + [self.mark]
            depths += [len(self.brackets)] * length
        return Scan(tuple(marks), tuple(depths))

    def _read(self, place: int) -> int:
        """Reads what stands at a place, and returns how many characters that was."""
        return self._read_quoted(place) if self.mark else self._read_plain(place)

    def _read_plain(self, place: int) -> int:
        character = self.text[place]
        if character in "'\"“#" and not self._is_apostrophe(place):
            mark = "”" if character == "“" else character
            if character in "'\"" and self.text.startswith(3 * character, place):
                mark = 3 * character
            self.mark, self.base = mark, len(self.brackets)
            return len(mark)
        self._read_bracket(character)
        return 1

    def _read_quoted(self, place: int) -> int:
        character = self.text[place]
        if character == "\\":
            return min(2, len(self.text) - place)
        if self.text.startswith(self.mark, place) and not self._is_inner_apostrophe(place):
            length = len(self.mark)
            self._close()
            return length
        if character == "\n" and self.mark == "'":
            self._close()
        self._read_bracket(character)
        return 1

    def _read_comment(self, place: int) -> int:
        if self.text[place] == "\n":
            self._close()
        self._read_bracket(self.text[place])
        return 1

    def _read_bracket(self, character: str) -> None:
        if character in OPENING:
            self.brackets.append(OPENING[character])
        elif character in self.brackets[self.base :]:
            while self.brackets.pop() != character:
                pass

    def _close(self) -> None:
        del self.brackets[self.base :]
        self.mark, self.base = "", 0

    def _end_paragraph(self, place: int) -> None:
        character = self.text[place]
        if self.text[max(0, place - 2) : place] != "\n\n" or character.isspace() or character in OPENING.values():
            return
        if self.mark in MARKS["double"]:
            self._close()
        del self.brackets[self.base :]

    def _is_apostrophe(self, place: int) -> bool:
        """Tells whether this ends or joins a word, or ends a line, rather than opens a quote."""
        character, after = self.text[place], self.text[place + 1 : place + 2]
        if character == "#" or (character != "'" and after != "\n"):
            return False
        if after == "\n":
            return not self.text.endswith(3 * character, 0, place + 1)
        start = place
        while start > 0 and place - start <= LONGEST_PREFIX and self.text[start - 1].isalnum():
            start -= 1
        word = self.text[start:place].lower()
        return bool(word) and not (len(word) <= LONGEST_PREFIX and set(word) <= set("rbfut"))

    def _is_inner_apostrophe(self, place: int) -> bool:
        """Tells whether a single mark inside single quotes stands within a word."""
        around = self.text[max(0, place - 1) : place + 2]
        return self.mark == "'" and len(around) == 3 and around[0].isalpha() and around[2].isalpha()


def _mark_at_start(text: str) -> str:
    """Returns the mark of the triple quotes that a text begins within, nothing where it begins outside of them."""
    for number, found in enumerate(_TRIPLE.finditer(text)):
        before = _PREFIX.sub("", text[max(0, found.start() - FAR) : found.start()])
        on_line, last = before.rpartition("\n")[2].strip(), before.rstrip()[-1:]
        after = text[found.end() : found.end() + 1]
        opens = after.isalnum() or last in set(":=([{,+%")
        ends_text = bool(on_line) and (last.isalnum() or last in ".!?")
        line_before = before.rstrip().rpartition("\n")[2].lstrip()
        stands_alone = not on_line and after == "\n" and last not in ("", ":") and not line_before.startswith("#")
        if opens != (ends_text or stands_alone):
            return found.group() if opens == (number % 2 == 1) else ""
    return ""

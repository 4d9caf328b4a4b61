"""ABC notation: tunes of a file, their fields, and whether a text keeps to the notation.

The subset of "The ABC music standard 2.1" (December 2011) that tunes of one voice are written in: header and fields,
notes, rests, bars and endings, chords, grace notes, tuplets, slurs and ties, decorations, chord symbols, broken rhythm.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_FIELD = re.compile(r"([A-Za-z+]):(?![|:])\s*(.*)")
_HEADER_FIELDS = frozenset("ABCDFGHIKLMNOPQRSTUVWXZmrsw+")
_BODY_FIELDS = frozenset("IKLMNPQRTUVWmrsw+")
_MODE = r"(?:maj|min|ion|dor|phr|lyd|mix|aeo|loc)[a-z]*|m|exp"
_KEY_EXTRA = r"[\^_=]+[a-g]|(?:treble|bass|alto|tenor|perc)\S*|(?:clef|middle|transpose|octave|stafflines|staff)=\S+"
_VALUES = {
    "X": (re.compile(r"\d+"), "a number"),
    "L": (re.compile(r"1(/[1-9]\d*)?"), "a unit such as 1/8"),
    "M": (re.compile(r"none|C\|?|\(?\d+(\s*\+\s*\d+)*\)?/[1-9]\d*"), "a metre such as 6/8"),
    "K": (
        re.compile(rf"(?:[A-G][#b]?\s*(?i:{_MODE})?|HP|Hp|none)?(?:\s+(?:{_KEY_EXTRA}|exp))*"),
        "a key such as D or A Dorian",
    ),
}

_LENGTH = r"(?:[1-9]\d*)?(?:/[1-9]\d*|/+)?"
_NOTE = rf"(?:\^\^?|__?|=)?[A-Ga-g][,']*{_LENGTH}"
_DECORATION = r"[.~HLMOPSTuv](?![-(|])|![\w<>().+-]+!"
_QUOTED = r'"[^"]*"'
_CHORD = rf"\[(?:(?:{_DECORATION}|{_QUOTED})*{_NOTE}-?\s*)+\]{_LENGTH}"
_ELEMENT = re.compile(
    "|".join(
        f"(?P<{kind}>{pattern})"
        for kind, pattern in {
            "comment": r"%.*",
            "inline": r"\[(?P<letter>[IKLMNPQRUVmr]):(?P<value>[^\]]*)\]",
            "chord": _CHORD,
            "bar": r"\.?(?::*\|[|\]:]*|\[\|[\]:]*|::+)(?:[1-9][\d,-]*)?|\[[1-9][\d,-]*",
            "grace": rf"\{{/?(?:{_DECORATION}|{_NOTE}|{_CHORD}|[\s()<>-])+\}}",
            "quoted": _QUOTED,
            "decoration": _DECORATION,
            "note": _NOTE,
            "rest": rf"[xyz]{_LENGTH}|[XZ](?:[1-9]\d*)?",
            "tuplet": r"\((?P<p>[2-9])(?::[1-9]?(?::(?P<r>[1-9])?)?)?",
            "tie": r"\.?-",
            "slur": r"\.?\(",
            "slur_end": r"\)",
            "broken": r"<{1,3}|>{1,3}",
            "space": r"[\s`$&]+|\\$|!(?=\s|$)",  # the last is a line break of older programs
            "other": r".",
        }.items()
    )
)
_SOUNDS = ("note", "rest", "chord")
_SILENT = ("comment", "grace", "quoted", "decoration", "space", "slur", "slur_end")
_STRAY = {
    '"': "a quote that is not closed",
    "[": "'[' opens no chord, field or ending",
    "]": "']' closes nothing",
    "{": "'{' opens no grace notes",
    "}": "'}' closes nothing",
}


class Tune(NamedTuple):
    """One tune of a file.

    Attributes:
        line: The number of its first line in the file.
        text: Its lines from `X:` on, without the empty line that ends it.
    """

    line: int
    text: str

    @property
    def fields(self) -> dict[str, str]:
        """The fields of its header, the first of each letter, up to and including `K:`.

        Example:
            >>> Tune(1, "X:1\\nR: jig\\nK:D\\nDFA d3|").fields
            {'X': '1', 'R': 'jig', 'K': 'D'}
        """
        fields: dict[str, str] = {}
        for line in self.text.split("\n"):
            match = _FIELD.fullmatch(line.partition("%")[0].rstrip())
            if match and "K" not in fields:
                fields.setdefault(match[1], match[2])
        return fields

    @property
    def body(self) -> str:
        """The lines after `K:`, which are the music.

        Example:
            >>> Tune(1, "X:1\\nR: jig\\nK:D\\nDFA d3|").body
            'DFA d3|'
        """
        lines = self.text.split("\n")
        return "\n".join(lines[next((place for place, line in enumerate(lines, 1) if line.startswith("K:")), 0) :])


def split_tunes(text: str) -> list[Tune]:
    """Returns the tunes of a file: each from a line `X:` to an empty line or the next `X:`.

    An empty line between header and music, which the standard forbids and files have, is left out. What lies between
    tunes is no part of any.

    Example:
        >>> [tune.line for tune in split_tunes("% two tunes\\n\\nX:1\\nK:D\\nd4|\\n\\nfree text\\nX:2\\nK:G\\n\\ng4|")]
        [3, 8]
    """
    tunes: list[tuple[int, list[str]]] = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("X:"):
            tunes.append((number, []))
            inside = True
        elif inside and not line.strip():
            inside = tunes[-1][1][-1].startswith("K:")
            continue
        if inside:
            tunes[-1][1].append(line.rstrip())
    return [Tune(number, "\n".join(lines)) for number, lines in tunes]


def problems_of(text: str) -> list[str]:
    """Returns what of a tune does not keep to the notation, each with its line; nothing where it parses.

    Args:
        text: One tune, from `X:` on.

    Example:
        >>> problems_of("X:1\\nM:6/8\\nL:1/8\\nK:D\\n|:DFA d2e|(3fga [df]3:|")
        []
        >>> problems_of("X:1\\nK:D\\nDF? (A|")
        ["line 3: unknown character '?'", 'a slur is not closed']
    """
    lines = text.rstrip().split("\n")
    end = next((place for place, line in enumerate(lines, 1) if line.startswith("K:")), None)
    problems = [] if lines[0].startswith("X:") else ["line 1: expected the field X:"]
    if end is None:
        return [*problems, "the field K: is missing"]
    for number, line in enumerate(lines[:end], 1):
        problems += (f"line {number}: {problem}" for problem in _header_problems(line, is_first=number == 1))
    depth = num_notes = 0
    for number, line in enumerate(lines[end:], end + 1):
        kinds, found = _line_problems(line)
        problems += (f"line {number}: {problem}" for problem in found)
        for kind in kinds:
            depth += (kind == "slur") - (kind == "slur_end")
            if depth < 0:
                problems.append(f"line {number}: ')' closes no slur")
                depth = 0
        num_notes += sum(kind in ("note", "chord") for kind in kinds)
    if depth:
        problems.append("a slur is not closed")
    return problems if num_notes else [*problems, "no note after K:"]


def _header_problems(line: str, is_first: bool) -> Iterator[str]:
    content = line.partition("%")[0].rstrip()
    match = _FIELD.fullmatch(content)
    if not content:
        if not line:
            yield "an empty line in the header"
    elif not match or match[1] not in _HEADER_FIELDS:
        yield f"{content!r} is no field of a header"
    elif match[1] == "X" and not is_first:
        yield "a second X: in one tune"
    else:
        yield from _value_problems(match[1], match[2])


def _value_problems(letter: str, value: str) -> Iterator[str]:
    pattern, expected = _VALUES.get(letter, (None, ""))
    if pattern and not pattern.fullmatch(value.strip()):
        yield f"{letter}:{value} is not {expected}"


def _line_problems(line: str) -> tuple[list[str], list[str]]:
    """Returns the kinds of a body line's elements in order, and its problems."""
    if not line.strip():
        return [], ["an empty line in the tune"]
    field = _FIELD.fullmatch(line.partition("%")[0].rstrip())
    if field:
        known = field[1] in _BODY_FIELDS
        return [], list(_value_problems(field[1], field[2])) if known else [f"{field[1]}: is no field of a tune's body"]
    elements = list(_ELEMENT.finditer(line))
    heard = [element for element in elements if element.lastgroup not in _SILENT]
    problems: list[str] = []
    for place, element in enumerate(heard):
        problems += _element_problems(element, _kinds(heard[:place]), _kinds(heard[place + 1 :]))
    return _kinds(elements), problems


def _element_problems(element: re.Match[str], before: list[str], after: list[str]) -> Iterator[str]:
    """Yields what is wrong with an element of a line, given the kinds of those before and after it."""
    kind, text = element.lastgroup, element[0]
    if kind == "other":
        yield _STRAY.get(text, f"unknown character {text!r}")
    elif kind == "inline":
        yield from _value_problems(element["letter"], element["value"])
    elif kind == "tie" and before[-1:] not in (["note"], ["chord"]):
        yield "a tie with no note before it"
    elif kind == "broken" and not (before and after and before[-1] in _SOUNDS and after[0] in _SOUNDS):
        yield f"{text!r} does not stand between two notes"
    elif kind == "tuplet":
        expected = int(element["r"] or element["p"])
        sounds = itertools.takewhile(lambda kind: kind != "bar", after)
        num_sounds = sum(kind in _SOUNDS for kind in sounds)
        if num_sounds < expected:
            yield f"{text!r} is followed by {num_sounds} notes"


def _kinds(elements: Iterable[re.Match[str]]) -> list[str]:
    return [element.lastgroup or "" for element in elements]

"""Sentences with a word in each line: CoNLL and CoNLL-U."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from seqmodels.data.formats.lines import lenient_lines, numbered_lines, undecodable
from seqmodels.errors import UserError

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
CONLLU_SUFFIXES = (".conllu", ".conllup")
# "1-2" stands before the words of a contraction, "1.1" for a word that is not in the text.
_NO_WORD = re.compile(r"\d+(-|\.)\d+")
_WORD = re.compile(r"\d+")
# What parts documents in CoNLL-2003, and in CoNLL-2012 (OntoNotes).
_DOCUMENT = ("-DOCSTART-", "#begin document", "#end document")
_GAP = re.compile(r"[ \t]+")
# In plain CoNLL too comments may say something by a name, as in "# sent_id = 1".
_COMMENT = re.compile(r"# +[^\s=]+ += ")
# Where "_" means that nobody has said it; in the others it is a value, such as no features.
_ANNOTATED = tuple(CONLLU_COLUMNS.index(name) for name in ("upos", "xpos", "head", "deprel"))


class Sentence(NamedTuple):
    """The words of a sentence.

    Attributes:
        line: The line of its first word, from 1.
        words: Its words.
        tags: Their tags, `None` for a word of CoNLL-U that has none; `None` where none were asked for.
        problem: Why it could not be read, with file and line; `None` where it could.
    """

    line: int
    words: list[str]
    tags: Sequence[str | None] | None
    problem: str | None = None


def is_conllu(path: Path) -> bool:
    """Tells CoNLL-U from plain CoNLL by the file's suffix."""
    return path.suffix.lower() in CONLLU_SUFFIXES


def read_conll(path: Path, word_column: str | int | None = None, tag_column: str | int | None = None) -> list[Sentence]:
    r"""Reads all sentences; the first that cannot be read ends it.

    A file of suffix `.conllu` is CoNLL-U (https://universaldependencies.org/format.html): ten columns with names and
    tabs between; comments, ranges of several words (`1-2`) and empty nodes (`1.1`) are left out. Any other is plain
    CoNLL: columns with tabs or spaces between, as many in each line as in the first; lines that part
    documents (`-DOCSTART-`, `#begin document`, `#end document`) are left out, and so are lines before a sentence that
    begin with `# ` and do not have the columns of a word.

    Args:
        path: The file.
        word_column: The words: a name such as "form", or a number, 0 the first and -1 the last. `None` is "form", or 0.
        tag_column: The tags likewise, such as "upos" or -1; `None` reads words alone.

    Raises:
        UserError: Where the file cannot be read or decoded, has no sentence, or a line does not have the columns.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "names.conll"
        >>> _ = path.write_text("-DOCSTART- O\n\nEmma B-PER\nleft O\n\n")
        >>> read_conll(path, tag_column=-1)
        [Sentence(line=3, words=['Emma', 'left'], tags=['B-PER', 'O'], problem=None)]
    """
    sentences = []
    for sentence in _sentences(path, numbered_lines(path), word_column, tag_column):
        if sentence.problem:
            raise UserError(sentence.problem)
        sentences.append(sentence)
    if not sentences:
        raise UserError(f"{path}: there is no sentence in this file")
    return sentences


def read_conll_words(path: Path, word_column: str | int | None = None) -> Iterator[Sentence]:
    """Yields the words of each sentence, of those too that cannot be read, with what is wrong with them.

    Args:
        path: The file, as in `read_conll`; it needs no tags.
        word_column: As in `read_conll`.

    Raises:
        UserError: Where nothing of the file can be read.
    """
    return _sentences(path, lenient_lines(path), word_column, None)


def _sentences(
    path: Path, lines: Iterable[tuple[int, str]], word_column: str | int | None, tag_column: str | int | None
) -> Iterator[Sentence]:
    conllu = is_conllu(path)
    word = _place(word_column if word_column is not None else ("form" if conllu else 0), "data.word_column", conllu)
    tag = None if tag_column is None else _place(tag_column, "data.tag_column", conllu)
    reader = _Reader(path, word, tag, conllu)
    for number, line in lines:
        if line.strip():
            reader.add(number, line)
        elif sentence := reader.take():
            yield sentence
    if sentence := reader.take():
        yield sentence


def _place(column: str | int, key: str, conllu: bool) -> int:
    if isinstance(column, int):
        if conllu and not -len(CONLLU_COLUMNS) <= column < len(CONLLU_COLUMNS):
            raise UserError(f"{key}={column}: CoNLL-U has columns 0 to {len(CONLLU_COLUMNS) - 1}")
        return column
    if not conllu:
        raise UserError(f"{key}={column}: the columns of plain CoNLL have no names; expected a number, -1 for the last")
    if column.lower() not in CONLLU_COLUMNS:
        raise UserError(f"{key}={column}: CoNLL-U has no such column; there are: {', '.join(CONLLU_COLUMNS)}")
    return CONLLU_COLUMNS.index(column.lower())


class _Reader:
    """Gathers the lines of a sentence."""

    def __init__(self, path: Path, word: int, tag: int | None, conllu: bool):
        self.path, self.word, self.tag, self.conllu = path, word, tag, conllu
        self.num_columns = len(CONLLU_COLUMNS) if conllu else 0
        self.tabs = False
        self.waiting: list[tuple[int, str]] = []
        self._start()

    def _start(self) -> None:
        self.line = 0
        self.words: list[str] = []
        self.tags: list[str | None] = []
        self.problem: str | None = None

    def take(self) -> Sentence | None:
        """Returns the sentence, if there is any of it, and starts the next."""
        if self.num_columns:
            self._settle()
        self.waiting = []  # before the first sentence of the file, and parted from it
        tags = None if self.tag is None else self.tags
        sentence = Sentence(self.line, self.words, tags, self.problem) if self.line else None
        self._start()
        return sentence

    def add(self, number: int, line: str) -> None:
        """Takes a line; what is wrong with it is the sentence's problem, the first one counts."""
        if line.startswith("#" if self.conllu else _DOCUMENT):
            return
        if not self.conllu and not self.line and line.startswith("# "):
            self.waiting.append((number, line))  # a word or a comment: the columns of the words tell
            return
        if self.waiting:
            self.num_columns = self.num_columns or len(self._fields(line))
            self.tabs = self.tabs or line.count("\t") == self.num_columns - 1
            self._settle()
        self._add(number, line)

    def _settle(self) -> None:
        """Takes those lines that begin with `# ` and are words, as in `# NN O`; the others are comments."""
        waiting, self.waiting = self.waiting, []
        for number, line in waiting:
            parted_otherwise = self.num_columns > 1 and self.tabs and "\t" not in line
            if len(self._fields(line)) == self.num_columns and not parted_otherwise and not _COMMENT.match(line):
                self._add(number, line)

    def _add(self, number: int, line: str) -> None:
        fields = self._fields(line)
        if self.conllu and _NO_WORD.fullmatch(fields[0]):
            return
        self.line = self.line or number
        if problem := self._check(line, fields):
            self.problem = self.problem or f"{self.path} line {number}: {problem}"
            return
        self.tabs = self.tabs or line.count("\t") == self.num_columns - 1
        self.words.append(fields[self.word])
        if self.tag is not None:
            tag = fields[self.tag]
            unspecified = self.conllu and tag == "_" and self.tag % len(fields) in _ANNOTATED
            self.tags.append(None if unspecified else tag)

    def _fields(self, line: str) -> list[str]:
        if self.conllu:
            return line.split("\t")
        # str.split() would part at a no-break space, which stands within words.
        return _GAP.split(line.strip(" \t"))

    def _check(self, line: str, fields: list[str]) -> str | None:
        if problem := undecodable(line):
            return problem
        self.num_columns = self.num_columns or len(fields)
        if len(fields) != self.num_columns:
            separator = " parted by tabs" if self.conllu else ", as in the lines before"
            return f"{_columns(len(fields))}; expected {self.num_columns}{separator}"
        if self.conllu and not _WORD.fullmatch(fields[0]):
            return f"{fields[0]!r} in the first column; expected a word's number such as 7, 7-8 or 7.1"
        return self._check_places(fields)

    def _check_places(self, fields: list[str]) -> str | None:
        count = _columns(len(fields))
        for key, place in (("data.word_column", self.word), ("data.tag_column", self.tag)):
            if place is not None and not -len(fields) <= place < len(fields):
                return f"{key}={place}: there {'is' if len(fields) == 1 else 'are'} {count}, 0 to {len(fields) - 1}"
            if place is not None and not fields[place].strip():
                return f"{key}={place}: nothing stands in this column"
        if self.tag is not None and self.word % len(fields) == self.tag % len(fields):
            both = f"data.word_column={self.word} and data.tag_column={self.tag}"
            return f"{both} are the same column, of {count}; expected one of words and one of tags"
        return None


def _columns(number: int) -> str:
    return f"{number} column{'' if number == 1 else 's'}"

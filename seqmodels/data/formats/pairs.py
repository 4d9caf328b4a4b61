"""Pairs of texts, such as sentences with their translations: two aligned files, lines with a tab, tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from seqmodels.data.files import find_files
from seqmodels.data.formats.lines import lenient_lines, numbered_lines
from seqmodels.data.formats.tables import is_table, read_table, read_table_rows
from seqmodels.errors import UserError

Empty = Literal["error", "skip"]
_PARTS = {"train": ("train",), "val": ("val", "valid", "validation", "dev"), "test": ("test",)}
_TABS = (".tsv", ".tab")


class TextPair(NamedTuple):
    """A text and what is to be made of it.

    Attributes:
        source: The text.
        target: What is to be made of it.
        place: File and line, where it was read from one; those of the target where the source has a file of its own.
        source_place: File and line of such a source.
    """

    source: str
    target: str
    place: str = ""
    source_place: str = ""


def read_aligned(source: Path, target: Path, empty: Empty = "error") -> list[TextPair]:
    r"""Reads two files whose lines belong together.

    Args:
        source: The file with a source text in each line.
        target: The file with the target text of each.
        empty: What becomes of a pair that has no text on one side: "error", or "skip".

    Raises:
        UserError: Where they have different numbers of lines, or a line is empty or no UTF-8; with file and line.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.de").write_text("ein Hund\nzwei\n"), (folder / "train.en").write_text("a dog\ntwo\n")
        >>> [(pair.source, pair.target) for pair in read_aligned(folder / "train.de", folder / "train.en")]
        [('ein Hund', 'a dog'), ('zwei', 'two')]
    """
    sources, targets = ([line.strip() for _, line in numbered_lines(file)] for file in (source, target))
    if len(sources) != len(targets):
        raise UserError(
            f"{source} has {_lines(len(sources))} and {target} has {_lines(len(targets))}; "
            "expected the same number, line by line a text and what is to be made of it"
        )
    pairs = []
    for number, (text, wanted) in enumerate(zip(sources, targets, strict=True), start=1):
        if text and wanted:
            pairs.append(TextPair(text, wanted, f"{target} line {number}", f"{source} line {number}"))
        else:
            _pass_over(f"{target if text else source} line {number}: the line is empty", empty)
    return _some(pairs, source)


def read_tab_pairs(path: Path, empty: Empty = "error") -> list[TextPair]:
    """Reads a file with, in each line, a source text, a tab and its target text.

    Args:
        path: The file; it has no line of names.
        empty: What becomes of an empty line, and of a pair that has no text on one side: "error", or "skip".

    Raises:
        UserError: Where a line has no tab or several, or is empty or no UTF-8; with its number.
    """
    pairs = []
    for number, line in numbered_lines(path):
        place = f"{path} line {number}"
        if not line.strip():
            _pass_over(f"{place}: the line is empty", empty)
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 2:
            told = "there is no tab" if len(fields) == 1 else f"{len(fields)} columns"
            raise UserError(f"{place}: {told}; expected a source text, a tab and its target text")
        if all(fields):
            pairs.append(TextPair(fields[0], fields[1], place))
        else:
            _pass_over(f"{place}: there is no text {'after' if fields[0] else 'before'} the tab", empty)
    return _some(pairs, path)


def read_table_pairs(path: Path, source: str, target: str, empty: Empty = "error") -> list[TextPair]:
    """Reads two columns of a table.

    Args:
        path: A CSV, TSV or JSON Lines file with names of columns, see `read_table`.
        source: The column of the source texts.
        target: The column of the target texts.
        empty: What becomes of a pair that has no text on one side: "error", or "skip".

    Raises:
        UserError: Where a column is missing, or a row cannot be read or has no text; with file and line.
    """
    pairs = []
    for number, row in read_table(path, {"data.source": source, "data.target": target}):
        place = f"{path} line {number}"
        for column in (source, target):
            if not isinstance(row[column], str):
                raise UserError(f"{place}: column {column}: expected text, got {row[column]!r}")
        pair = TextPair(row[source].strip(), row[target].strip(), place)
        if pair.source and pair.target:
            pairs.append(pair)
        else:
            _pass_over(f"{place}: column {target if pair.source else source}: there is no text", empty)
    return _some(pairs, path)


def is_headed(path: Path, named: bool) -> bool:
    """Tells whether a file is a table with names of columns.

    That is any but a file of tabs whose columns the user does not name, nor its first line: "source" and "target".

    Args:
        path: The file.
        named: Whether the user names columns.
    """
    if not is_table(path) or named or path.suffix.lower() not in _TABS:
        return is_table(path)
    first = _first_fields(path)
    return first == ["source"] or {"source", "target"} <= set(first)


def has_column(path: Path, column: str | None) -> bool:
    """Tells whether a file is a table that has a column of this name.

    Raises:
        UserError: Where it cannot be read.
    """
    if column is None or not is_table(path):
        return False
    if path.suffix.lower() in _TABS:
        return column in _first_fields(path)
    return column in next((row.values for row in read_table_rows(path, {}) if row.values), {})


def _first_fields(path: Path) -> list[str]:
    """Returns what stands between the tabs of the first line."""
    _, line = next(lenient_lines(path), (1, ""))
    return [field.strip() for field in line.split("\t")]


def read_pairs(
    path: str | list[str], source: str | None, target: str | None, empty: Empty, key: str = "data.path"
) -> list[TextPair]:
    """Reads pairs in whatever form they have.

    Args:
        path: Two aligned files, the source first; a table (`.csv`, `.jsonl`, and `.tsv` where columns are named, see
            `is_headed`), or any other text file with a source text, a tab and a target text in each line.
        source: The column of a table that has the source texts; "source" where left out.
        target: The column of the target texts; "target" where left out.
        empty: What becomes of pairs that lack a text.
        key: The key that named it, for messages.

    Raises:
        UserError: Where something cannot be read.
    """
    if isinstance(path, list):
        if len(path) != 2:
            raise UserError(f"{key}={path}: expected two files, [SOURCE,TARGET]")
        first, second = (_file(one, key) for one in path)
        return read_aligned(first, second, empty)
    file = _file(path, key)
    if is_headed(file, source is not None or target is not None):
        return read_table_pairs(file, source or "source", target or "target", empty)
    return read_tab_pairs(file, empty)


def aligned_files(
    folder: Path,
    source: str | None = None,
    target: str | None = None,
    given: Mapping[str, str | list[str] | None] | None = None,
) -> dict[str, list[str]]:
    """Finds the files of a folder such as `train.de` and `train.en`, `val.de` and `val.en`.

    Args:
        folder: The folder.
        source: The ending of the source files; where left out, the other of two, or the first of two by alphabet.
        target: The ending of the target files, likewise.
        given: The files of "val" and "test" that the user names, in whatever form.

    Returns:
        The source file and the target file of "train", and of "val" (which may be called valid, validation or dev) and
        "test" where they are there.

    Raises:
        UserError: Where the endings leave open what is meant, a file has no counterpart, or one may be of a part that
            is missing.
    """
    files = find_files(str(folder), "*.*")
    found = _by_part(folder, files)
    endings = _endings(folder, sorted(found["train"]), source, target)
    parts = {part: _both(folder, there, endings) for part, there in found.items() if set(there) & set(endings)}
    missing = [part for part in _PARTS if part not in parts and not (given or {}).get(part)]
    if missing:
        used = [*parts.values(), *map(_listed, (given or {}).values())]
        taken = {Path(one).expanduser().resolve() for some in used for one in some}
        others = (file for file in files if file not in taken and not file.name.startswith("."))
        # Of train.de and train.tok.de either may be chosen: the other is no part.
        rest = (file for file in others if file.name.partition(".")[2] not in {*found["train"]} - {*endings})
        _refuse_others(folder, rest, endings, missing)
    return parts


def _listed(path: str | list[str] | None) -> list[str]:
    return path if isinstance(path, list) else [path] if path else []


def _refuse_others(folder: Path, files: Iterable[Path], endings: tuple[str, str], missing: list[str]) -> None:
    """Refuses files with the endings of pairs that are of no part, while there is a part that would be drawn."""
    keys = " and ".join(f"data.{part}_path=" for part in missing)
    for file in files:
        if file.name.endswith(tuple(f".{ending}" for ending in endings)):
            ending = file.suffix
            names = ", ".join(f"{name}{ending}" for part in missing for name in _PARTS[part])
            raise UserError(
                f"data.path={folder}: {file.name} is of no part; expected another name ({names}), {keys} with the "
                "files that are meant, or this one elsewhere"
            )


def _by_part(folder: Path, files: Iterable[Path]) -> dict[str, dict[str, Path]]:
    """Returns the files of each part by their endings."""
    found: dict[str, dict[str, Path]] = {part: {} for part in _PARTS}
    for file in files:
        beginning, _, ending = file.name.partition(".")
        for part, names in _PARTS.items():
            if beginning in names:
                if ending in found[part]:
                    raise UserError(
                        f"data.path={folder}: {found[part][ending].name} and {file.name} are both for {part}"
                    )
                found[part][ending] = file
    return found


def _endings(folder: Path, there: list[str], source: str | None, target: str | None) -> tuple[str, str]:
    found = ", ".join(f"train.{ending}" for ending in there) or "no file train.*"
    told = f"data.path={folder}: there {'is' if len(there) < 2 else 'are'} {found} in this folder"
    for key, ending in (("source", source), ("target", target)):
        if ending is not None and ending not in there:
            raise UserError(f"data.{key}={ending}: {told}")
    if source is not None and source == target:
        raise UserError(f"data.target={target}: the same as data.source; {told}")
    left = [ending for ending in there if ending not in (source, target)]
    if source is not None and target is not None:
        return source, target
    if len(there) != 2 or not left:
        raise UserError(
            f"{told}; expected two such as train.de and train.en, or those that data.source= and data.target= name"
        )
    return source or left[0], target or left[-1]


def _both(folder: Path, files: dict[str, Path], endings: tuple[str, str]) -> list[str]:
    for ending in endings:
        if ending not in files:
            (other,) = (files[one] for one in endings if one in files)
            raise UserError(f"data.path={folder}: {other.name} has no counterpart that ends in {ending}")
    return [str(files[ending]) for ending in endings]


def _file(path: str, key: str) -> Path:
    if not path or not Path(path).expanduser().is_file():
        raise UserError(f"{key}={path}: there is no such file")
    return find_files(path, key=key)[0]


def _pass_over(problem: str, empty: Empty) -> None:
    if empty == "error":
        raise UserError(f"{problem}; data.empty=skip leaves such pairs out")


def _some(pairs: list[TextPair], path: Path) -> list[TextPair]:
    if not pairs:
        raise UserError(f"{path}: there is no pair of texts in it")
    return pairs


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"

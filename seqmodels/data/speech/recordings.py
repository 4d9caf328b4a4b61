"""Folders of recordings: which files there are, what is said in them, and by whom."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from seqmodels.data.formats.lines import numbered_lines
from seqmodels.errors import UserError

TRANSCRIPTS = "transcripts.tsv"
"""The file of transcripts where none is named, in the folder of the recordings."""


class Recording(NamedTuple):
    """A recording, before it is heard.

    Attributes:
        file: Where it is.
        text: What is said.
        speaker: Who says it; `None` where that is not told.
    """

    file: Path
    text: str
    speaker: str | None


def list_recordings(
    path: str, transcripts: str | None = None, pattern: str | None = None, words: Mapping[str, str] | None = None
) -> list[Recording]:
    r"""Lists the recordings of a folder.

    Args:
        path: The folder.
        transcripts: A file with, in each line, a recording's file, a tab, what is said and maybe a tab and the speaker;
            `transcripts.tsv` in the folder where left out.
        pattern: Where given, there is no such file: this regular expression fits the name of every WAV file, and its
            group `label` is what is said, its group `speaker`, if any, who says it.
        words: What is said for each label; the labels themselves where left out.

    Raises:
        UserError: Where a file is missing, is not told of as it should be, or there is none.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.path={path}: expected a folder of WAV files")
    if pattern is not None and transcripts is not None:
        raise UserError(f"data.transcripts={transcripts}: expected either this or data.pattern={pattern}; null for one")
    found = _by_transcripts(folder, transcripts) if pattern is None else _by_names(folder, pattern, words)
    if not found:
        raise UserError(f"data.path={path}: there is no recording in it")
    return found


def _by_transcripts(folder: Path, transcripts: str | None) -> list[Recording]:
    source = Path(transcripts).expanduser() if transcripts else folder / TRANSCRIPTS
    if not source.is_file():
        raise UserError(
            f"data.transcripts={source}: there is no such file; expected lines of WAV file, tab, what is said, or "
            "data.pattern= where the names of the files tell"
        )
    found = []
    for number, line in numbered_lines(source):
        if not line.strip():
            continue
        name, text, speaker, *rest = (*(part.strip() for part in line.split("\t")), "", "")
        if not name or not text or any(rest):
            raise UserError(
                f"{source} line {number}: {line!r}: expected a WAV file, a tab, what is said, and maybe a tab and the "
                "speaker"
            )
        if not (folder / name).is_file():
            raise UserError(f"{source} line {number}: {name}: there is no such file in {folder}")
        found.append(Recording(folder / name, text, speaker or None))
    return found


def wav_files(folder: Path) -> list[Path]:
    """Returns the WAV files of a folder by name."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".wav" and file.is_file())


def _by_names(folder: Path, pattern: str, words: Mapping[str, str] | None) -> list[Recording]:
    try:
        name = re.compile(pattern)
    except re.error as error:
        raise UserError(f"data.pattern={pattern}: is no regular expression: {error}") from error
    if "label" not in name.groupindex:
        raise UserError(f"data.pattern={pattern}: expected a group (?P<label>...), which is what is said")
    return [_named(file, name, words) for file in wav_files(folder)]


def _named(file: Path, name: re.Pattern[str], words: Mapping[str, str] | None) -> Recording:
    fitting = name.fullmatch(file.name)
    if fitting is None or not fitting["label"]:
        raise UserError(f"{file}: its name does not fit data.pattern={name.pattern}")
    label = fitting["label"]
    if words is not None and label not in words:
        raise UserError(f"{file}: says {label!r}, which data.words does not tell; there are {', '.join(words)}")
    speaker = fitting["speaker"] if "speaker" in name.groupindex else None
    return Recording(file, label if words is None else words[label], speaker)

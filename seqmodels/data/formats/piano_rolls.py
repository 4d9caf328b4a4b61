"""Piano rolls: which keys sound at each time step, from `.mat`, `.npz` and MIDI."""

import re
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqmodels.data.formats.arrays import check_unpacked, max_unpacked, read_npz
from seqmodels.errors import UserError

LOWEST_KEY = 21
"""The MIDI number of a piano's lowest key, A0."""
NUM_KEYS = 88
MAX_STEPS = 1_000_000
ALL = "all"
"""The part of pieces that no part was named for."""

Rolls = dict[str, list[np.ndarray]]
"""Pieces `(time, keys)`, uint8 of 0 and 1, of "train", "val" and "test", or of `ALL`."""

_MIDI = (".mid", ".midi")
_PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_COMPRESSED, _PIECE = 15, 1 << 16
_MAT_PARTS = {"traindata": "train", "validdata": "val", "testdata": "test"}


class Piece(NamedTuple):
    """A piece that something is to be predicted for.

    Attributes:
        roll: `(time, keys)`, uint8 of 0 and 1; `None` where it cannot be read.
        problem: Why it cannot be read; `None` where it can.
        file: Its file, relative to the folder that was asked for; `None` where all are of one file.
    """

    roll: np.ndarray | None
    problem: str | None
    file: str | None


class _Source(NamedTuple):
    name: str
    part: str | None
    read: Callable[[], np.ndarray]


def read_piano_rolls(path: str, steps_per_beat: int = 4) -> Rolls:
    """Reads pieces of polyphonic music.

    - `.mat`: cell arrays `traindata`, `validdata` and `testdata` of arrays `(time, 88)`, as the music of
      Boulanger-Lewandowski et al. 2012, "Modeling temporal dependencies in high-dimensional sequences", is handed on.
    - `.npz`: each array `(time, keys)` is a piece; where names begin with `train`, `val` or `test` (`train_0`,
      `val_17`), all of them do, and that is their part.
    - a MIDI file, or a folder of them; where it has folders `train`, `val` and `test`, these are the parts. Notes
      outside the piano's 88 keys and percussion are left out.

    Args:
        path: The file or folder.
        steps_per_beat: Time steps of a quarter note, for MIDI.

    Raises:
        UserError: Where it cannot be read, with the file and the piece; where some name a part and others none.
    """
    sources = _sources(path, steps_per_beat, "data.path")
    astray = next((source.name for source in sources if source.part is None), None)
    named = next((source.name for source in sources if source.part), None)
    if named and astray:
        raise UserError(
            f"data.path={path}: {astray} names no part, and {named} does; expected train, val or test at the beginning "
            "of every name, or of none"
        )
    rolls: Rolls = {}
    for source in sources:
        rolls.setdefault(source.part or ALL, []).append(source.read())
    widths = sorted({piece.shape[1] for pieces in rolls.values() for piece in pieces})
    if len(widths) != 1:
        raise UserError(f"data.path={path}: pieces have {' and '.join(map(str, widths))} keys; expected one number")
    return rolls


def read_pieces(path: str, steps_per_beat: int = 4) -> list[Piece]:
    """Reads pieces that something is to be predicted for, whatever their part; one that cannot be read carries why.

    Args:
        path: As in `read_piano_rolls`.
        steps_per_beat: Likewise.

    Raises:
        UserError: Where nothing of it can be read.
    """
    in_folder = Path(path).expanduser().is_dir()
    pieces = []
    for source in _sources(path, steps_per_beat, "input"):
        file = source.name if in_folder else None
        try:
            pieces.append(Piece(source.read(), None, file))
        except UserError as error:
            pieces.append(Piece(None, str(error), file))
    return pieces


def _sources(path: str, steps_per_beat: int, key: str) -> list[_Source]:
    """Returns the pieces of a file or folder with their names and parts, each still to be read."""
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"{key}={place}: there is no such file or folder")
    try:
        if place.is_dir():
            return _in_midi_folder(place, steps_per_beat, key)
        if place.suffix.lower() == ".mat":
            return _in_mat(place, key)
        if place.suffix.lower() == ".npz":
            return _in_npz(place, key)
        if place.suffix.lower() in _MIDI:
            return [_Source(place.name, None, partial(read_midi, place, steps_per_beat, key))]
    except OSError as error:
        raise UserError(f"{key}={place}: cannot be read: {error.strerror or error}") from error
    raise UserError(f"{key}={place}: expected a .mat, .npz or .mid file, or a folder of MIDI files")


def _in_mat(path: Path, key: str) -> list[_Source]:
    from scipy.io import loadmat

    check_unpacked(path, path.stat().st_size, _unpacked_bytes(path))
    try:
        contents = loadmat(path, variable_names=list(_MAT_PARTS))
    except OSError:
        raise
    except Exception as error:  # a damaged header makes scipy fail in many ways
        reason = str(error) or type(error).__name__
        raise UserError(f"{key}={path}: is no MATLAB file that can be read: {reason}") from error
    missing = [name for name in _MAT_PARTS if name not in contents]
    if missing:
        raise UserError(f"{key}={path}: lacks {', '.join(missing)}; expected {', '.join(_MAT_PARTS)}")
    sources = []
    for name, part in _MAT_PARTS.items():
        cells = np.asarray(contents[name])
        if cells.dtype != object:
            raise UserError(f"{key}={path}: {name}: expected a cell array of pieces, got {cells.dtype} numbers")
        names = (f"{name}[{number}]" for number in range(cells.size))
        sources += [
            _Source(one, part, partial(_checked, f"{key}={path}: {one}", piece))
            for one, piece in zip(names, cells.ravel(), strict=True)
        ]
    return sources


def _unpacked_bytes(path: Path) -> int:
    """Counts what the compressed variables of a MATLAB file unpack to, without keeping it; 0 where it is none.

    The format is that of "MAT-File Format" (The MathWorks): 128 bytes, then elements of a type, a length and as many
    bytes, of which those of type 15 are compressed by zlib.
    """
    total, limit = 0, max_unpacked(path.stat().st_size)
    with path.open("rb") as file:
        order = ">" if file.read(128)[126:] == b"MI" else "<"
        while len(tag := file.read(8)) == 8:
            kind, left = struct.unpack(f"{order}2I", tag)
            if kind != _COMPRESSED:
                file.seek(left, 1)
                continue
            inflate = zlib.decompressobj()
            while left > 0 and total <= limit and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                try:
                    while piece and total <= limit:
                        total += len(inflate.decompress(piece, 1 << 20))
                        piece = inflate.unconsumed_tail
                except zlib.error:
                    return total
            if total > limit:
                break
    return total


def _in_npz(path: Path, key: str) -> list[_Source]:
    try:
        found = read_npz(path)
    except UserError as error:
        raise UserError(f"{key}={path}: is no .npz file whose arrays are numbers: {error}") from error
    arrays = {name: found[name] for name in sorted(found, key=_natural)}
    if not arrays:
        raise UserError(f"{key}={path}: has no arrays")
    return [
        _Source(
            name,
            _PARTS.get(re.split(r"[^A-Za-z]", name)[0].lower()),
            partial(_checked, f"{key}={path}: {name}", array),
        )
        for name, array in arrays.items()
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `train_2` before `train_10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _checked(place: str, piece: np.ndarray) -> np.ndarray:
    if not isinstance(piece, np.ndarray) or piece.ndim != 2 or piece.dtype.kind not in "buif" or not piece.size:
        found = f"{piece.dtype} {piece.shape}" if isinstance(piece, np.ndarray) else type(piece).__name__
        raise UserError(f"{place}: expected numbers (time, keys), got {found}")
    wrong = np.argwhere((piece != 0) & (piece != 1))
    if len(wrong):
        step, key = wrong[0]
        raise UserError(f"{place}: {piece[step, key]} at step {step}, key {key}; expected 0 or 1")
    return piece.astype(np.uint8)


def _in_midi_folder(folder: Path, steps_per_beat: int, key: str) -> list[_Source]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _MIDI and file.is_file())
    if not files:
        raise UserError(f"{key}={folder}: there is no .mid or .midi file in this folder")
    return [
        _Source(
            str(file.relative_to(folder)),
            _PARTS.get(file.relative_to(folder).parts[0].lower()),
            partial(read_midi, file, steps_per_beat, key),
        )
        for file in files
    ]


def read_midi(path: Path, steps_per_beat: int = 4, key: str = "data.path") -> np.ndarray:
    """Returns which of a piano's 88 keys sound at each step of a MIDI file.

    All channels but the tenth, which is percussion, are put together. A note sounds from the step nearest to its
    beginning to the one nearest to its end, and for one step at least.

    Args:
        path: The file.
        steps_per_beat: Time steps of a quarter note: 4 is a sixteenth each.
        key: The key that named it, for messages.

    Returns:
        `(time, 88)`, uint8 of 0 and 1.

    Raises:
        UserError: Where it is no MIDI file, or nothing sounds in it.
    """
    if steps_per_beat < 1:
        raise UserError(f"data.steps_per_beat={steps_per_beat}: expected an integer of at least 1")
    import mido

    try:
        file = mido.MidiFile(path, clip=True)
        messages = list(mido.merge_tracks(file.tracks))
    except (OSError, EOFError, ValueError, KeyError, IndexError, mido.KeySignatureError) as error:
        raise UserError(f"{key}={path}: is no MIDI file that can be read: {str(error) or 'it is cut short'}") from error
    if file.ticks_per_beat <= 0:
        raise UserError(f"{key}={path}: counts frames of video, not beats; expected ticks per quarter note")
    notes = _notes(messages)
    if not notes:
        raise UserError(f"{key}={path}: no note of the piano's {NUM_KEYS} keys sounds in it")
    rate = steps_per_beat / file.ticks_per_beat
    spans = [(note, round(start * rate), round(stop * rate)) for note, start, stop in notes]
    places = [(note, start, max(start + 1, stop)) for note, start, stop in spans]
    num_steps = max(stop for _, _, stop in places)
    if num_steps > MAX_STEPS:
        raise UserError(f"{key}={path}: lasts {num_steps:,} steps; expected {MAX_STEPS:,} at most")
    roll = np.zeros((num_steps, NUM_KEYS), np.uint8)
    for note, start, stop in places:
        roll[start:stop, note] = 1
    return roll


def _notes(messages: Iterable) -> list[tuple[int, int, int]]:
    """Returns key, first tick and last tick of each note."""
    sounding: dict[tuple[int, int], int] = {}
    notes: list[tuple[int, int, int]] = []
    now = 0
    for message in messages:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == 9:
            continue
        key = message.note - LOWEST_KEY
        if not 0 <= key < NUM_KEYS:
            continue
        started = sounding.pop((message.channel, key), None)
        if started is not None:
            notes.append((key, started, now))
        if message.type == "note_on" and message.velocity:
            sounding[message.channel, key] = now
    notes.extend((key, started, now) for (_, key), started in sounding.items())  # what is never ended
    return notes

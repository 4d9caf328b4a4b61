"""Piano rolls: which keys sound at each time step, from `.mat`, `.npz` and MIDI."""

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from seqmodels.errors import UserError

LOWEST_KEY = 21
"""The MIDI number of a piano's lowest key, A0."""
NUM_KEYS = 88
MAX_STEPS = 1_000_000
ALL = "all"
"""The part of pieces that no part was named for."""

Rolls = dict[str, list[np.ndarray]]
"""Pieces `(time, keys)`, uint8 of 0 and 1, of "train", "val" and "test", or of `ALL`."""

_PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_MAT_PARTS = {"traindata": "train", "validdata": "val", "testdata": "test"}


def read_piano_rolls(path: str, steps_per_beat: int = 4) -> Rolls:
    """Reads pieces of polyphonic music.

    - `.mat`: cell arrays `traindata`, `validdata` and `testdata` of arrays `(time, 88)`, as the music of
      Boulanger-Lewandowski et al. 2012, "Modeling temporal dependencies in high-dimensional sequences", is handed on.
    - `.npz`: each array `(time, keys)` is a piece; where all names begin with `train`, `val` or `test` (`train_0`,
      `val_17`), that is its part.
    - a MIDI file, or a folder of them; where it has folders `train`, `val` and `test`, these are the parts. Notes
      outside the piano's 88 keys and percussion are left out.

    Args:
        path: The file or folder.
        steps_per_beat: Time steps of a quarter note, for MIDI.

    Raises:
        UserError: Where it cannot be read, with the file and the piece.
    """
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            return _read_midi_folder(place, steps_per_beat)
        if place.suffix.lower() == ".mat":
            return _read_mat(place)
        if place.suffix.lower() == ".npz":
            return _read_npz(place)
        if place.suffix.lower() in (".mid", ".midi"):
            return {ALL: [read_midi(place, steps_per_beat)]}
    except OSError as error:
        raise UserError(f"data.path={place}: cannot be read: {error.strerror or error}") from error
    raise UserError(f"data.path={place}: expected a .mat, .npz or .mid file, or a folder of MIDI files")


def _read_mat(path: Path) -> Rolls:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        contents = loadmat(path, variable_names=list(_MAT_PARTS))
    except (MatReadError, NotImplementedError, ValueError, TypeError, EOFError) as error:
        raise UserError(f"data.path={path}: is no MATLAB file that can be read: {error}") from error
    missing = [name for name in _MAT_PARTS if name not in contents]
    if missing:
        raise UserError(f"data.path={path}: lacks {', '.join(missing)}; expected {', '.join(_MAT_PARTS)}")
    rolls: Rolls = {}
    for name, part in _MAT_PARTS.items():
        cells = np.asarray(contents[name])
        if cells.dtype != object:
            raise UserError(f"data.path={path}: {name}: expected a cell array of pieces, got {cells.dtype} numbers")
        pieces = [(f"{name}[{number}]", piece) for number, piece in enumerate(cells.ravel())]
        rolls[part] = _checked(path, pieces)
    _check_keys(path, rolls)
    return rolls


def _read_npz(path: Path) -> Rolls:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in sorted(file.files, key=_natural)}
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"data.path={path}: is no .npz file whose arrays are numbers") from error
    parts = {name: _PARTS.get(re.split(r"[^A-Za-z]", name)[0].lower()) for name in arrays}
    rolls: Rolls = {}
    for name, array in arrays.items():
        part = parts[name] if all(parts.values()) else ALL
        rolls.setdefault(part or ALL, []).extend(_checked(path, [(name, array)]))
    if not rolls:
        raise UserError(f"data.path={path}: has no arrays")
    _check_keys(path, rolls)
    return rolls


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `train_2` before `train_10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _checked(path: Path, pieces: Iterable[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    rolls = []
    for name, piece in pieces:
        if not isinstance(piece, np.ndarray) or piece.ndim != 2 or piece.dtype.kind not in "buif" or not piece.size:
            found = f"{piece.dtype} {piece.shape}" if isinstance(piece, np.ndarray) else type(piece).__name__
            raise UserError(f"data.path={path}: {name}: expected numbers (time, keys), got {found}")
        wrong = np.argwhere((piece != 0) & (piece != 1))
        if len(wrong):
            step, key = wrong[0]
            raise UserError(f"data.path={path}: {name}: {piece[step, key]} at step {step}, key {key}; expected 0 or 1")
        rolls.append(piece.astype(np.uint8))
    return rolls


def _check_keys(path: Path, rolls: Mapping[str, list[np.ndarray]]) -> None:
    widths = sorted({piece.shape[1] for pieces in rolls.values() for piece in pieces})
    if len(widths) != 1:
        raise UserError(f"data.path={path}: pieces have {' and '.join(map(str, widths))} keys; expected one number")


def _read_midi_folder(folder: Path, steps_per_beat: int) -> Rolls:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".mid", ".midi") and file.is_file())
    if not files:
        raise UserError(f"data.path={folder}: there is no .mid or .midi file in this folder")
    parts = [_PARTS.get(file.relative_to(folder).parts[0].lower()) for file in files]
    rolls: Rolls = {}
    for file, part in zip(files, parts, strict=True):
        rolls.setdefault(part if part and all(parts) else ALL, []).append(read_midi(file, steps_per_beat))
    return rolls


def read_midi(path: Path, steps_per_beat: int = 4) -> np.ndarray:
    """Returns which of a piano's 88 keys sound at each step of a MIDI file.

    All channels but the tenth, which is percussion, are put together. A note sounds from the step nearest to its
    beginning to the one nearest to its end, and for one step at least.

    Args:
        path: The file.
        steps_per_beat: Time steps of a quarter note: 4 is a sixteenth each.

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
        raise UserError(
            f"data.path={path}: is no MIDI file that can be read: {str(error) or 'it is cut short'}"
        ) from error
    if file.ticks_per_beat <= 0:
        raise UserError(f"data.path={path}: counts frames of video, not beats; expected ticks per quarter note")
    notes = _notes(messages)
    if not notes:
        raise UserError(f"data.path={path}: no note of the piano's {NUM_KEYS} keys sounds in it")
    rate = steps_per_beat / file.ticks_per_beat
    spans = [(key, round(start * rate), round(stop * rate)) for key, start, stop in notes]
    places = [(key, start, max(start + 1, stop)) for key, start, stop in spans]
    num_steps = max(stop for _, _, stop in places)
    if num_steps > MAX_STEPS:
        raise UserError(f"data.path={path}: lasts {num_steps:,} steps; expected {MAX_STEPS:,} at most")
    roll = np.zeros((num_steps, NUM_KEYS), np.uint8)
    for key, start, stop in places:
        roll[start:stop, key] = 1
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

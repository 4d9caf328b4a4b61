"""Piano rolls from the formats that polyphonic music comes in."""

import mido
import numpy as np
import pytest
from scipy.io import savemat

from seqmodels.data.formats.piano_rolls import ALL, read_piano_rolls, read_pieces
from seqmodels.errors import UserError


def roll(steps, seed=0, keys=88):
    return (np.random.default_rng(seed).random((steps, keys)) < 0.05).astype(np.uint8)


def cells(pieces):
    array = np.empty((1, len(pieces)), object)
    for number, piece in enumerate(pieces):
        array[0, number] = piece
    return array


def write_midi(path, notes, ticks_per_beat=96, channel=0):
    """Notes are (key of MIDI, first tick, last tick)."""
    file = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    track = mido.MidiTrack()
    file.tracks.append(track)
    events = [(start, 1, key) for key, start, _ in notes] + [(stop, 0, key) for key, _, stop in notes]
    now = 0
    for tick, is_on, key in sorted(events):
        kind = "note_on" if is_on else "note_off"
        track.append(mido.Message(kind, note=key, velocity=64, time=tick - now, channel=channel))
        now = tick
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)


def error_of(path):
    with pytest.raises(UserError) as caught:
        read_piano_rolls(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"data.path={path}")
    return message


def test_mat_files_have_the_three_parts_in_order(tmp_path):
    pieces = [roll(5), roll(7, 1), roll(4, 2), roll(3, 3)]
    path = tmp_path / "music.mat"
    savemat(path, {"traindata": cells(pieces[:2]), "validdata": cells(pieces[2:3]), "testdata": cells(pieces[3:])})
    read = read_piano_rolls(str(path))
    assert list(read) == ["train", "val", "test"]
    for expected, got in zip(pieces, [*read["train"], *read["val"], *read["test"]], strict=True):
        assert got.dtype == np.uint8
        assert np.array_equal(got, expected)


def test_mat_files_are_checked(tmp_path):
    path = tmp_path / "music.mat"
    savemat(path, {"traindata": cells([roll(5)]), "validdata": cells([roll(5)])})
    assert "lacks testdata" in error_of(path)
    wrong = roll(5).astype(float)
    wrong[3, 2] = 0.5
    savemat(path, {name: cells([wrong]) for name in ("traindata", "validdata", "testdata")})
    assert "traindata[0]: 0.5 at step 3, key 2; expected 0 or 1" in error_of(path)
    savemat(path, {name: roll(5) for name in ("traindata", "validdata", "testdata")})
    assert "traindata: expected a cell array" in error_of(path)
    savemat(path, {"traindata": cells([roll(5)]), "validdata": cells([roll(5, keys=12)]), "testdata": cells([roll(5)])})
    assert "12 and 88 keys" in error_of(path)
    path.write_bytes(b"no MATLAB file at all" * 20)
    assert "no MATLAB file" in error_of(path)
    assert "there is no such file" in error_of(tmp_path / "missing.mat")


def test_npz_files_name_their_parts_or_none(tmp_path):
    path = tmp_path / "music.npz"
    np.savez(path, train_10=roll(2, 10), train_2=roll(3, 2), val=roll(4), test_0=roll(5))
    read = read_piano_rolls(str(path))
    assert {part: [len(piece) for piece in pieces] for part, pieces in read.items()} == {
        "test": [5],
        "train": [3, 2],
        "val": [4],
    }
    np.savez(path, bach=roll(2), trains_1=roll(3))
    assert [len(piece) for piece in read_piano_rolls(str(path))[ALL]] == [2, 3]
    np.savez(path, bach=roll(2), train_1=roll(3))
    assert "bach names no part, and train_1 does" in error_of(path)


def test_npz_files_are_checked(tmp_path):
    path = tmp_path / "music.npz"
    np.savez(path, train=np.zeros((2, 3, 4)))
    assert "train: expected numbers (time, keys), got float64 (2, 3, 4)" in error_of(path)
    np.savez(path, train=np.array([{}], object))
    assert "no .npz file whose arrays are numbers" in error_of(path)
    np.savez(path)
    assert "has no arrays" in error_of(path)
    with open(path, "wb") as file:
        np.save(file, roll(3))
    assert "no .npz file" in error_of(path)
    path.write_bytes(b"")
    assert "no .npz file" in error_of(path)


def test_midi_notes_fall_on_the_steps_nearest_to_them(tmp_path):
    path = tmp_path / "tune.mid"
    # A quarter, two quarters a little late, a grace note shorter than a step, and one below the piano.
    write_midi(path, [(60, 0, 96), (64, 97, 290), (67, 96, 97), (12, 0, 1000)])
    (piece,) = read_piano_rolls(str(path), steps_per_beat=2)[ALL]
    expected = np.zeros((6, 88), np.uint8)
    expected[0:2, 60 - 21] = expected[2:6, 64 - 21] = expected[2, 67 - 21] = 1
    assert np.array_equal(piece, expected)
    assert read_piano_rolls(str(path), steps_per_beat=4)[ALL][0].shape == (12, 88)


def test_midi_folders_give_parts_by_their_folders(tmp_path):
    for place in ("train/b.mid", "train/a.MID", "valid/c.midi", "test/d.mid"):
        write_midi(tmp_path / "music" / place, [(60, 0, 24 * (1 + ord(place[-5]) % 5))])
    assert {part: len(pieces) for part, pieces in read_piano_rolls(str(tmp_path / "music")).items()} == {
        "test": 1,
        "train": 2,
        "val": 1,
    }
    write_midi(tmp_path / "music" / "other.mid", [(60, 0, 24)])
    assert "other.mid names no part, and test/d.mid does" in error_of(tmp_path / "music")
    for part in ("train", "valid", "test"):
        (tmp_path / "music" / part).rename(tmp_path / "music" / f"of_{part}")
    assert len(read_piano_rolls(str(tmp_path / "music"))[ALL]) == 5


@pytest.mark.parametrize(
    "content", [b"", b"MThd", b"no MIDI at all, but text", b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\x10\0"]
)
def test_damaged_midi_is_told(tmp_path, content):
    path = tmp_path / "tune.mid"
    path.write_bytes(content)
    assert "no MIDI file" in error_of(path)


def test_midi_without_notes_for_a_piano_is_told(tmp_path):
    path = tmp_path / "drums.mid"
    write_midi(path, [(40, 0, 96)], channel=9)
    assert "no note" in error_of(path)
    with pytest.raises(UserError, match=r"data.steps_per_beat=0"):
        read_piano_rolls(str(path), steps_per_beat=0)
    (tmp_path / "empty").mkdir()
    assert "no .mid" in error_of(tmp_path / "empty")
    (tmp_path / "tune.wav").touch()
    assert "expected a .mat, .npz or .mid" in error_of(tmp_path / "tune.wav")


def test_a_file_that_is_not_there_is_told_as_such(tmp_path):
    assert "there is no such file or folder" in error_of(tmp_path / "nope.mid")


def test_a_broken_piece_is_the_problem_of_that_piece(tmp_path):
    for name in ("b.mid", "sub/c.mid"):
        write_midi(tmp_path / "music" / name, [(60, 0, 96)])
    (tmp_path / "music" / "a.mid").write_bytes(b"no MIDI at all")
    pieces = read_pieces(str(tmp_path / "music"))
    assert [piece.file for piece in pieces] == ["a.mid", "b.mid", "sub/c.mid"]
    assert [piece.roll is None for piece in pieces] == [True, False, False]
    assert pieces[0].problem.startswith(f"input={tmp_path / 'music' / 'a.mid'}: is no MIDI file")

    path = tmp_path / "music.npz"
    np.savez(path, one=roll(3), piece=roll(3) + 1, train_3=roll(4))
    pieces = read_pieces(str(path))
    assert [None if piece.roll is None else len(piece.roll) for piece in pieces] == [3, None, 4]
    assert pieces[1].problem.startswith(f"input={path}: piece: ")
    assert "expected 0 or 1" in pieces[1].problem

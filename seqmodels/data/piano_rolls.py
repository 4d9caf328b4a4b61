"""Polyphonic music: which keys of a piano sound next."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqmodels.data.examples import PARTS, Example, Examples, load_examples
from seqmodels.data.formats.piano_rolls import ALL, LOWEST_KEY, NUM_KEYS, Piece, read_piano_rolls, read_pieces
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class PianoRolls(DataModule):
    """Piano rolls, in which the keys that sound at each step are predicted from the steps before.

    The first step of a piece is not predicted, as is the custom (Bai et al. 2018, "An empirical evaluation of generic
    convolutional and recurrent networks for sequence modeling").

    Args:
        path: A `.mat`, `.npz` or MIDI file, or a folder of MIDI files, see `read_piano_rolls`.
        steps_per_beat: Time steps of a quarter note, for MIDI.
        val_fraction: Share of the pieces, drawn with `seed`, that is for validation, where the files name no parts.
        test_fraction: Share of the pieces that is for the final test, likewise.
        batch_size: Pieces in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole pieces where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, which knows the keys.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    def __init__(
        self,
        path: str,
        steps_per_beat: int = 4,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        batch_size: int = 16,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        if steps_per_beat < 1:
            raise UserError(f"data.steps_per_beat={steps_per_beat}: expected an integer of at least 1")
        self.path, self.steps_per_beat = path, steps_per_beat
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.fractions = val_fraction, test_fraction
        self.batch_size, self.tbptt, self.seed, self.known = batch_size, tbptt, seed, spec

    def load(self) -> Loaded:
        """Reads the files."""
        # A step alone has no next one.
        read = read_piano_rolls(self.path, self.steps_per_beat).items()
        pieces = {part: [roll for roll in rolls if len(roll) > 1] for part, rolls in read}
        num_keys = self._check_keys(f"data.path={self.path}", [roll for rolls in pieces.values() for roll in rolls])
        if ALL in pieces:
            parts = split_parts(len(pieces[ALL]), *self.fractions, self.seed)
            pieces = {part: [pieces[ALL][number] for number in numbers] for part, numbers in parts.items()}
        examples: dict[str, Examples] = {part: [_example(roll) for roll in pieces.get(part, [])] for part in PARTS}
        spec = {
            "kind": "sequences",
            "shape": "many_to_many",
            "inputs": {"kind": "vectors", "num_features": num_keys},
            "targets": {"kind": "labels", "labels": _key_names(num_keys)},
        }
        return load_examples(spec, examples, self.batch_size, self.tbptt, self.seed)

    def read_requests(self, path: str) -> list[Request]:
        """Reads pieces; the keys after each of their steps are to be predicted."""
        pieces = read_pieces(path, self.steps_per_beat)
        return [self._request(number, piece, path) for number, piece in enumerate(pieces, 1)]

    def _request(self, number: int, piece: Piece, path: str) -> Request:
        if piece.roll is None:
            return Request(number, None, piece.problem, file=piece.file)
        try:
            self._check_keys(f"input={path}: {piece.file or f'piece {number}'}", [piece.roll])
        except UserError as error:
            return Request(number, None, str(error), file=piece.file)
        nothing = np.zeros_like(piece.roll[:1])  # what comes after the last step
        return Request(number, _example(np.concatenate([piece.roll, nothing])), file=piece.file)

    def _check_keys(self, place: str, rolls: Sequence[np.ndarray]) -> int:
        """Returns the number of keys."""
        if not rolls:
            raise UserError(f"{place}: no piece is longer than one step")
        num_keys = int(rolls[0].shape[1])
        if self.known is not None and num_keys != self.known["inputs"]["num_features"]:
            known = self.known["inputs"]["num_features"]
            raise UserError(f"{place}: has {num_keys} keys, and the run was trained on {known}")
        return num_keys


def _example(roll: np.ndarray) -> Example:
    steps = roll.astype(np.float32)
    return Example(steps[:-1], steps[1:])


def _key_names(num_keys: int) -> list[str]:
    """Returns the names of a piano's keys, as A0 and C4; numbers where there are others."""
    if num_keys != NUM_KEYS:
        return [str(key) for key in range(num_keys)]
    return [f"{_NAMES[key % 12]}{key // 12 - 1}" for key in range(LOWEST_KEY, LOWEST_KEY + num_keys)]

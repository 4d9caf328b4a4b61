"""Polyphonic music as examples: the keys of the next step are the targets of each."""

import numpy as np
import pytest

from seqmodels.data import PianoRolls
from seqmodels.errors import UserError


def rolls(count, keys=88, first=0):
    draw = np.random.default_rng(count + first)
    return [(draw.random((3 + n % 5, keys)) < 0.2).astype(np.uint8) for n in range(count)]


def write(path, keys=88, **parts):
    arrays = {f"{part}_{n}": roll for part, count in parts.items() for n, roll in enumerate(rolls(count, keys))}
    np.savez(path, **arrays)
    return str(path)


def ready(module):
    module.setup("fit")
    return module


def test_the_keys_of_the_next_step_are_the_targets(tmp_path):
    module = ready(PianoRolls(write(tmp_path / "music.npz", train=7, val=2, test=2), batch_size=3))
    assert module.spec["inputs"] == {"kind": "vectors", "num_features": 88}
    assert [module.spec["targets"]["labels"][key] for key in (0, 39, 87)] == ["A0", "C4", "C8"]
    found = []
    for window in module.evaluation_dataloader("train"):
        assert window.inputs.shape[1] == window.targets.shape[1]
        for row, targets, length in zip(window.inputs, window.targets, window.lengths, strict=True):
            assert np.array_equal(row[1:length], targets[: length - 1])
            assert targets[length:].isnan().all()
            found.append(np.concatenate([row[:length], targets[length - 1 : length]]).tobytes())
    assert sorted(found) == sorted(roll.astype(np.float32).tobytes() for roll in rolls(7))
    assert module.splits == ("train", "val", "test")


def test_pieces_of_no_part_are_shared_out(tmp_path):
    module = ready(PianoRolls(write(tmp_path / "music.npz", piece=20)))
    sizes = {part: sum(len(window.lengths) for window in module.evaluation_dataloader(part)) for part in module.splits}
    assert sizes == {"train": 16, "val": 2, "test": 2}
    assert ready(PianoRolls(write(tmp_path / "few.npz", piece=3), val_fraction=0)).splits == ("train", "test")


def test_a_run_knows_its_number_of_keys(tmp_path):
    spec = ready(PianoRolls(write(tmp_path / "music.npz", train=5, val=2))).spec
    other = write(tmp_path / "other.npz", keys=12, train=5, val=2)
    with pytest.raises(UserError, match="has 12 keys, and the run was trained on 88"):
        ready(PianoRolls(other, spec=spec))
    read = PianoRolls(other, spec=spec).read_requests(write(tmp_path / "new.npz", piece=4))
    assert [request.line for request in read] == [1, 2, 3, 4]
    for request, roll in zip(read, rolls(4), strict=True):
        assert np.array_equal(request.example.inputs, roll)  # the step after the last is to be predicted, too
    short = tmp_path / "short.npz"
    np.savez(short, a=np.zeros((1, 88)))
    with pytest.raises(UserError, match="no piece is longer than one step"):
        ready(PianoRolls(str(short)))

"""The data module of generated problems, and clips of the user's."""

import json
import re

import numpy as np
import pytest
import torch

from seqmodels.data import (
    IGNORE_INDEX,
    TBPTT,
    Adding,
    ArrayNames,
    BinaryAddition,
    Clips,
    Copy,
    EmbeddedReber,
    Generated,
    MovingDigit,
    Parity,
)
from seqmodels.errors import UserError


def set_up(data):
    data.setup("fit")
    return data


def windows(loader):
    return [window for window in loader]


def contents(batches):
    return [(window.inputs.numpy().tobytes(), window.targets.numpy().tobytes()) for window in batches]


def test_every_epoch_has_new_examples_and_evaluation_the_same_ones():
    data = set_up(Generated(Adding(10), train_size=20, val_size=7, test_size=5, batch_size=4, seed=3))
    loader = data.train_dataloader()
    first, second = contents(windows(loader)), contents(windows(loader))

    assert len(first) == len(second) == 5
    assert not set(first) & set(second)
    assert contents(windows(data.val_dataloader())) == contents(windows(data.val_dataloader()))
    assert [len(window.inputs) for window in data.val_dataloader()] == [4, 3]
    assert not set(first) & set(contents(windows(data.val_dataloader())))


def test_training_goes_on_in_the_middle_of_an_epoch():
    data = Generated(BinaryAddition(), train_size=40, batch_size=4)
    whole, stopped = set_up(data).train_dataloader(), data.train_dataloader()
    everything = contents(windows(whole)) + contents(windows(whole))
    batches = iter(stopped)
    seen = contents([next(batches) for _ in range(7)])
    resumed = data.train_dataloader()
    resumed.load_state_dict(stopped.state_dict())

    assert seen + contents(windows(resumed)) + contents(windows(resumed)) == everything


def test_the_spec_is_plain_and_tells_the_mean_of_numbers():
    spec = set_up(Generated(Adding(10))).spec
    assert json.loads(json.dumps(spec)) == spec
    assert spec["targets"]["means"] == pytest.approx([1.0], abs=0.05)
    assert set_up(Generated(Adding(10))).spec == spec
    assert set_up(Generated(MovingDigit())).spec["targets"]["factors"]["direction"] == ["up", "down", "left", "right"]


def test_parts_have_the_lengths_that_the_problem_asks_for():
    data = set_up(Generated(Parity(4), train_size=200, val_size=200, test_size=50, batch_size=50))
    lengths = {
        split: {int(length) for window in data.evaluation_dataloader(split) for length in window.lengths}
        for split in data.splits
    }
    assert lengths == {"train": {*range(1, 5)}, "val": {*range(5, 17)}, "test": {16}}


def test_windows_of_truncated_backpropagation():
    data = set_up(Generated(Copy(5, num_symbols=2), train_size=4, batch_size=4, tbptt=TBPTT(4, 4)))
    # Of the last window one step is new; its gradient still reaches back over k2 steps.
    assert [window.inputs.shape[1] for window in data.train_dataloader()] == [4, 4, 4]
    with pytest.raises(UserError, match=r"tbptt\.k2=20: the longest sequence has 9 steps"):
        set_up(Generated(Copy(5, num_symbols=2), tbptt=TBPTT(20, 20)))
    with pytest.raises(UserError, match=r"tbptt\.k1=4: here each sequence has one target"):
        set_up(Generated(Adding(10), tbptt=TBPTT(4, 4)))


@pytest.mark.parametrize(
    "sizes, said",
    [
        ({"train_size": 0}, "data.train_size=0: expected an integer of at least 1"),
        ({"test_size": -1}, "data.test_size=-1: expected an integer of at least 0"),
        ({"batch_size": 0}, "data.batch_size=0"),
    ],
)
def test_sizes_out_of_range_are_told(sizes, said):
    with pytest.raises(UserError, match=re.escape(said)):
        set_up(Generated(Adding(10), **sizes))


def test_a_part_of_size_zero_is_left_out():
    assert set_up(Generated(Adding(10), val_size=0)).splits == ("train", "test")


def requests(problem, folder, **arrays):
    np.savez(folder / "new.npz", **arrays)
    return Generated(problem).read_requests(str(folder / "new.npz"))


def test_requests_are_sequences_as_the_problem_draws_them(tmp_path):
    (tokens,) = requests(Parity(), tmp_path, x=np.array([[1, 0, 1, 1]]), lengths=np.array([3]))
    assert (tokens.example.inputs.tolist(), tokens.example.inputs.dtype) == ([1, 0, 1], np.int64)
    assert tokens.example.targets.shape == ()

    (labels,) = requests(EmbeddedReber(), tmp_path, x=np.array([[0, 1, 0]]))
    assert labels.example.targets.shape == (3, 7)

    (numbers,) = requests(Adding(), tmp_path, x=np.zeros((1, 6, 2)))
    assert (numbers.example.inputs.shape, numbers.example.targets.shape) == ((6, 2), (1,))

    clips = requests(MovingDigit(), tmp_path, x=np.zeros((2, 4, 20, 20)))
    assert [clip.example.inputs.shape for clip in clips] == [(4, 1, 20, 20)] * 2


@pytest.mark.parametrize(
    "problem, x, said",
    [
        (Parity(), np.array([[0, 1, 2]]), "item 1: int64 of shape (3,); expected integers from 0 to 1"),
        (Parity(), np.zeros((1, 3)), "item 1: float64 of shape (3,); expected integers"),
        (Adding(), np.zeros((1, 3, 5)), "item 1: float64 of shape (3, 5); expected (time, 2)"),
        (Adding(), np.full((1, 3, 2), np.nan), "item 1: a value is no finite number"),
        (MovingDigit(), np.zeros((1, 3, 8)), "expected (time, height, width, 1)"),
    ],
)
def test_requests_that_do_not_fit_carry_their_problem(tmp_path, problem, x, said):
    (request,) = requests(problem, tmp_path, x=x)
    assert request.example is None
    assert said in request.problem


@pytest.fixture
def clips(tmp_path):
    draw = np.random.default_rng(0)
    arrays = {
        "x": draw.integers(256, size=(20, 6, 8, 9)),
        "y": draw.integers(3, size=(20, 6)),
        "lengths": draw.integers(3, 7, 20),
    }
    np.savez(tmp_path / "clips.npz", **arrays)
    return tmp_path, arrays


def test_clips_with_a_class_for_each_frame(clips):
    folder, arrays = clips
    data = set_up(Clips(str(folder / "clips.npz"), val_fraction=0.2, test_fraction=0.0, batch_size=32))

    spec = data.spec
    assert spec["inputs"] == {"kind": "images", "image_channels": 1}
    assert spec["targets"] == {"kind": "classes", "classes": ["0", "1", "2"], "num_frames": 6}
    (window,) = data.evaluation_dataloader("train")
    assert len(window.inputs) == 16
    frames = torch.cat([one[:length] for one, length in zip(window.inputs, window.lengths, strict=True)])
    assert float(frames.mean()) == pytest.approx(0, abs=1e-4)
    assert float(frames.std()) == pytest.approx(1, abs=1e-3)
    raw = window.inputs[:, :, 0] * spec["scaling"]["scale"] + spec["scaling"]["center"]
    for values, length, targets in zip(raw, window.lengths, window.targets, strict=True):
        found = [number for number in range(20) if np.allclose(arrays["x"][number, 0], values[0], atol=0.01)]
        assert [arrays["lengths"][number] for number in found] == [int(length)]
        assert targets[:length].tolist() == arrays["y"][found[0], :length].tolist()
        assert (targets[length:] == IGNORE_INDEX).all()


def test_clips_in_colour_with_a_test_file_and_names_of_classes(clips):
    folder, _ = clips
    names = ArrayNames(inputs="clips", targets="labels")
    for part in ("train", "test"):
        labels = np.full((4, 3), "walk")
        labels[:, 1] = "run"
        np.savez(folder / f"{part}.npz", clips=np.random.default_rng(0).random((4, 3, 8, 8, 3)), labels=labels)

    data = set_up(Clips(str(folder / "train.npz"), str(folder / "test.npz"), names, val_fraction=0.0))

    assert data.spec["inputs"]["image_channels"] == 3
    (window,) = data.test_dataloader()
    assert window.inputs.shape == (4, 3, 3, 8, 8)
    assert window.targets.tolist() == [[1, 0, 1]] * 4
    assert data.spec["targets"]["classes"] == ["run", "walk"]


def test_clips_to_predict_for_are_scaled_as_in_training(clips):
    folder, arrays = clips
    spec = set_up(Clips(str(folder / "clips.npz"))).spec
    np.savez(folder / "new.npz", x=arrays["x"][:2])
    np.savez(folder / "colour.npz", x=np.zeros((1, 4, 8, 8, 3)))

    module = Clips("not there", spec=spec)

    first = module.read_requests(str(folder / "new.npz"))[0].example
    np.testing.assert_allclose(
        first.inputs[:, 0], (arrays["x"][0] - spec["scaling"]["center"]) / spec["scaling"]["scale"], rtol=1e-4
    )
    assert first.targets.shape == (6,)
    assert "expected (time, height, width, 1)" in module.read_requests(str(folder / "colour.npz"))[0].problem


def test_clips_that_do_not_fit_are_told(clips):
    folder, arrays = clips
    spec = set_up(Clips(str(folder / "clips.npz"))).spec
    np.savez(folder / "flat.npz", x=arrays["x"][:, 0], y=arrays["y"][:, 0])
    np.savez(folder / "new.npz", x=arrays["x"], y=arrays["y"] + 1)
    sizes = np.empty(2, object)
    sizes[:] = [np.zeros((2, 8, 8)), np.zeros((2, 8, 9))]
    np.savez(folder / "sizes.npz", x=sizes, y=np.zeros((2, 2)))

    for file, said in {
        "flat.npz": "expected clips (clips, time, height, width)",
        "new.npz": "class '3' is not known; expected one of 0, 1, 2",
        "sizes.npz": "array 'x' holds Python objects, as arrays of different sizes make",
    }.items():
        with pytest.raises(UserError) as caught:
            set_up(Clips(str(folder / file), spec=spec))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)

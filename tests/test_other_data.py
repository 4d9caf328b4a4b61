"""`evaluate` and `predict` on other data than a run was trained on: which part, which files, what is named how."""

import csv
import json
import struct

import mido
import numpy as np
import pytest
from PIL import Image

from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.errors import UserError
from seqmodels.training import train

FEW = ["debug=fast", "trainer=cpu", "callbacks.pictures=null", "model.hidden_size=8", "data.batch_size=8"]


@pytest.fixture
def learned(tmp_path):
    """Trains a few steps: `learned("experiment=chorales", ...)` gives the run directory."""
    return lambda *overrides: train(compose([*FEW, f"output_dir={tmp_path / 'outputs'}", *overrides])).run


@pytest.fixture
def told(capsys):
    """Runs a command; returns its exit code, and what it says on stdout and stderr."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def figures(told):
    """Measures a run; returns the figures by name, of the part that it says they are of."""

    def measure(run, *arguments):
        code, out, err = told("evaluate", f"run={run}", "accelerator=cpu", *arguments)
        assert code == 0, err
        part, *words = out.split()
        return part, dict(zip(words[::2], map(float, words[1::2]), strict=True))

    return measure


def read(path):
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


# Which part of another file is measured


def rolls(draw, density, count, part):
    return {f"{part}_{number}": (draw.random((6, 88)) < density).astype(np.uint8) for number in range(count)}


def test_of_a_file_that_names_its_parts_the_test_is_measured(learned, figures, told, tmp_path):
    """The parts differ in how much sounds, so that their losses are far apart."""
    draw = np.random.default_rng(0)
    train_part, val, test = (
        rolls(draw, density, count, part)
        for part, density, count in (("train", 0.01, 12), ("val", 0.2, 3), ("test", 0.5, 4))
    )
    np.savez(tmp_path / "music.npz", **train_part, **val, **test)
    run = learned("experiment=chorales", f"data.path={tmp_path / 'music.npz'}")
    expected = figures(run, "split=test")
    assert figures(run, "split=train")[1]["loss"] != pytest.approx(expected[1]["loss"], rel=1e-3)
    assert figures(run, f"data.path={tmp_path / 'music.npz'}") == expected
    np.savez(tmp_path / "tests.npz", **test)  # nothing to train on is needed
    assert figures(run, f"data.path={tmp_path / 'tests.npz'}") == expected
    np.savez(tmp_path / "none.npz", **{name.replace("test", "piece"): roll for name, roll in test.items()})
    assert figures(run, f"data.path={tmp_path / 'none.npz'}") == expected  # all of what names no parts
    np.savez(tmp_path / "other.npz", **train_part, **val)
    code, _, err = told("evaluate", f"run={run}", f"data.path={tmp_path / 'other.npz'}")
    assert code == 1
    assert "names its parts, and none is a test; expected one of them, split=train and split=val" in err


def test_a_file_without_a_training_part_is_not_trained_on(learned, tmp_path):
    np.savez(tmp_path / "tests.npz", **rolls(np.random.default_rng(0), 0.1, 4, "test"))
    with pytest.raises(UserError, match="there is no example to train on"):
        learned("experiment=chorales", f"data.path={tmp_path / 'tests.npz'}")


# Files that belong to another


def write_idx(path, array):
    array = np.asarray(array, np.uint8)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


def test_labels_of_the_run_are_not_those_of_other_images(learned, figures, tmp_path):
    draw = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = draw.integers(0, 50, (40, 4, 4)) + 200 * labels[:, None, None]
    write_idx(tmp_path / "mine.idx", images)
    write_idx(tmp_path / "classes.idx", labels)
    write_idx(tmp_path / "new-images.idx", images[::-1])
    write_idx(tmp_path / "new-labels.idx", labels[::-1])
    mine = [f"data.path={tmp_path / 'mine.idx'}", f"data.labels_path={tmp_path / 'classes.idx'}"]
    overrides = [
        "experiment=digits_rows",
        "data=arrays",
        *mine,
        "trainer.max_epochs=8",
        "trainer.limit_train_batches=null",
    ]
    run = learned(*overrides, "optimizer.lr=0.05", "scheduler=constant")
    assert figures(run, "split=train")[1]["accuracy"] == 1
    assert figures(run, f"data.path={tmp_path / 'new-images.idx'}")[1]["accuracy"] == 1


def test_captions_of_the_run_are_not_those_of_other_images(learned, figures, told, tmp_path):
    for folder, names in (("mine", "abcdefgh"), ("other", "vwxyz")):
        (tmp_path / folder).mkdir()
        for name in names:
            Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "mine.tsv").write_text("".join(f"{name}.png\tone two\n" for name in "abcdefgh"))
    (tmp_path / "other" / "captions.tsv").write_text("".join(f"{name}.png\tone two\n" for name in "vwxyz"))
    mine = ["data=image_captions", f"data.path={tmp_path / 'mine'}", f"data.captions={tmp_path / 'mine.tsv'}"]
    run = learned("experiment=digit_captions", *mine, "model.context.channels=[4]", "model.context.size=8")
    part, _ = figures(run, f"data.path={tmp_path / 'other'}")
    assert part == "test"

    # Images of a folder are named; its captions are no image.
    (tmp_path / "other" / "broken.png").write_text("no image")
    code, out, err = told("predict", f"run={run}", f"input={tmp_path / 'other'}", f"output={tmp_path / 'out.csv'}")
    assert (code, "5 predictions, 1 that" in out) == (0, True)
    assert (
        err
        == f"seqmodels: {tmp_path / 'other' / 'broken.png'}: is no image that can be read; expected PNG, JPEG, GIF, BMP, TIFF, WEBP, PPM\n"
    )
    assert [row["file"] for row in read(tmp_path / "out.csv")] == ["broken.png", *(f"{name}.png" for name in "vwxyz")]
    (tmp_path / "list.tsv").write_text("other/v.png\nother/broken.png\n")
    _, _, err = told("predict", f"run={run}", f"input={tmp_path / 'list.tsv'}", f"output={tmp_path / 'out.csv'}")
    assert err.startswith(f"seqmodels: {tmp_path / 'list.tsv'} line 2: {tmp_path / 'other' / 'broken.png'}: is no")


# Measures that learn of the training data


def test_the_verdict_is_of_the_runs_own_data_alone(learned, figures, tmp_path):
    for folder in ("mine", "other"):
        (tmp_path / folder).mkdir()
        for name, words in {"greek": "alpha\nbeta\n", "latin": "unus\nduo\n"}.items():
            (tmp_path / folder / f"{name}.txt").write_text(words * 10)
    few = ["task.measures.verdict.num_samples=4", "task.measures.verdict.length=5"]
    run = learned("experiment=class_lines", f"data.path={tmp_path / 'mine'}", *few)
    assert "verdict" in figures(run)[1]
    assert "verdict" in figures(run, "data.batch_size=4")[1]
    assert "verdict" not in figures(run, f"data.path={tmp_path / 'other'}")[1]
    (tmp_path / "other" / "latin.txt").unlink()
    assert "loss" in figures(run, f"data.path={tmp_path / 'other'}")[1]  # one class is enough to be measured


# Keys


def test_keys_within_keys_are_changed_where_they_stand(learned, figures, told, tmp_path):
    draw = np.random.default_rng(0)
    values, classes = draw.normal(size=(30, 5, 2)), np.arange(30) % 2
    np.savez(tmp_path / "mine.npz", x=values, y=classes)
    np.savez(tmp_path / "new.npz", series=values, y=classes)
    run = learned("experiment=japanese_vowels", f"data.path={tmp_path / 'mine.npz'}")
    assert figures(run, f"data.path={tmp_path / 'new.npz'}", "data.arrays.inputs=series") == figures(
        run, f"data.path={tmp_path / 'mine.npz'}"
    )
    asked = ["predict", f"run={run}", f"input={tmp_path / 'new.npz'}", f"output={tmp_path / 'out.csv'}"]
    assert told(*asked, "data.arrays.inputs=series")[0] == 0
    assert len(read(tmp_path / "out.csv")) == 30
    for key, said in {
        "data.arrays.input=series": "data.arrays.input=series: no such key; did you mean inputs?",
        "data.arays.inputs=series": "data.arays={'inputs': 'series'}: no such key; did you mean arrays?",
        "data.path.inputs=series": "data.path.inputs=series: data.path of this run has no keys under it",
    }.items():
        code, _, err = told(*asked, key)
        assert (code, said in err) == (1, True), err
    code, _, err = told(*asked, "data.specs=1")
    assert (code, "spec" in err.partition("no such key")[2]) == (1, False)


def test_the_length_of_a_problem_is_changed(learned, figures):
    run = learned("experiment=parity", "data.test_size=8", "data.val_size=8")
    assert figures(run, "data.problem.length=32")[0] == "test"


# What cannot be predicted


def test_nothing_that_can_be_predicted_is_a_failure(learned, told, tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(30, 5, 2)), y=np.arange(30) % 2)
    run = learned("experiment=japanese_vowels", f"data.path={tmp_path / 'mine.npz'}")
    np.savez(tmp_path / "new.npz", x=np.zeros((2, 5, 3)))
    output = tmp_path / "out.csv"
    code, out, err = told("predict", f"run={run}", f"input={tmp_path / 'new.npz'}", f"output={output}")
    assert (code, out) == (1, "")
    assert [line.partition(": ")[2] for line in err.splitlines()] == [
        f"{tmp_path / 'new.npz'} item 1: 3 channels; expected 2, as in training",
        f"{tmp_path / 'new.npz'} item 2: 3 channels; expected 2, as in training",
        f"input={tmp_path / 'new.npz'}: nothing of it could be predicted; {output} has the problems",
    ]
    assert [row["line"] for row in read(output)] == ["1", "2"]


def test_a_broken_piece_of_music_leaves_the_others(learned, told, tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for name in "bcdefgh":
        file = mido.MidiFile(ticks_per_beat=96)
        file.tracks.append(mido.MidiTrack(mido.Message("note_on", note=60, time=96 * step) for step in range(3)))
        file.save(folder / f"{name}.mid")
    run = learned("experiment=chorales", f"data.path={folder}")
    (folder / "a.mid").write_bytes(b"broken")
    code, _, err = told("predict", f"run={run}", f"input={folder}", f"output={tmp_path / 'out.csv'}")
    assert code == 0
    assert err.startswith(f"seqmodels: input={folder / 'a.mid'}: is no MIDI file")
    rows = read(tmp_path / "out.csv")
    assert list(dict.fromkeys((row["line"], row["file"]) for row in rows)) == [
        (str(number), f"{name}.mid") for number, name in enumerate("abcdefgh", 1)
    ]


# How likely lines are


def test_lines_are_told_how_likely_they_are(learned, told, corpus, tmp_path):
    run = learned("experiment=lines", f"data.path={corpus}")
    (tmp_path / "new.txt").write_bytes(b"the cat sees fish.\n\n  a dog \nna\xefve\n")
    output = tmp_path / "out.jsonl"
    assert told("predict", f"run={run}", f"input={tmp_path / 'new.txt'}", f"output={output}")[0] == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["line"], row.get("tokens")) for row in rows] == [(1, 19), (3, 6), (4, None)]  # and the end of each
    assert rows[0]["perplexity"] == pytest.approx(np.exp(rows[0]["nats"] / 19), rel=1e-4)
    assert "line 4: byte 0xef is not valid UTF-8" in rows[2]["problem"]


def test_a_stream_has_no_rows_to_predict(learned, told, corpus, tmp_path):
    run = learned("data=text_file", f"data.path={corpus}", "tbptt.k1=8", "tbptt.k2=8")
    code, _, err = told("predict", f"run={run}", f"input={corpus}", f"output={tmp_path / 'out.csv'}")
    assert code == 1
    assert err.startswith(f"seqmodels: input={corpus}: this run learned one long text")
    assert "seqmodels generate" in err


# The shape of data, task and model


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["experiment=parity", "data=copy"], "a target at each step"),
        (["experiment=memory/copy", "data=parity"], "one target for each sequence"),
        (["experiment=digits_rows", "model=many_to_many", "task=many_to_many"], "one target for each sequence"),
        (["data=parity"], "one target for each sequence"),
    ],
)
def test_a_model_of_another_shape_is_refused(learned, overrides, said, tmp_path):
    with pytest.raises(UserError) as caught:
        learned(*overrides)
    shape = "many_to_many" if "each step" in said else "many_to_one"
    assert str(caught.value).startswith(f"data: have {said} ({shape})")
    assert str(caught.value).endswith(f"expected model={shape} task={shape}")
    assert not (tmp_path / "outputs").exists()


def test_a_model_without_an_encoder_is_refused_for_pairs(learned, tmp_path):
    with pytest.raises(UserError, match=r"the model reads none; expected model=encoder_decoder task=sequence_to_seq"):
        learned("experiment=char_lm", "data=reversal")
    assert not (tmp_path / "outputs").exists()


def test_numbers_that_stand_for_classes_are_told_the_key(learned, tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.zeros((30, 5, 2)), y=np.arange(30) % 2.0)
    with pytest.raises(UserError, match=r"data\.target_kind=classes"):
        learned("experiment=japanese_vowels", f"data.path={tmp_path / 'mine.npz'}")
    assert learned("experiment=japanese_vowels", f"data.path={tmp_path / 'mine.npz'}", "data.target_kind=classes")

"""Class to sequence, image to words and polyphonic music, from the command line: they learn, write, predict, resume."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from seqmodels import runs
from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.training import train

SMALL = ["trainer=cpu", "model.hidden_size=24", "cell=gru", "optimizer.lr=0.02"]
SMALL += ["scheduler=constant", "callbacks.pictures=null"]
ALL = ["data.val_fraction=0.2", "data.test_fraction=0"]


@pytest.fixture
def folder(tmp_path):
    """Two classes of lines that have no word in common."""
    path = tmp_path / "lines"
    path.mkdir()
    for name, words in {"greek": ["alpha", "beta"], "latin": ["unus", "duo"]}.items():
        (path / f"{name}.txt").write_text("\n".join(words * 20))
    return path


@pytest.fixture
def lines_run(folder, tmp_path):
    """A model of these lines, trained until it tells the classes apart."""
    overrides = ["experiment=class_lines", f"data.path={folder}", f"output_dir={tmp_path / 'outputs'}", *SMALL, *ALL]
    overrides += ["data.batch_size=8", "trainer.max_epochs=8", "task.measures.verdict.num_samples=20"]
    return train(compose([*overrides, "task.measures.verdict.length=12"]))


def test_lines_are_written_by_class(lines_run, tmp_path, capsys):
    results = lines_run.results
    assert results["val/bits_per_character"] < 0.5  # one of two words, and what follows from its first letter
    assert results["val/verdict"] > 0.9
    assert results["val/verdict_on_real"] == 1
    assert [sample.split("\n")[0] for sample in lines_run.samples] == ["[greek]", "[latin]", "[greek]"]
    written = sorted((lines_run.run / "samples").glob("*.txt"))[-1].read_text("utf-8")
    assert written.startswith("[greek]\n")

    for name, words in {"greek": {"alpha", "beta"}, "latin": {"unus", "duo"}}.items():
        assert main(["generate", f"run={lines_run.run}", f"class={name}", "temperature=0.3", "seed=1"]) == 0
        assert capsys.readouterr().out.strip() in words
    assert main(["generate", f"run={lines_run.run}", "class=latin", "num_samples=3", "temperature=0.3", "seed=1"]) == 0
    assert {*capsys.readouterr().out.split("\n")[1::2]} <= {"unus", "duo", ""}
    assert main(["generate", f"run={lines_run.run}", "class=welsh"]) == 1
    assert capsys.readouterr().err == "seqmodels: class=welsh: expected one of greek, latin\n"

    (tmp_path / "wanted.txt").write_text("latin\nwelsh\n\ngreek\n")
    output = tmp_path / "written.csv"
    main(["predict", f"run={lines_run.run}", f"input={tmp_path / 'wanted.txt'}", f"output={output}"])
    rows = list(csv.DictReader(output.read_text("utf-8").splitlines()))
    assert [row["line"] for row in rows] == ["1", "2", "4"]
    assert rows[0]["prediction"] in {"unus", "duo"}
    assert rows[2]["prediction"] in {"alpha", "beta"}
    assert "'welsh' is no class" in rows[1]["problem"]


def test_a_resumed_run_ends_as_one_that_was_not_stopped(folder, tmp_path):
    overrides = ["experiment=class_lines", f"data.path={folder}", *SMALL, *ALL, "data.batch_size=8"]
    overrides += ["model.hidden_size=6", "task.measures.verdict.num_samples=2", "task.measures.verdict.length=3"]
    overrides += ["~callbacks.samples", "model.output_dropout=0.3"]
    whole = train(compose([*overrides, "trainer.max_epochs=2", f"output_dir={tmp_path / 'whole'}"]))
    half = train(compose([*overrides, "trainer.max_steps=5", f"output_dir={tmp_path / 'half'}"]))
    run = runs.load_run(str(half.run), to_resume=True)
    run.config["trainer"] |= {"max_steps": None, "max_epochs": 2}
    rest = train(run.config, resumed=run)
    assert rest.results["train/steps"] == whole.results["train/steps"] > 5
    assert rest.results["val/loss"] == whole.results["val/loss"]


def test_tunes_of_a_file_are_learned_by_rhythm(tmp_path):
    """Two tunes, again and again, that their first note tells apart: given the class nothing is left to learn."""
    tune = "X:{n}\nT:Tune {n}\nR:{r}\nM:{m}\nL:1/8\nK:{k}\n{b}\n"
    two = [("jig", "6/8", "D", "dcB AFD|D6:|"), ("reel", "C", "G", "gedB G2BG|G8:|")]
    tunes = [tune.format(n=n + 1, r=r, m=m, k=k, b=b) for n in range(12) for r, m, k, b in two]
    (tmp_path / "mine.abc").write_text("\n".join(tunes), "utf-8")
    overrides = ["experiment=tunes", f"data.path={tmp_path / 'mine.abc'}", f"output_dir={tmp_path / 'outputs'}"]
    overrides += [*SMALL, *ALL, "model.output_dropout=0", "trainer.max_epochs=20", "data.batch_size=4"]
    overrides += ["task.measures.tunes.num_samples=2", "task.measures.tunes.length=60", "callbacks.samples.length=60"]
    outcome = train(compose([*overrides, "callbacks.samples.every_n_validations=30"]))
    assert outcome.results["val/parses"] == 1
    assert outcome.results["val/bits_per_character"] < 0.1
    assert outcome.samples[1] == "[reel]\nX:1\nM:C\nL:1/8\nK:G\ngedB G2BG|G8:|"


def test_images_are_put_into_words(tmp_path, capsys):
    """Which half of a picture is white: a word each, and their order."""
    images = tmp_path / "images"
    images.mkdir()
    draw = np.random.default_rng(0)
    lines = []
    for number in range(48):
        pixels = draw.integers(0, 60, (8, 16), dtype=np.uint8)
        left, right = number % 2, number // 2 % 2
        pixels[:, :8] += 190 * left
        pixels[:, 8:] += 190 * right
        Image.fromarray(pixels).save(images / f"{number}.png")
        lines.append(f"{number}.png\t{['dark', 'light'][left]} {['dark', 'light'][right]}")
    (images / "captions.tsv").write_text("\n".join(lines))
    overrides = ["experiment=digit_captions", "data=image_captions", f"data.path={images}", *SMALL, *ALL]
    overrides += ["model.context.channels=[8]", "model.context.size=16", "data.batch_size=8", "trainer.max_epochs=12"]
    outcome = train(compose([*overrides, f"output_dir={tmp_path / 'outputs'}"]))
    assert outcome.results["val/exact_match"] == 1
    assert outcome.results["val/bleu"] == pytest.approx(100)
    assert outcome.samples == []  # what is written of images is shown with them
    assert (outcome.run / "pictures" / "val_captions.png").stat().st_size > 1000
    assert main(["generate", f"run={outcome.run}", f"image={images / '1.png'}", "temperature=0"]) == 0
    assert capsys.readouterr().out == "light dark\n"
    output = tmp_path / "captions.jsonl"
    assert main(["predict", f"run={outcome.run}", f"input={images / 'captions.tsv'}", f"output={output}"]) == 0
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["prediction"] for row in rows[:4]] == ["dark dark", "light dark", "dark light", "light light"]


def test_the_next_keys_of_a_scale_are_learned(tmp_path):
    """Two voices that go up and down: the steps before tell all but which way it goes at first."""
    arrays = {}
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        for number in range(count):
            roll = np.zeros((7, 88), np.uint8)
            way = 1 if number % 2 else -1
            for step in range(7):
                roll[step, [40 + way * step, 50 + way * step]] = 1
            arrays[f"{part}_{number}"] = roll
    np.savez(tmp_path / "scales.npz", **arrays)
    overrides = ["experiment=chorales", f"data.path={tmp_path / 'scales.npz'}", f"output_dir={tmp_path / 'outputs'}"]
    overrides += [
        *SMALL,
        "model.hidden_size=64",
        "model.input_dropout=0",
        "model.output_dropout=0",
        "data.batch_size=4",
        "trainer.max_epochs=60",
        "scheduler.warmup_steps=0",
    ]
    outcome = train(compose(overrides))
    # The first of six steps is a choice between two, of 0.69 nats for each of four keys that may follow.
    assert 4 * np.log(2) / 6 < outcome.results["test/nll"] < 4 * np.log(2) / 6 + 0.2
    assert outcome.results["test/nll"] == pytest.approx(outcome.results["test/loss"], rel=1e-4)
    output = tmp_path / "next.csv"
    np.savez(tmp_path / "new.npz", piece=arrays["train_1"][:5])
    assert main(["predict", f"run={outcome.run}", f"input={tmp_path / 'new.npz'}", f"output={output}"]) == 0
    rows = list(csv.DictReader(output.read_text("utf-8").splitlines()))
    assert len(rows) == 5
    assert rows[-1]["prediction"] == "F#4;E5"  # keys 45 and 55 of the piano, counted from A0

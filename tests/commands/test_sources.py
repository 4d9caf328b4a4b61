"""Runs that make one sequence of another, from the command line: trained, asked, and told what is wrong."""

import csv

import numpy as np
import pytest
from scipy.io import wavfile

from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.tasks import transcription
from seqmodels.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translated")
    for part, count in (("train", 40), ("val", 4)):
        (folder / f"{part}.de").write_text("".join(f"{['ja', 'nein'][n % 2]}\n" for n in range(count)))
        (folder / f"{part}.en").write_text("".join(f"{['yes', 'no'][n % 2]}\n" for n in range(count)))
    config = compose(
        [
            "experiment=translation",
            f"data.path={folder}",
            "data.batch_tokens=40",
            "data.max_source_length=3",
            "model.hidden_size=16",
            "model.input_dropout=0",
            "model.output_dropout=0",
            "trainer=cpu",
            "trainer.max_epochs=12",
            "callbacks.pictures=null",
            "callbacks.checkpoints.monitor=val/loss",
            "callbacks.checkpoints.mode=min",
            "optimizer.lr=0.02",
            f"output_dir={folder / 'outputs'}",
        ]
    )
    return train(config).run


def told(capsys, *words):
    assert main([*words]) == 1
    return capsys.readouterr().err.strip()


def test_one_line_from_the_terminal(run, capsys):
    for source, target in (("ja", "yes"), ("nein", "no")):
        assert main(["generate", f"run={run}", f"source={source}"]) == 0
        assert capsys.readouterr().out.strip() == target
    assert main(["generate", f"run={run}", "source=ja", "beam_size=3", "n_best=2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("--- 1, score ")
    assert shown[1] == "yes"


def test_a_warm_start_is_gone_on_with(run, capsys):
    assert main(["generate", f"run={run}", "source=ja", "prompt=no", "length=1"]) == 0
    assert capsys.readouterr().out.startswith("no")
    assert "prompt='maybe': the vocabulary of this run lacks 'maybe'" in told(
        capsys, "generate", f"run={run}", "source=ja", "prompt=maybe"
    )


def test_a_file_is_translated_in_its_order_with_what_is_wrong_in_it(run, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("nein\nja ja ja ja\nja\n\nvielleicht\n")
    output = tmp_path / "out.csv"
    assert main(["predict", f"run={run}", f"input={tmp_path / 'in.txt'}", f"output={output}"]) == 0
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["line"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["source"] for row in rows] == ["nein", "", "ja", "", "vielleicht"]
    assert [rows[place]["prediction"] for place in (0, 2)] == ["no", "yes"]
    assert "the source has 4 tokens, more than data.max_source_length=3" in rows[1]["problem"]
    assert "line 4: there is no text" in rows[3]["problem"]
    searched = ["beam_size=3", "n_best=2", f"output={output}"]
    assert main(["predict", f"run={run}", f"input={tmp_path / 'in.txt'}", *searched]) == 0
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["rank"]) for row in rows[:3]] == [("1", "1"), ("1", "2"), ("2", "")]
    assert [row["source"] for row in rows[:2]] == ["nein", "nein"]


def test_mistakes_are_one_line(run, capsys, tmp_path):
    generate = ["generate", f"run={run}"]
    assert told(capsys, *generate) == (
        "seqmodels: source=null: this run makes one sequence of another; expected source=, a text or a file"
    )
    assert "class=x: this run makes one sequence of another" in told(capsys, *generate, "class=x")
    assert "source=ja ja ja ja: the source has 4 tokens" in told(capsys, *generate, "source=ja ja ja ja")
    assert "beam_size=900: expected at most" in told(capsys, *generate, "source=ja", "beam_size=900")
    assert "source=ja: goes without class=x" in told(capsys, *generate, "source=ja", "class=x")


def test_a_recording_is_transcribed_by_both_kinds_of_model(tmp_path, capsys):
    for number in range(12):
        sound = np.sin(np.arange(2400) * (0.1 + 0.3 * (number % 2)))
        wavfile.write(tmp_path / f"{number % 2}_ann_{number}.wav", 8000, (9000 * sound).astype(np.int16))
    small = ["model.encoder.hidden_size=8", "trainer.max_epochs=20", "trainer=cpu", "data.batch_size=4"]
    small += ["data.perturbation=null", "callbacks.pictures=null", "optimizer.lr=0.02", f"output_dir={tmp_path / 'o'}"]
    for name in ("spoken_digits", "spoken_digits_ctc"):
        run = train(compose([f"experiment={name}", f"data.path={tmp_path}", *small])).run
        for digit, word in (("0", "zero"), ("1", "one")):
            assert main(["generate", f"run={run}", f"source={tmp_path}/{digit}_ann_{digit}.wav"]) == 0
            assert capsys.readouterr().out.strip() == word
        assert "nothing.wav" in told(capsys, "generate", f"run={run}", "source=nothing.wav")


def test_what_makes_nothing_of_sources_says_so(tmp_path, capsys, corpus):
    small = ["data.batch_size=2", "tbptt.k1=8", "tbptt.k2=8", "model.hidden_size=8", "debug=fast", "trainer=cpu"]
    other = train(compose(["data=text_file", f"data.path={corpus}", f"output_dir={tmp_path}", *small])).run
    message = "source=ja: the texts of this run are not made of another sequence; leave it out"
    assert message in told(capsys, "generate", f"run={other}", "source=ja")


@pytest.mark.parametrize("source", ["", " "])
def test_a_source_without_a_text_is_refused(run, capsys, source):
    assert told(capsys, "generate", f"run={run}", f"source={source}") == (
        f"seqmodels: source={source}: there is no text; expected one, or the file of a recording"
    )


def test_a_file_is_searched_in_groups(run, tmp_path):
    (tmp_path / "in.txt").write_text("nein\n")
    output = tmp_path / "out.csv"
    predict = ["predict", f"run={run}", f"input={tmp_path / 'in.txt'}", f"output={output}", "beam_size=4", "n_best=4"]
    found = []
    for diversity in ("5", "0.01"):  # groups that find the same texts find fewer
        assert main([*predict, "length=2", "beam_groups=4", f"diversity={diversity}"]) == 0
        with output.open() as file:
            found.append([row["prediction"] for row in csv.DictReader(file)])
    assert all(len(texts) == len(set(texts)) for texts in found)
    assert len(found[0]) > len(found[1])


@pytest.fixture(scope="module")
def transcribing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("said")
    for number in range(8):
        samples = np.sin(np.arange(2000) * (0.2 if number % 2 else 1.2)).astype(np.float32)
        wavfile.write(folder / f"{['no', 'yes'][number % 2]}_{number}.wav", 8000, samples)
    config = compose(
        [
            "experiment=spoken_digits_ctc",
            "data=speech",
            f"data.path={folder}",
            r"data.pattern='(?P<label>[a-z]+)_\d+\.wav'",
            "data.val_fraction=0.25",
            "data.test_fraction=0",
            "model.encoder.hidden_size=8",
            "model.encoder.num_layers=1",
            "trainer=cpu",
            "debug=fast",
            f"output_dir={folder / 'outputs'}",
        ]
    )
    return folder, train(config).run


def test_the_beam_of_a_transcription_can_be_chosen(transcribing, tmp_path, monkeypatch, capsys):
    folder, run = transcribing
    sizes = []
    searched = transcription.prefix_beam_search
    monkeypatch.setattr(transcription, "prefix_beam_search", lambda *given: sizes.append(given[3]) or searched(*given))
    output = tmp_path / "out.csv"
    predict = ["predict", f"run={run}", f"input={folder}", f"output={output}"]
    for more in ([], ["beam_size=3"]):
        assert main([*predict, *more]) == 0
        with output.open() as file:
            rows = list(csv.DictReader(file))
        assert [row["file"] for row in rows] == sorted(file.name for file in folder.glob("*.wav"))
    assert sizes == [10, 3]
    capsys.readouterr()
    assert told(capsys, *predict, "beam_size=3", "n_best=2") == (
        "seqmodels: n_best=2: this run transcribes, which takes beam_size alone; leave it out"
    )

"""The keys that say how texts are written, for a whole file and for what is measured of them."""

import json
import re
import runpy

import numpy as np
import pytest
from scipy.io import wavfile

from seqmodels.building import build
from seqmodels.commands.composing import CONFIG_DIR, compose
from seqmodels.commands.main import main
from seqmodels.runs import load_model, load_run
from seqmodels.tasks import Hypotheses, Transcripts, transcription
from seqmodels.training import train

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of pairs that has learned next to nothing, so that what it writes is what the rules leave it."""
    folder = tmp_path_factory.mktemp("pairs")
    draw = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 12)):
        texts = [" ".join(draw.choice(WORDS, draw.integers(2, 7))) for _ in range(count)]
        for side in ("de", "en"):
            (folder / f"{part}.{side}").write_text("".join(f"{text}\n" for text in texts))
    small = ["model.hidden_size=12", "model.encoder.hidden_size=8", "model.embedding_size=8", "trainer=cpu"]
    small += ["trainer.max_epochs=1", "optimizer.lr=1e-6", "callbacks.pictures=null", "seed=3"]
    return train(compose(["experiment=translation", f"data.path={folder}", *small, f"output_dir={folder}/o"])).run


@pytest.fixture
def file(tmp_path):
    """Sources of several lengths."""
    path = tmp_path / "in.txt"
    path.write_text("one two three\nfour\nfive six seven eight one\n")
    return path


@pytest.fixture
def written(run, file, tmp_path):
    """What `predict` writes for each row of a file."""

    def rows(*arguments):
        output = tmp_path / "out.jsonl"
        assert main(["predict", f"run={run}", f"input={file}", f"output={output}", *arguments]) == 0
        return [json.loads(line) for line in output.read_text().splitlines()]

    return rows


@pytest.fixture
def fails(capsys):
    """The one line of a command that must fail."""

    def line(*arguments):
        capsys.readouterr()
        assert main([*arguments]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0].removeprefix("seqmodels: ")

    return line


@pytest.mark.parametrize("how", [[], ["beam_size=3"]], ids=["greedy", "beam"])
def test_a_file_is_written_by_the_rules(written, how):
    texts = [row["prediction"].split() for row in written(*how)]
    assert len(texts) == 3
    assert (
        all(text[:2] == row["prediction"].split() for text, row in zip(texts, written("length=2"), strict=True)) or how
    )
    for count in (1, 4):
        limited = [row["prediction"].split() for row in written(f"length={count}", f"min_length={count}", *how)]
        assert [len(text) for text in limited] == [count] * 3
    for text in (row["prediction"].split() for row in written("min_length=7", "no_repeat_ngram=1", *how)):
        assert len(text) == len(set(text)) >= 7
    repeated = [row["prediction"] for row in written("min_length=7", *how)]
    assert any(len(text.split()) > len(set(text.split())) for text in repeated)
    assert [row["prediction"] for row in written("min_length=7", "repetition_penalty=5", *how)] != repeated


def test_what_is_required_is_in_every_text_of_every_row(written):
    rows = written("beam_size=4", "n_best=2", "required=[six, two two]")
    assert [(row["line"], row["rank"]) for row in rows] == [(line, rank) for line in (1, 2, 3) for rank in (1, 2)]
    for row in rows:
        assert "six" in row["prediction"].split()
        assert "two two" in row["prediction"]
    assert not all("six" in row["prediction"] for row in written("beam_size=4"))


def test_a_row_for_which_nothing_is_found_is_told_with_its_line(run, file, tmp_path):
    output = tmp_path / "out.jsonl"
    arguments = ["predict", f"run={run}", f"input={file}", f"output={output}", "beam_size=2", "length=2"]
    assert main([*arguments, "required=one two three"]) == 1
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["line"] for row in rows] == [1, 2, 3]
    assert rows[1]["problem"] == (f"{file} line 2: no text of at most 2 tokens was found that does all that is asked")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["min_length=-1"], "min_length=-1: expected at least 0"),
        (["min_length=5", "length=4"], "min_length=5: expected at most length=4"),
        (["min_length=500"], r"min_length=500: expected at most \d+, the most tokens that this run gives a text"),
        (["length=0"], "length=0: expected at least 1"),
        (["no_repeat_ngram=-2"], "no_repeat_ngram=-2: expected at least 1"),
        (["repetition_penalty=0"], "repetition_penalty=0.0: expected a number above 0"),
        (["required=two"], "required=two: only a beam search can promise a text; give beam_size too"),
        (["beam_size=2", "required=nine"], "required='nine': the vocabulary of this run lacks 'nine'"),
        (["beam_size=2", "beam_groups=2", "diversity=1", "required=two"], "required: cannot be promised by"),
    ],
)
def test_mistakes_are_told_in_one_line(fails, run, file, tmp_path, arguments, message):
    line = fails("predict", f"run={run}", f"input={file}", f"output={tmp_path / 'out.csv'}", *arguments)
    assert re.match(message, line), line
    assert not (tmp_path / "out.csv").exists()


def test_a_source_from_the_terminal_cannot_be_longer_than_a_text_of_the_run(fails, run):
    told = fails("generate", f"run={run}", "source=one", "min_length=300")
    assert re.fullmatch(r"min_length=300: expected at most \d+, the most tokens that this run gives a text", told)


RULES = [["min_length=2"], ["length=5"], ["no_repeat_ngram=2"], ["repetition_penalty=2"], ["beam_size=3", "required=a"]]


@pytest.mark.parametrize("rule", RULES)
def test_what_writes_no_texts_says_so(fails, others, tmp_path, rule):
    for run, file in others:
        key = rule[0].partition("=")[0]
        line = fails("predict", f"run={run}", f"input={file}", f"output={tmp_path / 'out.csv'}", *rule)
        assert line.startswith(f"{key}=")
        assert line.endswith(": this run writes no texts of its rows; leave it out")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A run of classification and one of forecasting, with a file for each."""
    folder = tmp_path_factory.mktemp("others")
    reviews = folder / "reviews.csv"
    reviews.write_text("text,label\n" + "".join(f"{['good', 'bad'][n % 2]} film,{n % 2}\n" for n in range(12)))
    sales = folder / "sales.csv"
    sales.write_text("day,sold\n" + "".join(f"2026-01-{n + 1:02},{n % 5}\n" for n in range(28)))
    small = ["model.hidden_size=4", "trainer=cpu", "debug=fast", "data.batch_size=4", f"output_dir={folder / 'o'}"]
    labelled = ["experiment=sentiment", "data=labelled_text", f"data.path={reviews}"]
    series = [
        "experiment=sunspots",
        "data=series_file",
        f"data.path={sales}",
        "data.horizon=2",
        "data.context=6",
    ]
    return [(train(compose([*chosen, *small])).run, file) for chosen, file in ((labelled, reviews), (series, sales))]


@pytest.fixture(scope="module")
def transcribing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("said")
    for number in range(12):
        sound = np.sin(np.arange(2400) * (0.1 + 0.3 * (number % 2)))
        wavfile.write(folder / f"{number % 2}_ann_{number}.wav", 8000, (9000 * sound).astype(np.int16))
    small = ["model.encoder.hidden_size=8", "trainer=cpu", "debug=fast", "data.batch_size=4", "data.perturbation=null"]
    return folder, train(
        compose(["experiment=spoken_digits_ctc", f"data.path={folder}", *small, f"output_dir={folder / 'o'}"])
    ).run


@pytest.mark.parametrize("rule", [*RULES[:4], ["beam_size=3", "length_penalty=1"], ["beam_size=3", "required=one"]])
def test_transcription_takes_a_beam_alone(fails, transcribing, tmp_path, rule):
    folder, run = transcribing
    name, _, value = rule[-1].partition("=")
    for command in (
        ["predict", f"input={folder}", f"output={tmp_path / 'out.csv'}"],
        ["generate", f"source={folder / '0_ann_0.wav'}"],
    ):
        line = fails(*command, f"run={run}", *rule)
        assert re.fullmatch(
            f"{name}={value}(\\.0)?: this run transcribes, which takes beam_size alone; leave it out", line
        )


def test_the_beam_of_one_recording_can_be_chosen(fails, transcribing, monkeypatch):
    folder, run = transcribing
    sizes = []
    searched = transcription.prefix_beam_search
    monkeypatch.setattr(transcription, "prefix_beam_search", lambda *given: sizes.append(given[3]) or searched(*given))
    for more in ([], ["beam_size=3"]):
        assert main(["generate", f"run={run}", f"source={folder / '0_ann_0.wav'}", *more]) == 0
    assert sizes == [10, 3]
    told = fails("generate", f"run={run}", f"source={folder / '0_ann_0.wav'}", "temperature=1")
    assert told == "temperature=1.0: this run transcribes, which takes beam_size alone; leave it out"


@pytest.fixture
def figures(run, capsys):
    """What `evaluate` prints of texts."""

    def found(*arguments):
        capsys.readouterr()
        assert main(["evaluate", f"run={run}", "split=val", *arguments]) == 0
        words = capsys.readouterr().out.split()[1:]
        return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}

    return found


def test_figures_are_those_of_the_beam(run, figures):
    loaded = load_run(str(run))
    data = build(loaded.config["data"], "data", spec=loaded.spec)
    data.setup("validate")
    greedy, searched = figures(), figures("beam_size=4", "length_penalty=1")
    for found, settings in ((greedy, {}), (searched, {"beam_size": 4, "length_penalty": 1.0})):
        measure = Hypotheses(load_model(loaded), loaded.spec, 60, "none", **settings)
        for window in data.evaluation_dataloader("val"):
            measure.update({}, window)
        for name, value in measure.compute().items():
            assert found[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
    assert greedy["cer"] != searched["cer"]
    assert greedy["loss"] == searched["loss"]
    assert figures("beam_size=1")["cer"] == greedy["cer"]


def test_a_comparison_of_beams_has_the_figures_of_each(run, figures, tmp_path, capsys):
    script = runpy.run_path(str(CONFIG_DIR.parent / "scripts" / "compare_decoding.py"))
    rows = script["compare"](load_run(str(run)), "val", [1, 4], 1.0, 60)
    shown = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in shown[:2]] == rows
    assert "tok:none" in shown[2]
    assert [(row["beam"], row["length_penalty"]) for row in rows] == [(1, 0.0), (4, 1.0)]
    for row, arguments in zip(rows, ([], ["beam_size=4", "length_penalty=1"]), strict=True):
        assert row["bleu"] == pytest.approx(figures(*arguments)["bleu"], abs=0.006)


@pytest.mark.parametrize("command", ["generate", "predict", "evaluate"])
def test_help_tells_every_key_the_own_ones_first(capsys, command):
    assert main([command, "--help"]) == 0
    meanings, defaults = capsys.readouterr().out.split("Defaults:")
    told = re.findall(r"^    (\w+): ", meanings, re.MULTILINE)
    assert told == re.findall(r"^    (\w+)=", defaults, re.MULTILINE)
    assert told[0] == "run"
    assert {"beam_size", "length_penalty"} <= {*told}
    assert ({"min_length", "length", "no_repeat_ngram", "repetition_penalty", "required"} <= {*told}) == (
        command != "evaluate"
    )


def test_a_beam_that_measures_nothing_is_told(fails, run, others):
    evaluate = ["evaluate", f"run={run}", "split=val"]
    assert fails(*evaluate, "length_penalty=1") == (
        "length_penalty=1.0: says something of a beam search; give beam_size too"
    )
    assert fails(*evaluate, "beam_size=0") == "beam_size=0: expected at least 1"
    assert fails(*evaluate, "beam_size=99").startswith("beam_size=99: expected at most ")
    for other, _ in others:
        told = fails("evaluate", f"run={other}", "split=val", "beam_size=2")
        assert told == "beam_size=2: this run measures no texts that it writes; leave it out"


def test_the_beam_of_transcripts_can_be_measured(fails, transcribing, monkeypatch):
    _, run = transcribing
    sizes = []
    written = Transcripts.write
    monkeypatch.setattr(
        Transcripts, "write", lambda self, *given: sizes.append(self.beam_size) or written(self, *given)
    )
    assert main(["evaluate", f"run={run}", "split=val", "beam_size=2"]) == 0
    assert set(sizes) == {2}
    told = fails("evaluate", f"run={run}", "split=val", "beam_size=2", "length_penalty=1")
    assert told == "length_penalty=1.0: this run transcribes, which takes beam_size alone; leave it out"

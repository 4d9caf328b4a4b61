"""Beam search and constraints from the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqmodels.commands.main import main

TRAIN = ["train", "trainer=cpu", "model.hidden_size=12", "callbacks.samples.length=5"]


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A run over characters, trained a little."""
    folder = tmp_path_factory.mktemp("characters")
    small = ["data.batch_size=4", "tbptt.k1=8", "tbptt.k2=8", "trainer.max_steps=30"]
    assert main([*TRAIN, "data=text_file", f"data.path={corpus}", *small, f"output_dir={folder}"]) == 0
    return (folder / "latest").resolve()


@pytest.fixture
def text(run, capsys):
    """What `generate` prints."""

    def shown(*arguments):
        capsys.readouterr()
        assert main(["generate", f"run={run}", "prompt=the cat", "length=30", *arguments]) == 0
        return capsys.readouterr().out

    return shown


@pytest.fixture
def fails(run, capsys):
    """The one line of a `generate` that must fail."""

    def line(*arguments):
        capsys.readouterr()
        assert main(["generate", f"run={run}", "prompt=the cat", "length=30", *arguments]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0].removeprefix("seqmodels: ")

    return line


def test_a_search_prints_the_best_or_several_with_their_scores(text):
    best = text("beam_size=4")
    assert best.startswith("the cat")
    assert len(best) == len("the cat") + 30 + 1
    assert text("beam_size=4") == best
    several = text("beam_size=4", "n_best=3")
    found = re.findall(r"--- (\d), score (-\d+\.\d{4}) ---\n(the cat[^-]*)", several)
    assert [number for number, *_ in found] == ["1", "2", "3"]
    scores = [float(score) for _, score, _ in found]
    assert scores == sorted(scores, reverse=True)
    assert found[0][2].strip() == best.strip()
    groups = text("beam_size=4", "n_best=3", "beam_groups=2", "diversity=1.5", "length_penalty=1")
    assert groups.count("the cat") == 3
    assert groups != several
    assert text("beam_size=1") == text("temperature=0")


def test_constraints_hold_for_searching_and_for_drawing(text):
    for how in (["beam_size=3"], ["temperature=0"], ["seed=1"]):
        written = text("no_repeat_ngram=2", *how).removesuffix("\n")
        pairs = [written[at : at + 2] for at in range(len(written) - 1)]
        assert len(pairs) == len(set(pairs))
        assert text("repetition_penalty=5", *how) != text(*how)
    assert "zat" not in text("beam_size=4")
    required = text("beam_size=4", "required=[tac, hh]")
    assert "tac" in required
    assert "hh" in required


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["beam_size=0"], "beam_size=0: expected at least 1"),
        (["beam_size=999"], "beam_size=999: expected at most "),
        (["beam_size=3", "n_best=4"], "n_best=4: expected 1 to beam_size=3"),
        (["n_best=2"], "n_best=2: says something of a beam search; give beam_size too"),
        (["length_penalty=0.5"], "length_penalty=0.5: says something of a beam search"),
        (
            ["beam_size=3", "temperature=0.8"],
            "temperature=0.8: a beam search draws nothing; leave it out, or beam_size=3",
        ),
        (["beam_size=3", "top_k=2"], "top_k=2: a beam search draws nothing"),
        (["beam_size=3", "num_samples=2"], "num_samples=2: a beam search draws nothing"),
        (["beam_size=3", "seed=1"], "seed=1: a beam search draws nothing"),
        (["beam_size=4", "beam_groups=3", "diversity=1"], "beam_groups=3: expected what divides beam_size=4"),
        (["beam_size=4", "beam_groups=2"], "diversity=0.0: expected above 0"),
        (["beam_size=4", "coverage_penalty=0.2"], "coverage_penalty=0.2: the model gives no attention weights"),
        (
            ["beam_size=4", "beam_groups=2", "diversity=1", "required=a"],
            "required: cannot be promised by beam_groups=2",
        ),
        (["required=cat"], "required=cat: only a beam search can promise a text"),
        (["beam_size=3", "required=☃"], "required='☃': the vocabulary of this run lacks '☃'"),
        (["beam_size=3", "required=" + "cat" * 20], "length=30: no text of so many tokens was found"),
        (["min_length=31"], "min_length=31: expected at most length=30"),
        (["min_length=-1"], "min_length=-1: expected at least 0"),
        (["no_repeat_ngram=-1"], "no_repeat_ngram=-1"),
        (["repetition_penalty=0"], "repetition_penalty=0.0: expected a number above 0"),
    ],
)
def test_mistakes_are_told_in_one_line(fails, arguments, message):
    assert fails(*arguments).startswith(message)


def test_predictions_are_searched_for_and_ranked(tmp_path, capsys, run, corpus):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(8):
        pixels = np.full((8, 8), 250 * (number % 2), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    lines = [f"{number}.png\t{['dark', 'light'][number % 2]}" for number in range(8)]
    (images / "captions.tsv").write_text("\n".join(lines))
    small = ["model.context.channels=[4]", "model.context.size=8", "data.batch_size=8", "trainer.max_steps=6"]
    data = ["experiment=digit_captions", "data=image_captions", f"data.path={images}"]
    assert main([*TRAIN, *data, *small, f"output_dir={tmp_path / 'outputs'}"]) == 0

    def rows(*arguments):
        output = tmp_path / "captions.jsonl"
        given = [f"run={tmp_path / 'outputs' / 'latest'}", f"input={images / 'captions.tsv'}", f"output={output}"]
        assert main(["predict", *given, *arguments]) == 0
        return [json.loads(line) for line in Path(output).read_text("utf-8").splitlines()]

    greedy, one = rows(), rows("beam_size=1")
    assert [row["prediction"] for row in greedy] == [row["prediction"] for row in one]
    assert "score" not in greedy[0]
    assert all(row["score"] <= 0 for row in one)
    assert [row["line"] for row in one] == list(range(1, 9))
    several = rows("beam_size=4", "n_best=3")
    assert [(row["line"], row["rank"]) for row in several] == [
        (line, rank) for line in range(1, 9) for rank in (1, 2, 3)
    ]
    assert all(row["score"] >= other["score"] for row, other in zip(several[::3], one, strict=True))
    capsys.readouterr()
    arguments = [
        f"input={images / 'captions.tsv'}",
        f"output={tmp_path / 'a.csv'}",
        f"run={tmp_path / 'outputs' / 'latest'}",
    ]
    for wrong, message in (
        (["n_best=2"], "n_best=2: says something"),
        (["beam_size=2", "n_best=3"], "n_best=3: expected 1 to"),
    ):
        assert main(["predict", *arguments, *wrong]) == 1
        assert capsys.readouterr().err.startswith(f"seqmodels: {message}")
    assert main(["predict", f"run={run}", f"input={corpus}", f"output={tmp_path / 'a.csv'}", "beam_size=2"]) == 1
    capsys.readouterr()

"""Names that no vocabulary has, from the command line: learned, written, measured, and told where they do not fit."""

import csv
import json
import random

import pytest

from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.training import train

VERBS = {"greet": "hello", "leave": "goodbye"}


def write_pairs(folder):
    """Every name is in one pair alone, so that none is in the vocabulary."""
    draw = random.Random(0)
    names = iter(["".join(draw.choices("abcdefghijklmnop", k=7)) for _ in range(440)])
    for part, count in (("train", 400), ("val", 20), ("test", 20)):
        lines = [(draw.choice(list(VERBS)), next(names)) for _ in range(count)]
        (folder / f"{part}.tsv").write_text("".join(f"{verb} {name}\t{VERBS[verb]} {name}\n" for verb, name in lines))


def settings(folder, copying, copy_unknown):
    return [
        "experiment=translation",
        f"data.path={folder / 'train.tsv'}",
        f"data.val_path={folder / 'val.tsv'}",
        f"data.test_path={folder / 'test.tsv'}",
        "data.batch_tokens=200",
        "data.joint=true",
        f"data.copy_unknown={copy_unknown}",
        f"model.copying={copying}",
        "tokenizer.min_count=3",
        "model.hidden_size=16",
        "model.encoder.hidden_size=16",
        "model.encoder.dropout=0",
        "model.encoder.input_dropout=0",
        "model.input_dropout=0",
        "model.output_dropout=0",
        "trainer=cpu",
        "trainer.max_epochs=6",
        "callbacks.pictures=null",
        "callbacks.checkpoints.monitor=val/loss",
        "callbacks.checkpoints.mode=min",
        "optimizer.lr=0.02",
        f"output_dir={folder / 'outputs'}",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    write_pairs(folder)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    return train(compose(settings(folder, "true", "true"))).run


def measured(run, name):
    return json.loads((run / "results.json").read_text())[f"test/{name}"]


def test_a_task_of_names_is_solved_by_copying_them_alone(folder, run):
    assert measured(run, "exact_match") == 1.0
    assert measured(run, "bleu") == pytest.approx(100.0)  # although no text has four tokens
    assert measured(train(compose(settings(folder, "true", "false"))).run, "exact_match") == 0.0


def test_a_name_is_written_from_the_run_alone(run, capsys):
    for keys in ([], ["beam_size=3"], ["beam_size=3", "required=Zaphod"], ["temperature=1", "top_k=1"]):
        assert main(["generate", f"run={run}", "source=greet Zaphod", *keys]) == 0
        assert capsys.readouterr().out.strip() == "hello Zaphod"
    assert main(["generate", f"run={run}", "source=leave Zaphod", "temperature=0.1", "num_samples=2"]) == 0
    assert capsys.readouterr().out.count("goodbye Zaphod\n") == 2


@pytest.mark.parametrize("keys", [[], ["beam_size=3"]])
def test_the_names_of_a_file_are_written_in_its_order(run, tmp_path, keys):
    (tmp_path / "in.txt").write_text("greet Zaphod\nleave Trillian\ngreet Ford\n")
    output = tmp_path / "out.csv"
    assert main(["predict", f"run={run}", f"input={tmp_path / 'in.txt'}", f"output={output}", *keys]) == 0
    with output.open() as file:
        rows = [row["prediction"] for row in csv.DictReader(file)]
    assert rows == ["hello Zaphod", "goodbye Trillian", "hello Ford"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_name_is_required_of_the_sources_that_have_it(run, tmp_path, capsys, batch_size):
    (tmp_path / "in.txt").write_text("leave Trillian\ngreet Zaphod\ngreet Ford Zaphod\n")
    words = ["predict", f"run={run}", f"input={tmp_path / 'in.txt'}", f"output={tmp_path / 'out.csv'}", "beam_size=4"]
    assert main([*words, f"batch_size={batch_size}", "required=Zaphod"]) == 0
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["prediction"] == ""
    told = "line 1: required='Zaphod': the vocabulary of this run lacks 'Zaphod', and so does this source"
    assert rows[0]["problem"].endswith(told)
    assert told in capsys.readouterr().err
    assert rows[1]["prediction"] == "hello Zaphod"
    assert "Zaphod" in rows[2]["prediction"]
    assert main([*words, f"batch_size={batch_size}", "required=Arthur"]) == 1
    assert "nothing of it could be predicted" in capsys.readouterr().err


def test_what_a_run_was_trained_to_copy_cannot_be_changed(run, tmp_path, capsys):
    (tmp_path / "other.tsv").write_text("greet Zaphod\thello Zaphod\n")
    assert main(["evaluate", f"run={run}", f"data.path={tmp_path / 'other.tsv'}", "data.copy_unknown=false"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "data.copy_unknown=false: this run was trained with data.copy_unknown=true" in line


def test_another_file_is_measured_by_its_names(run, tmp_path, capsys):
    (tmp_path / "other.tsv").write_text("greet Zaphod\thello Zaphod\nleave Ford\tgoodbye Arthur\n")
    assert main(["evaluate", f"run={run}", f"data.path={tmp_path / 'other.tsv'}"]) == 0
    assert "exact_match 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["model.copying=false"], "model.copying=false: data.copy_unknown=true numbers words to be copied"),
        (["data.joint=false"], "data.copy_unknown=true: copies words; expected data.joint=true and tokenizer=word"),
        (
            ["task=transcription", "model=transcriber", "frontend=source_embedding"],
            "data.copy_unknown=true: numbers words to be copied, and the model copies none",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(folder, capsys, keys, told):
    words = [*settings(folder, "true", "true"), *keys]
    if "model=transcriber" in keys:
        data = [word for word in words if word.startswith(("data.", "output_dir="))]
        words = ["data=parallel_text", *keys, "trainer=cpu", *(word for word in data if "batch_tokens" not in word)]
    assert main(["train", *words]) == 1
    assert told in capsys.readouterr().err.strip().splitlines()[-1]

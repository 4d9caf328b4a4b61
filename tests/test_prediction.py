"""`seqmodels predict`: order, problems, formats, and predictions that are those of the model."""

import csv
import json

import numpy as np
import pytest
import torch

import seqmodels.data
from seqmodels import prediction, runs
from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.data import TBPTT, DataModule, Example, Request, load_examples
from seqmodels.errors import UserError
from seqmodels.training import train


class Numbers(DataModule):
    """Rows of numbers; the class is whether they sum to more than 0, of the whole or up to each step."""

    def __init__(self, shape: str, tbptt: TBPTT, spec: dict | None = None):
        super().__init__(0)
        self.shape, self.tbptt = shape, tbptt

    def example(self, numbers):
        sums = np.cumsum(numbers) > 0
        targets = sums[-1] if self.shape == "many_to_one" else sums
        return Example(np.float32(numbers)[:, None], np.asarray(targets, np.int64))

    def load(self):
        draw = np.random.default_rng(0)
        parts = {
            part: [self.example(draw.standard_normal(draw.integers(1, 6))) for _ in range(count)]
            for part, count in (("train", 64), ("val", 16))
        }
        spec = {
            "kind": "sequences",
            "shape": self.shape,
            "inputs": {"kind": "vectors", "num_features": 1},
            "targets": {"kind": "classes", "classes": ["low", "high"], "counts": [1, 1]},
        }
        return load_examples(spec, parts, 8, self.tbptt, seed=1)

    def read_requests(self, path):
        with open(path) as file:
            return [self.request(path, number, line) for number, line in enumerate(file, 1)]

    def request(self, path, number, line):
        words = line.split()
        try:
            return Request(number, self.example([float(word) for word in words]), items=words)
        except ValueError as error:
            return Request(number, None, f"{path}: line {number}: {error}")


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Trains a few steps: `trained("many_to_one")` gives the run directory."""
    monkeypatch.setattr(seqmodels.data, "Numbers", Numbers, raising=False)
    monkeypatch.setattr(seqmodels.data, "__all__", [*seqmodels.data.__all__, "Numbers"])

    def run(shape, *overrides):
        config = compose(
            [
                f"model={shape}",
                f"task={shape}",
                "frontend=identity",
                "tbptt=whole",
                "model.hidden_size=6",
                "cell=gru",
                "debug=fast",
                "trainer=cpu",
                f"output_dir={tmp_path / 'outputs'}",
                *overrides,
            ]
        )
        config["data"] = {"_target_": "seqmodels.data.Numbers", "shape": shape, "tbptt": config["tbptt"]}
        return train(config).run

    return run


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_text("1 2 3 4\n-1\nsix\n0.5 -2\n")
    return path


def read(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_rows_come_in_order_with_problems_among_them(trained, rows, tmp_path, capsys, suffix):
    run, output = trained("many_to_one"), tmp_path / f"out{suffix}"
    arguments = [f"run={run}", f"input={rows}", f"output={output}", "batch_size=2"]
    assert main(["predict", *arguments]) == 0
    told = capsys.readouterr()
    assert f"{rows}: line 3: could not convert" in told.err
    assert "3 predictions, 1 that could not be read" in told.out
    found = read(output)
    assert [int(row["line"]) for row in found] == [1, 2, 3, 4]
    assert "line 3" in found[2]["problem"]
    model = runs.load_model(runs.load_run(str(run)))
    for row, numbers in ((found[0], [1, 2, 3, 4]), (found[1], [-1]), (found[3], [0.5, -2])):
        with torch.no_grad():
            expected = model(torch.tensor(numbers)[None, :, None].float())[0].softmax(-1)[0].tolist()
        given = row["probability"] if suffix == ".jsonl" else {k: row[f"probability_{k}"] for k in ("low", "high")}
        assert [float(given["low"]), float(given["high"])] == pytest.approx(expected, rel=1e-4)
        assert row["prediction"] == ("low" if expected[0] > expected[1] else "high")


def test_an_empty_file_is_told_and_nothing_is_written(trained, tmp_path, capsys):
    empty, output = tmp_path / "empty.txt", tmp_path / "out.csv"
    empty.touch()
    run = trained("many_to_one")
    capsys.readouterr()
    assert main(["predict", f"run={run}", f"input={empty}", f"output={output}"]) == 1
    expected = f"seqmodels: input={empty}: there is nothing in it to predict anything for\n"
    assert capsys.readouterr().err == expected
    assert not output.exists()


def test_each_step_has_a_row_and_its_name(trained, rows, tmp_path):
    run, output = trained("many_to_many", "model.bidirectional=true"), tmp_path / "out.csv"
    assert main(["predict", f"run={run}", f"input={rows}", f"output={output}"]) == 0
    found = read(output)
    assert [(row["line"], row["step"], row["item"]) for row in found if not row["problem"]] == [
        *(("1", str(n), str(n)) for n in (1, 2, 3, 4)),
        ("2", "1", "-1"),
        ("4", "1", "0.5"),
        ("4", "2", "-2"),
    ]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["input=x.txt"], "output: required"),
        (["output=o.csv"], "input: required"),
        (["input=x.txt", "output=o.xls"], "output=o.xls: expected a file that ends in .csv, .tsv, .jsonl"),
        (["input=x.txt", "output=no/such/o.csv"], "output=no/such/o.csv: there is no folder"),
        (["input=x.txt", "output=o.csv", "batch_size=0"], "batch_size=0: expected at least 1"),
        (["input=x.txt", "output=o.csv", "inpt=y"], "inpt=y: no such key; did you mean input?"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(arguments, message, capsys):
    assert main(["predict", "run=nowhere", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_pictures_of_the_best_model_are_kept_in_the_run(trained):
    run = trained("many_to_one")
    assert (run / "pictures" / "val_confusion_matrix.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "shape,overrides,message",
    [
        ("many_to_one", ["loss=mse"], "fits numbers, and the targets of these data are classes; fitting: loss=cross"),
        ("many_to_one", ["frontend=embedding"], r"model.frontend.vocab_size: Embedding needs it.*num_features=1"),
        ("many_to_one", ["+model.output_size=5"], "model.output_size=5: the loss needs 2"),
        ("many_to_one", ["tbptt.k1=2"], "tbptt.k1=2: here each sequence has one target"),
        ("many_to_many", ["model.bidirectional=true", "tbptt.k1=2"], "model.bidirectional=true: reads whole sequences"),
        (
            "many_to_one",
            ["callbacks.checkpoints.monitor=val/acuracy"],
            "monitor=val/acuracy: no such metric; valid: .*val/accuracy",
        ),
    ],
)
def test_parts_that_do_not_fit_each_other_are_told(trained, shape, overrides, message):
    with pytest.raises(UserError, match=message):
        trained(shape, *overrides)


@pytest.mark.parametrize(
    "context, expected",
    [(None, (2, 0)), (np.array(7), (2, 0)), (np.zeros((5, 3), np.float32), (2, 5)), (np.zeros(9, np.int64), (2, 9))],
)
def test_rows_share_a_batch_with_those_whose_contexts_are_about_as_long(context, expected):
    assert prediction._length(Example(np.zeros(2, np.int64), np.zeros(2, np.int64), context)) == expected


def test_contexts_of_about_the_same_length_share_a_batch(monkeypatch):
    lengths = [9, 1, 8, 2, 7, 3]
    requests = [
        Request(n, Example(np.array([1]), np.array([-100]), np.zeros(length, np.int64)))
        for n, length in enumerate(lengths)
    ]
    batches = []

    class Writer:
        device = torch.device("cpu")

        def predict_rows(self, window, spec):
            batches.append(window.context_lengths.tolist())
            return [[{"prediction": length}] for length in window.context_lengths.tolist()]

    spec = {"shape": "sequence_to_sequence", "form": "lines", "context": {"kind": "tokens"}}
    found = prediction._rows(Writer(), requests, spec, 2)
    assert batches == [[1, 2], [3, 7], [8, 9]]
    assert [found[n][0]["prediction"] for n in range(6)] == lengths

"""Text classification and tagging from the command line: they learn, and predict for files."""

import csv
import json

import pytest

from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.evaluation import evaluate
from seqmodels.runs import load_run
from seqmodels.trainers import read_settings
from seqmodels.training import train

SHORT = ["trainer=cpu", "scheduler=constant", "optimizer.lr=0.02", "model.hidden_size=16", "frontend.size=16"]
ALIKE = ["data.val_fraction=0", "data.test_fraction=0"]


@pytest.fixture
def run(tmp_path):
    """Trains: `run("experiment=sentiment", ...)`."""
    return lambda *overrides: train(compose([*overrides, *SHORT, f"output_dir={tmp_path / 'outputs'}"]))


@pytest.fixture
def reviews(tmp_path):
    """A few texts whose order decides their class, and some that a bag of words would tell apart."""
    texts = {
        "good": ["good not bad", "fine not poor", "great", "very fine"],
        "bad": ["bad not good", "poor not fine", "awful", "very poor"],
    }
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for label in texts for text in texts[label]))
    return path


def accuracy_on_training(outcome, metric="train/accuracy"):
    found = load_run(str(outcome.run))
    return evaluate(found, "train", {}, read_settings(found.config["trainer"]))[metric]


def test_a_small_batch_of_texts_is_learned_and_predicted(run, reviews, tmp_path, capsys):
    outcome = run(
        "experiment=sentiment",
        "data=labelled_text",
        f"data.path={reviews}",
        "tokenizer.min_count=1",
        "trainer.max_epochs=40",
        *ALIKE,
    )
    assert accuracy_on_training(outcome) == 1.0
    output = tmp_path / "out.csv"
    question = tmp_path / "new.tsv"
    question.write_text("text\tid\nbad not good\t1\ngreat\t2\nbroken\nvery fine\t4\n")
    capsys.readouterr()
    assert main(["predict", f"run={outcome.run}", f"input={question}", f"output={output}"]) == 0
    assert f"{question} line 4: 1 field; expected 2" in capsys.readouterr().err
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["prediction"]) for row in rows] == [("2", "bad"), ("3", "good"), ("4", ""), ("5", "good")]
    assert float(rows[0]["probability_bad"]) > 0.5
    assert float(rows[0]["probability_bad"]) + float(rows[0]["probability_good"]) == pytest.approx(1, abs=1e-4)


def test_several_labels_and_numbers_are_learned(run, tmp_path):
    rows = [("a b", ["x"], 1.0), ("b a", ["y"], 2.0), ("a a", [], 3.0), ("b b", ["x", "y"], 4.0)]
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "tags": tags, "stars": stars}) + "\n" for text, tags, stars in rows)
    )
    shared = [
        "experiment=sentiment",
        "data=labelled_text",
        f"data.path={path}",
        "trainer.max_epochs=60",
        "optimizer.lr=0.04",
        *ALIKE,
    ]
    shared += ["callbacks.pictures=null"]
    several = run(*shared, "data.label_column=tags", "data.label_kind=labels", "loss=multi_label_cross_entropy")
    assert accuracy_on_training(several, "train/f1") == 1.0
    numbers = run(*shared, "data.label_column=stars", "data.label_kind=numbers", "loss=mse")
    assert accuracy_on_training(numbers, "train/mse") < 0.05


def test_prices_are_learned_in_their_own_units(run, tmp_path):
    path = tmp_path / "flats.csv"
    rows = [
        (f"a {word} flat of {rooms} rooms", price)
        for word, price in (("dear", 10000), ("cheap", 2000))
        for rooms in "123456"
    ]
    path.write_text("text,price\n" + "".join(f"{text},{price}\n" for text, price in rows))
    keys = ["data.label_column=price", "data.label_kind=numbers", "loss=mse", "trainer.max_epochs=15"]
    outcome = run("experiment=sentiment", "data=labelled_text", f"data.path={path}", *keys, *ALIKE)
    mse, constant = (accuracy_on_training(outcome, f"train/{name}") for name in ("mse", "mse_constant"))
    assert constant == pytest.approx(16e6)
    assert mse < 0.1 * constant


def test_names_are_learned_by_their_characters(run, tmp_path):
    for language, names in {"One": ["anna", "otto", "ava"], "Two": ["nana", "toto", "vaa"]}.items():
        (tmp_path / "names").mkdir(exist_ok=True)
        (tmp_path / "names" / f"{language}.txt").write_text("\n".join(names))
    overrides = ["trainer.max_epochs=40", "model.input_dropout=0", "model.output_dropout=0", *ALIKE]
    outcome = run("experiment=names", f"data.path={tmp_path / 'names'}", *overrides)
    assert accuracy_on_training(outcome) == 1.0
    assert accuracy_on_training(outcome, "train/macro_f1") == 1.0


def test_words_are_tagged_and_predicted(run, tmp_path):
    path = tmp_path / "words.conll"
    path.write_text("Emma B-PER\nStone I-PER\nleft O\n\nStone O\nwalls O\nin O\nRome B-LOC\n\n")
    overrides = ["trainer.max_epochs=60", "frontend.word_dropout=0", *ALIKE]
    outcome = run("experiment=tagging", "data=tagged_text", f"data.path={path}", *overrides)
    assert accuracy_on_training(outcome) == 1.0
    assert accuracy_on_training(outcome, "train/span_f1") == 1.0
    question, output = tmp_path / "question.conll", tmp_path / "out.jsonl"
    question.write_text("Stone\nwalls\nin\nRome\n\nEmma\nStone\nleft\n")
    assert main(["predict", f"run={outcome.run}", f"input={question}", f"output={output}"]) == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["line"], row["item"], row["prediction"]) for row in rows] == [
        (1, "Stone", "O"),
        (1, "walls", "O"),
        (1, "in", "O"),
        (1, "Rome", "B-LOC"),
        (6, "Emma", "B-PER"),
        (6, "Stone", "I-PER"),
        (6, "left", "O"),
    ]


@pytest.mark.parametrize("data", ["brackets", "prefix_parity"])
def test_generated_tagging_trains(run, data):
    outcome = run("experiment=tagging", f"data={data}", "debug=fast", "data.val_size=8", "data.test_size=8")
    assert 0 <= outcome.results["test/accuracy"] <= 1


def test_sentiment_reports_the_bag_of_words_beside_its_own(run):
    outcome = run(
        "experiment=sentiment", "data.train_size=64", "data.val_size=60", "data.test_size=200", "trainer.max_epochs=1"
    )
    assert outcome.results["test/bag_of_words_accuracy"] < 0.65
    assert "test/accuracy" in outcome.results

"""Spaces of a study: what is read, what is refused and in which words."""

import json
import tracemalloc
import warnings

import optuna
import pytest

from seqmodels.commands.composing import CONFIG_DIR, compose, options
from seqmodels.commands.tune import _quoted
from seqmodels.errors import UserError
from seqmodels.tuning import read_search

optuna.logging.set_verbosity(optuna.logging.ERROR)

CONDITIONAL = """
space:
  cell: {type: categorical, choices: [gru, elman]}
  model.num_layers: {type: int, low: 1, high: 5, step: 3, when: {cell: gru}}
  optimizer.lr: {type: float, low: 1e-4, high: 1e-2, log: true}
  model.dropout: {type: float, low: 0.0, high: 0.5, step: 0.2}
"""


def read(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return read_search(path, "mine.yaml")


def test_values_come_from_their_ranges_and_only_where_they_apply(tmp_path):
    search = read(tmp_path, CONDITIONAL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [search.suggest(study.ask()) for _ in range(60)]
    assert {values["cell"] for values in drawn} == {"gru", "elman"}
    assert all(("model.num_layers" in values) == (values["cell"] == "gru") for values in drawn)
    assert {values.get("model.num_layers") for values in drawn} == {None, 1, 4}
    assert {round(values["model.dropout"], 6) for values in drawn} == {0.0, 0.2, 0.4}
    rates = sorted(values["optimizer.lr"] for values in drawn)
    assert 1e-4 <= rates[0] < 3e-4 < 5e-4 < rates[30] < 2e-3 < rates[-1] <= 1e-2  # the median is that of the logarithm


def test_samples_hold_each_choice_and_each_condition_once(tmp_path):
    samples = read(tmp_path, CONDITIONAL).samples()
    assert {"gru", "elman"} == {values["cell"] for values in samples}
    assert any("model.num_layers" in values for values in samples)
    assert all(("model.num_layers" in values) == (values["cell"] == "gru") for values in samples)


def test_a_grid_is_all_combinations(tmp_path):
    text = "sampler: grid\nspace:\n  a: {type: int, low: 1, high: 3}\n  b: {type: categorical, choices: [x, null]}\n"
    assert list(read(tmp_path, text).grid()) == [{"a": a, "b": b} for a in (1, 2, 3) for b in ("x", None)]


def test_steps_are_counted_in_decimals(tmp_path):
    """In binary fractions 0.1 + 2 * 0.1 is more than 0.3, of which Optuna warns at length."""
    text = "space: {a: {type: float, low: 0.1, high: 0.3, step: 0.1}}"
    search = read(tmp_path, text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        drawn = {search.suggest(study.ask())["a"] for _ in range(30)}
    assert {round(value, 6) for value in drawn} == {0.1, 0.2, 0.3}
    assert [values["a"] for values in read(tmp_path, f"sampler: grid\n{text}").grid()] == [0.1, 0.2, 0.3]


def test_a_wide_range_takes_no_memory(tmp_path):
    text = "space: {a: {type: int, low: 0, high: 2000000}, b: {type: float, low: 0.0, high: 1.0, step: 1.0e-6}}"
    search = read(tmp_path, text)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    tracemalloc.start()
    drawn = [search.suggest(study.ask()) for _ in range(3)]
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()
    assert all(0 <= values["a"] <= 2000000 and 0 <= values["b"] <= 1 for values in drawn)


@pytest.mark.parametrize(
    "text, line",
    [
        ("", "mine.yaml: expected a mapping, got nothing"),
        ("trials: 1", "mine.yaml.space: required: keys of the configuration, each with its range or choices"),
        ("space: {a: 3}", "mine.yaml: space.a=3: expected a mapping with a type: float, int, categorical"),
        ("space: {a: {type: real}}", "mine.yaml: space.a.type=real: expected one of float, int, categorical"),
        ("space: {a: {type: float, low: 2, high: 1}}", "mine.yaml: space.a.low=2.0: expected less than high=1.0"),
        (
            "space: {a: {type: float, low: 0, high: 1, log: true}}",
            "space.a.low=0.0: expected more than 0, where log=true",
        ),
        ("space: {a: {type: int, low: 0, high: 4, step: 9}}", "space.a.step=9: expected more than 0 and at most"),
        ("space: {a: {type: int, low: 0.5, high: 4}}", "mine.yaml: space.a.low=0.5: expected an integer, got float"),
        ("space: {a: {type: int, lwo: 0, high: 4}}", "space.a.lwo=0: no such key; did you mean low?"),
        ("space: {a: {type: int, low: 0}}", "space.a: missing a required argument: 'high'"),
        ("space: {a: {type: categorical, choices: []}}", "space.a.choices=[]: expected at least one"),
        ("space: {a: {type: categorical, choices: [[1]]}}", "space.a: choices: [1]: expected numbers, text, true"),
        (
            "sampler: tpx\nspace: {a: {type: int, low: 0, high: 1}}",
            "mine.yaml.sampler=tpx: expected one of tpe, random, grid$",
        ),
        (
            "pruner: x\nspace: {a: {type: int, low: 0, high: 1}}",
            "mine.yaml.pruner=x: expected one of none, median, hyperband",
        ),
        (
            "samplr: grid\nspace: {a: {type: int, low: 0, high: 1}}",
            "mine.yaml.samplr=grid: no such key; did you mean sampler?",
        ),
        ("trials: 0\nspace: {a: {type: int, low: 0, high: 1}}", "mine.yaml.trials=0: expected at least 1"),
        ("sampler: grid\nspace: {a: {type: float, low: 0, high: 1}}", "sampler=grid: space.a needs a step"),
        (
            "space: {a: {type: int, low: 0, high: 1, when: {b: 1}}}",
            "space.a.when.b: expected a key above it: there is none",
        ),
        (
            "space: {c: {type: categorical, choices: [x]}, a: {type: int, low: 0, high: 1, when: {c: y}}}",
            "space.a.when.c=y: expected one of x",
        ),
        ("space: {a: {type: float, low: 0.1, high: .inf}}", "mine.yaml: space.a.high=inf: expected a finite number"),
        ("space: {a: {type: float, low: .nan, high: 1}}", "mine.yaml: space.a.low=nan: expected a finite number"),
        (
            "space: {c: {type: categorical, choices: [x]}, a: {type: int, low: 0, high: 1, when: x}}",
            "space.a.when=x: expected a mapping or null, got str",
        ),
        (
            "sampler: grid\nspace: {a: {type: int, low: 1, high: 100000000}}",
            "mine.yaml.sampler=grid: 100,000,000 combinations; expected at most 10,000; take larger steps, or sampler=tpe",
        ),
        ("space: {plan: {type: categorical, choices: [true]}}", "space.plan: no setting of a training"),
        ("space: {+trusted: {type: categorical, choices: [os]}}", "space.+trusted: no setting of a training"),
        ("space: {a: {", "mine.yaml: cannot be read: "),
        ("[1, 2]", "mine.yaml: expected a mapping, got list"),
        (
            "space: {output_dir: {type: categorical, choices: [x]}}",
            "mine.yaml: space.output_dir: expected a key of the",
        ),
        (
            "space: {++data.cache_dir: {type: categorical, choices: [x]}}",
            "space.++data.cache_dir: expected a key of the",
        ),
        (
            "space: {experiment: {type: categorical, choices: [../../e]}}",
            "space.experiment.choices: ../../e: expected n",
        ),
        (
            "space: {cell@a.b: {type: categorical, choices: [../../e]}}",
            "space.cell@a.b.choices: ../../e: expected names",
        ),
        ("space: {name: {type: categorical, choices: [x]}}", "space.name: expected a key of the configuration other"),
        (
            "space: {'seed=1 output_dir': {type: int, low: 0, high: 1}}",
            "space.seed=1 output_dir: expected a key of the",
        ),
        ("space: {a: {type: int, low: 0, high: 1}, a: {type: int, low: 0, high: 2}}", "the key 'a' stands there twice"),
        (
            "a: &a [x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else '*a'] * 9)}]\n" for n in range(40)),
            "mine.yaml: cannot be read: more than 100,000 values",
        ),
    ],
)
def test_a_mistake_in_a_space_is_one_line(tmp_path, text, line):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert line in f"{caught.value}$"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "a ${seed}", "\\${seed}", "\\\\${seed}", '"${seed}"', "$\\{a}"])
def test_interpolations_in_a_space_are_inert(tmp_path, monkeypatch, text):
    monkeypatch.setenv("SECRET", "told")
    (choice,) = (
        read(tmp_path, json.dumps({"space": {"a": {"type": "categorical", "choices": [text]}}})).space["a"].choices
    )
    assert choice == text
    assert compose([f"name={_quoted(choice)}"])["name"] == text


@pytest.mark.parametrize("name", options("hparams_search"))
def test_every_search_fits_the_default_experiment(name):
    search = read_search(CONFIG_DIR / "hparams_search" / f"{name}.yaml", name)
    for values in search.samples():
        config = compose([f"{key}={_quoted(value)}" for key, value in values.items()])
        for key, value in values.items():
            node = config
            for part in key.split(".") if key not in ("cell", "optimizer") else ():
                node = node[part]
            if key not in ("cell", "optimizer"):
                assert node == value
    assert options("hparams_search")


def test_text_stays_text_and_null_null():
    values = {"name": 'a "b" \\ c', "trainer.precision": "32", "trainer.max_steps": None, "trainer.deterministic": True}
    config = compose([f"{key}={_quoted(value)}" for key, value in values.items()])
    assert config["name"] == 'a "b" \\ c'
    assert config["trainer"]["precision"] == "32"
    assert config["trainer"]["max_steps"] is None
    assert config["trainer"]["deterministic"] is True

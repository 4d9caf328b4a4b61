"""Run directories of a stranger's: whatever their files say, nothing is executed, and nothing is written elsewhere."""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seqmodels import runs
from seqmodels.commands.main import main
from seqmodels.errors import UserError
from tests.hostile.conftest import CANARY, change, limited, measure, resumed

TARGETS = [
    "os.system",
    "os.mkdir",
    "posix.system",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "subprocess.run",
    "subprocess.Popen",
    "importlib.import_module",
    "runpy.run_path",
    "pathlib.Path.touch",
    "pickle.loads",
    "torch.load",
    "torch.hub.load",
    "torch.jit.load",
    "torch.utils.cpp_extension.load_inline",
    "numpy.load",
    "numpy.fromfile",
    "joblib.load",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "hydra.utils.get_method",
    "hydra.main",
    "omegaconf.OmegaConf.register_new_resolver",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.callbacks.LambdaCallback",
    "torch.nn.Module.register_forward_hook",
    "seqmodels.runs.load_run",
    "seqmodels.training.train",
    "seqmodels.commands.main.main",
    "seqmodels.building.build",
    "seqmodels.trust.trusting",
    "seqmodels.data.text.os.system",
    "seqmodels.nn.__builtins__",
]
PLACES = [
    "model",
    "model.cell",
    "model.stacking",
    "optimizer",
    "scheduler",
    "task",
    "task.measures.own",
    "data.tokenizer",
]
CALLS = {
    "keys": lambda target: {"_target_": target, "command": "touch exploded", "path": "exploded"},
    "partial": lambda target: {"_target_": target, "_partial_": True, "cmd": "touch exploded"},
    "positional": lambda target: {"_target_": target, "_args_": ["touch exploded"]},
    "in a list": lambda target: [{"_target_": target, "_args_": ["touch exploded"]}],
    "within one that is allowed": lambda target: {
        "_target_": "seqmodels.nn.Stacking",
        "between": {"_target_": target, "_args_": ["touch exploded"]},
    },
    "recursive": lambda target: {
        "_target_": "seqmodels.tasks.Cosine",
        "_recursive_": True,
        "final": {"_target_": target},
    },
}


def call_nothing(run, cases):
    """Holds a run to doing nothing of what it names; returns how many names were tried."""
    whole, tried = (run / "config.yaml").read_text(), 0
    for place, call, target in cases:
        (run / "config.yaml").write_text(whole)
        change(run, place, CALLS[call](target))
        with pytest.raises(UserError) as caught:
            measure(run)
        assert "\n" not in str(caught.value)
        assert not CANARY.exists()
        tried += 1
    return tried


def test_no_name_in_a_configuration_is_called(run):
    draw = random.Random(0)
    cases = [(draw.choice(PLACES), draw.choice(list(CALLS)), target) for target in TARGETS]
    assert call_nothing(run, cases) == len(TARGETS)


@pytest.mark.faults
def test_no_name_anywhere_in_any_form_is_called(run):
    cases = itertools.product(PLACES, CALLS, TARGETS)
    assert call_nothing(run, cases) == len(PLACES) * len(CALLS) * len(TARGETS)


def test_callbacks_are_held_to_the_list_too(run, refused):
    for target in TARGETS[::9]:
        change(run, "callbacks.own", {"_target_": target, "_args_": ["touch exploded"]})
        with pytest.raises(UserError, match="not a target"):
            resumed(run)
    change(run, "callbacks.own", {"_target_": "seqmodels.nn.__builtins__"})
    assert "callbacks.own._target_=seqmodels.nn.__builtins__: not a target" in refused("train", f"resume={run}")


def test_interpolations_stay_as_they_stand(run):
    text = "${oc.env:HOME} ${eval:'__import__(\"os\")'} ${oc.decode:1} ${seed} ${now:%Y}"
    change(run, "name", text)
    loaded = runs.load_run(str(run))
    assert loaded.config["name"] == text
    assert measure(run)
    assert resumed(run).run == run
    assert yaml.safe_load((run / "config.yaml").read_text())["name"] == text


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
DOCUMENTS = {
    "python/object/apply": "a: !!python/object/apply:os.system ['touch exploded']",
    "python/object/new": "a: !!python/object/new:os.system ['touch exploded']",
    "python/name": "a: !!python/name:os.system",
    "python/module": "a: !!python/module:os",
    "an own tag": "a: !touch exploded",
    "many from few": LAUGHS,
    "itself": "a: &a [*a]",
    "itself in mappings": "a: &a {b: {c: *a}}",
    "merged": "a: &a {x: 1}\n" + "".join(f"b{n}: {{<<: [{', '.join(['*a'] * 99)}]}}\n" for n in range(50)),
    "deep": "[" * 50_000,
    "deep and whole": "a: " + "[" * 3000 + "]" * 3000,
    "a digit too many": "seed: 1" + "0" * 5000,
    "a large number": "seed: 1" + "0" * 30,
    "numbers as keys": "1: 2",
    "null": "null: 1",
    "bytes": "a: !!binary aGVsbG8=",
    "a set": "a: !!set {x, y}",
    "a date": "a: 2026-11-21",
    "no date": "a: 2026-99-99",
    "half a character": 'a: "\\ud800"',
    "two documents": "a: 1\n---\nb: 2\n",
    "a list": "- 1",
    "nothing": "",
    "NUL": "a: \0",
    "large": "a: " + "x" * (1 << 20),
    "an escape": 'seed: "\\e]0;owned\\a"',
}


def test_documents_that_are_no_configuration(run, refused):
    for document, text in DOCUMENTS.items():
        (run / "config.yaml").write_text(text)
        line = refused("evaluate", f"run={run}")
        assert "config.yaml" in line, document
        assert line.isprintable(), document
        assert len(line) < 2500, document
    assert "config.yaml" in refused("train", f"resume={run}")


def test_a_file_that_is_none_is_not_waited_for(run, refused):
    for name in ("spec.json", "checkpoints/best.ckpt"):
        (run / name).unlink()
        os.mkfifo(run / name)
    assert "spec.json: expected a file" in refused("evaluate", f"run={run}")
    (run / "spec.json").unlink()
    (run / "spec.json").symlink_to("/dev/zero")
    assert "spec.json: expected a file" in refused("evaluate", f"run={run}")
    (run / "config.yaml").unlink()
    os.mkfifo(run / "config.yaml")
    assert "not a run directory" in refused("evaluate", f"run={run}")


SPECS = {
    "deep": "[" * 100_000,
    "deep and whole": '{"a": ' + "[" * 30_000 + "]" * 30_000 + "}",
    "a digit too many": '{"vocab_size": 1' + "0" * 5000 + "}",
    "half a character": '{"kind": "\\ud800"}',
    "a list": "[]",
    "cut": '{"kind": "text", ',
    "no UTF-8": b"\xff\xfe{}",
}


def test_documents_that_are_no_spec(run, refused):
    for content in SPECS.values():
        (run / "spec.json").write_bytes(content if isinstance(content, bytes) else content.encode())
        assert "spec.json: " in refused("evaluate", f"run={run}")


ABSURD = {
    "config.yaml": [
        ("model.hidden_size", 10**9),
        ("model.hidden_size", 2**62),
        ("model.embedding_size", 10**12),
        ("model.num_layers", 10**9),
        ("model.num_layers", 2000),
        ("model.hidden_size", [10**6] * 3),
        ("data.num_workers", 10**6),
    ],
    "spec.json": [
        ("vocab_size", 10**12),
        ("vocab_size", 2**62),
        ("unk", 10**9),
        ("bos", -1),
        ("tokenizer.codes", [55296] * 12),
        ("tokenizer.special", ["<bos>"] * 3),
        ("tokenizer.kind", "pickle"),
        ("longest_target", 10**15),
    ],
}


def spoil(run, name, place, value):
    """Sets a key of a run's configuration or spec."""
    if name == "config.yaml":
        return change(run, place, value)
    spec = json.loads((run / name).read_text())
    *outer, last = place.split(".")
    node = spec
    for key in outer:
        node = node[key]
    node[last] = value
    (run / name).write_text(json.dumps(spec))


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_sizes_are_refused_before_memory_is_taken(run, refused, name):
    whole = (run / name).read_text()
    for place, value in ABSURD[name]:
        (run / name).write_text(whole)
        spoil(run, name, place, value)
        line = refused("evaluate", f"run={run}", more=1 << 28)
        assert "memory" not in line, (place, line)
        if place.startswith(("model", "vocab")):
            assert "memory" not in refused("generate", f"run={run}", more=1 << 28)
            with limited(1 << 28), pytest.raises(UserError):
                resumed(run)


@pytest.mark.faults
def test_a_process_with_little_memory_refuses_them_too(run):
    """From the command line, as a user would: an address space of 4 GiB, most of which torch alone asks for."""
    spoil(run, "config.yaml", "model.hidden_size", 10**9)
    limits = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
    code = f"{limits}import sys\nfrom seqmodels.commands.main import main\nsys.exit(main(['evaluate', 'run={run}']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "do not go together" in done.stderr


WRONG = [None, True, -1, 1.5, "x", [], {}, 10**12, [[1]], {"_target_": "os.system"}]


def paths(node, path=()):
    if path:
        yield path
    for key in node if isinstance(node, dict) else range(min(len(node), 2)) if isinstance(node, list) else ():
        yield from paths(node[key], (*path, key))


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["text", "labelled", "pairs"])
def test_a_wrong_type_at_any_key_of_a_spec(originals, tmp_path, monkeypatch, kind):
    """It is refused, or stands where measuring does not look: only a word for another word gives other figures."""
    monkeypatch.chdir(tmp_path)
    run = Path(shutil.copytree(originals[kind][0], tmp_path / "run"))
    whole, figures = (run / "spec.json").read_text(), measure(run)
    outcomes = {"refused": 0, "measured": 0}
    for path in paths(json.loads(whole)):
        for value in WRONG:
            spec = node = json.loads(whole)
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
            (run / "spec.json").write_text(json.dumps(spec))
            try:
                with limited():
                    found = measure(run)
                outcomes["measured"] += 1
                assert found == figures or ("words" in path and isinstance(value, str)), (path, value)
            except UserError as refusal:
                told = str(refusal)
                assert "\n" not in told, (path, value)
                outcomes["refused"] += 1
    assert not CANARY.exists()
    assert min(outcomes.values()) > 0, outcomes


def test_what_a_page_shows_of_a_stranger_is_text(run):
    change(run, "name", "<script>alert(1)</script>")
    assert main(["inspect", f"run={run}", "views=embeddings"]) == 0
    assert "<script>alert" not in (run / "inspection" / "index.html").read_text()

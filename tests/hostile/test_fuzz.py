"""Truncated and mutated files of small real runs: each is refused in one line, or used as it stands.

`make test` tries a few, `make test-faults` thousands; both print how many, and what came of them.
"""

import collections
import copy
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from seqmodels import evaluation, inspection, runs
from seqmodels.callbacks.checkpoints import BEST, LAST, PREVIOUS
from seqmodels.commands.generate import Generation, generate
from seqmodels.errors import UserError
from seqmodels.prediction import predict
from seqmodels.trainers import TrainerSettings
from tests.hostile.conftest import CANARY, limited, resumed

READ_TO_GO_ON = ("metrics.csv", "gradient_norms.csv")
FILES = ("config.yaml", "spec.json", f"checkpoints/{LAST}")
COMMANDS = ("evaluate", "generate", "predict", "inspect", "train")
VALUES = [None, True, -1, 0, 1, 10**9, 10**12, 2**62, 1e308, -1.5, float("nan"), "", "x", "os.system", "${oc.env:HOME}"]
VALUES += ["../../exploded", "\0", [], {}, [1], {"a": 1}, {"_target_": "os.system", "_args_": ["touch exploded"]}]
SHORT, LONG = 54, int(os.environ.get("FUZZ_EXAMPLES", "2001"))
KINDS = ("text", "labelled", "pairs")


def use(command, run, path):
    """Does what a command does."""
    if command == "train":
        return resumed(run)
    loaded = runs.load_run(str(run))
    if command == "evaluate":
        return evaluation.evaluate(loaded, None, {}, TrainerSettings(accelerator="cpu", max_epochs=1))
    if command == "generate":
        return "".join(generate(Generation(run=str(run), length=4, seed=1)))
    if command == "predict":
        return list(predict(loaded, str(path), {}, 16, "cpu"))
    look = inspection.Look(None, None, 1, 20, {})
    return inspection.inspect(loaded, look, inspection.choose_views("embeddings"), False, run / "page", "cpu")


def places(node, path=()):
    """Yields the paths to everything in plain values."""
    if path:
        yield path
    if isinstance(node, dict | list | tuple):
        for key in node if isinstance(node, dict) else range(min(len(node), 5)):
            yield from places(node[key], (*path, key))


def mutated(draw, tree):
    """Changes, removes, adds or exchanges one thing of plain values."""
    paths = list(places(tree))
    path, what = draw(st.sampled_from(paths)), draw(st.sampled_from(["set", "set", "remove", "exchange"]))
    value = draw(st.sampled_from(VALUES))
    if what == "exchange":
        value = tree
        for key in draw(st.sampled_from(paths)):
            value = value[key]

    def changed(node, path):
        inner = dict(node) if isinstance(node, dict) else list(node)
        if len(path) > 1:
            inner[path[0]] = changed(node[path[0]], path[1:])
        elif what == "remove":
            del inner[path[0]]
        else:
            inner[path[0]] = copy.deepcopy(value)
        return tuple(inner) if isinstance(node, tuple) else inner

    return changed(tree, path)


def garbled(draw, content):
    """Cuts a file short, or changes, adds or removes bytes."""
    place = draw(st.integers(0, len(content) - 1))
    what = draw(st.sampled_from(["cut", "flip", "add", "remove"]))
    if what == "cut":
        return content[:place]
    if what == "flip":
        return content[:place] + bytes([content[place] ^ 1 << draw(st.integers(0, 7))]) + content[place + 1 :]
    if what == "add":
        return content[:place] + draw(st.binary(min_size=1, max_size=8)) + content[place:]
    return content[:place] + content[place + draw(st.integers(1, 20)) :]


def spoil(draw, run, name):
    """Spoils one file of a run, its bytes or what it says; tells whether the bytes."""
    path = run / name
    if name in READ_TO_GO_ON or draw(st.booleans()):
        path.write_bytes(garbled(draw, path.read_bytes()))
        by_bytes = True
    else:
        by_bytes = False
        if name == "config.yaml":
            path.write_text(yaml.safe_dump(mutated(draw, yaml.safe_load(path.read_text())), sort_keys=False))
        elif name == "spec.json":
            path.write_text(json.dumps(mutated(draw, json.loads(path.read_text()))))
        else:
            torch.save(mutated(draw, torch.load(path, weights_only=True)), path)
    if name.endswith(".ckpt"):
        shutil.copy(path, path.with_name(BEST))
        path.with_name(PREVIOUS).unlink(missing_ok=True)
    return by_bytes


def fuzz(originals, folder, examples, names):
    """Spoils runs and uses them; returns what came of it, by file."""
    outcomes, run = collections.Counter(), folder / "run"
    whole = {
        kind: use("evaluate", original / "checkpoints" / LAST, path) for kind, (original, path) in originals.items()
    }

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.sampled_from(sorted(originals)), st.sampled_from(names), st.sampled_from(COMMANDS))
    def check(data, kind, name, command):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(originals[kind][0], run)
        by_bytes = spoil(data.draw, run, name)
        command = "train" if name in READ_TO_GO_ON else command
        try:
            with limited(2 << 30):
                found = use(command, run, originals[kind][1])
            outcome = "used"
            if command == "evaluate" and by_bytes and name.endswith(".ckpt"):
                assert found == whole[kind]  # the checksums let no other weights through
        except UserError as refusal:
            told, outcome = str(refusal), "refused"
            assert "\n" not in told
        assert not (folder / CANARY).exists()
        outcomes[name, outcome] += 1

    check()
    return outcomes


def report(outcomes, capsys):
    with capsys.disabled():
        told = ", ".join(f"{Path(name).name} {outcome} {count}" for (name, outcome), count in sorted(outcomes.items()))
        print(f"\nspoilt runs: {sum(outcomes.values())} tried: {told}", file=sys.stderr)


def test_spoilt_runs_are_refused_in_one_line_or_used(originals, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outcomes = fuzz(originals, tmp_path, SHORT, FILES)
    report(outcomes, capsys)
    assert sum(outcomes.values()) >= SHORT
    assert {outcome for _, outcome in outcomes} == {"used", "refused"}


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_spoilt_runs(originals, tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    outcomes = fuzz({kind: originals[kind]}, tmp_path, LONG // len(KINDS), FILES + READ_TO_GO_ON)
    report(outcomes, capsys)
    assert sum(outcomes.values()) >= LONG // len(KINDS)

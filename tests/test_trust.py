"""Cells in a user's own file: the README's example, exact resumption, and that trust is given on the command line alone."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml

from seqmodels import runs
from seqmodels.building import build
from seqmodels.commands.main import main
from seqmodels.errors import UserError
from seqmodels.trust import trusting

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("### In your own file")[2].partition("\n## ")[0]
SMALL = ["data=text_file", "data.path=mine.txt", "trainer=cpu", "model.hidden_size=8", "data.batch_size=32"]
SMALL += ["tbptt.k1=8", "tbptt.k2=12", "callbacks.samples=null", "model.output_dropout=0.2", "scheduler=constant"]

BAD_CELLS = """
from subprocess import run
from seqmodels.nn import GatedCell

VERSION = 3


class Good(GatedCell):
    def __init__(self, input_size, hidden_size, leak: float = 0.5):
        super().__init__(input_size, hidden_size)

    def update(self, projected, recurrent, state):
        h = (projected + recurrent).tanh()
        return h, (h,)


class RefusesItsArgument(Good):
    def __init__(self, input_size, hidden_size):
        raise KeyError("leak")


class WrongShape(Good):
    def update(self, projected, recurrent, state):
        return projected[:, :2], state


class WrongProduct(Good):
    def update(self, projected, recurrent, state):
        return projected @ projected, state


class WantsMore(GatedCell):
    def __init__(self, input_size, hidden_size, other):
        super().__init__(input_size, hidden_size)


class NoCell:
    def __init__(self, input_size, hidden_size):
        pass


class FailsInTraining(Good):
    def update(self, projected, recurrent, state):
        if self.training:
            raise RuntimeError("not today")
        return super().update(projected, recurrent, state)
"""


@pytest.fixture
def work(tmp_path, monkeypatch, corpus):
    """A working folder with a text, the README's module and a module of mistakes; what is imported is forgotten."""
    modules, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text(corpus.read_text())
    (code,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    Path("my_module.py").write_text(code)
    Path("bad_cells.py").write_text(BAD_CELLS)
    Path("broken.py").write_text("x = 1\ny = x / 0\n")
    Path("unreadable.py").write_text("def (")
    yield tmp_path
    assert sys.path == path
    for name in {"my_module", "bad_cells", "broken"} & (set(sys.modules) - modules):
        del sys.modules[name]


@pytest.fixture
def fails(work, capsys):
    """Runs a command that must fail with one line and leave no run behind; returns the line."""

    def run(*arguments):
        assert main(list(arguments)) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        return lines[0].removeprefix("seqmodels: ")

    return run


def test_the_readme_trains_writes_sweeps_and_resumes(work, capsys):
    commands = [shlex.split(line) for line in re.findall(r"^    seqmodels (.+)$", SECTION, re.MULTILINE)]
    assert [words[0] for words in commands] == ["train", "generate", "train", "train"]
    for words in commands:
        small = [*SMALL, "trainer.max_epochs=1"] if words[0] == "train" else ["length=9"]
        small = ["trainer.max_epochs=2"] if "resume=latest" in words else small
        words = [word for word in words if word != "prompt=def "]  # the small text has no such letters
        assert main([*words, *small]) == 0, capsys.readouterr().err
    assert main(["evaluate", "trusted=my_module"]) == 0
    configs = [yaml.safe_load(path.read_text()) for path in Path("outputs/char_lm").glob("*/config.yaml")]
    assert {config["cell"]["_target_"] for config in configs} == {"my_module.LearnedRateCell"}
    assert sorted(config["cell"].get("rate", 0.5) for config in configs) == [0.1, 0.5, 0.5]


def test_the_target_alone_is_enough(work):
    assert main(["train", "trusted=[my_module]", "cell._target_=my_module.LearnedRateCell", *SMALL]) == 0


def test_a_resumed_run_ends_with_the_same_bits(work):
    mine = ["trusted=my_module", "cell=custom", "cell._target_=my_module.LearnedRateCell", *SMALL]
    weights = []
    assert main(["train", *mine, "trainer.max_epochs=2"]) == 0
    weights.append(runs.load_run("latest", to_resume=True).checkpoint)
    assert main(["train", *mine, "trainer.max_epochs=1"]) == 0
    assert main(["train", "resume=latest", "trusted=my_module", "trainer.max_epochs=2"]) == 0
    weights.append(runs.load_run("latest", to_resume=True).checkpoint)
    whole, resumed = (checkpoint["state_dict"] for checkpoint in weights)
    assert whole.keys() == resumed.keys()
    assert any(name.endswith("rate") for name in whole)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_directory_cannot_grant_trust(fails, capsys):
    mine = ["trusted=my_module", "cell=custom", "cell._target_=my_module.LearnedRateCell"]
    assert main(["train", *mine, *SMALL, "trainer.max_epochs=1"]) == 0
    capsys.readouterr()
    sys.modules.pop("my_module")
    refusal = "model.cell._target_=my_module.LearnedRateCell: not a target that configuration may name; "
    refusal += "if my_module is a module of yours, add trusted=my_module"
    for command in (["generate"], ["evaluate"], ["train", "resume=latest", "trainer.max_epochs=2"]):
        assert fails(*command) == refusal
        assert fails(*command, "trusted=bad_cells") == refusal
    assert "my_module" not in sys.modules
    config = Path("outputs/latest/config.yaml")
    config.write_text(config.read_text() + "trusted: [my_module]\n")
    assert "trusted=['my_module']: no such key" in fails("generate")
    assert "my_module" not in sys.modules


CUSTOM = ["trusted=bad_cells", "cell=custom"]
MISTAKES = {
    "trusted=os": "trusted=os: not a module of your own",
    "trusted=subprocess": "trusted=subprocess: not a module of your own",
    "trusted=torch.hub": "trusted=torch.hub: not a module of your own",
    "trusted=seqmodels.runs": "trusted=seqmodels.runs: not a module of your own",
    "trusted=.bad_cells": "trusted=.bad_cells: expected the full name",
    "trusted=bad_cells.py": "trusted=bad_cells.py: expected the name of a module, not of a file",
    "trusted=3": "trusted=3: expected the name of a module",
    "trusted=nowhere": "trusted=nowhere: no module nowhere",
    "trusted=bad_cells.inner": "trusted=bad_cells.inner: no module bad_cells.inner",
    "trusted=broken": "trusted=broken: broken.py, line 2, in <module>: ZeroDivisionError",
    "trusted=unreadable": "trusted=unreadable: cannot be imported: SyntaxError",
    "cell=custom": "cell._target_: required, give it on the command line",
    "cell._target_=Goud": "bad_cells.py has no Goud; did you mean Good?",
    "cell._target_=VERSION": "cell._target_=bad_cells.VERSION: expected a class or function that bad_cells defines, got int",
    "cell._target_=run": "cell._target_=bad_cells.run: expected a class or function that bad_cells defines",
    "cell._target_=GatedCell": "got what seqmodels.nn.cells.gated defines",
    "cell._target_=Good +cell.leek=1": "model.cell.leek=1: no such key; did you mean leak?",
    "cell._target_=Good +cell.leak=a": "model.cell.leak=a: expected a number",
    "cell._target_=Good cell.leak=1": "+cell.leak=1 adds it",
    "cell._target_=RefusesItsArgument": "trusted=bad_cells: bad_cells.py, line 19, in __init__: KeyError: 'leak'",
    "cell._target_=WrongShape": "model.cell._target_=bad_cells.WrongShape: WrongShape.update: expected an output",
    "cell._target_=WrongProduct": "trusted=bad_cells: bad_cells.py, line 29, in update: RuntimeError",
    "cell._target_=WantsMore": "model.cell._target_=bad_cells.WantsMore: WantsMore.__init__() missing 1 required",
    "cell._target_=NoCell": "model: cell: expected something that makes a seqmodels.nn.Cell",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(fails, mistake):
    words = mistake.split()
    if words[0].startswith("cell._target_="):
        words = [*CUSTOM, words[0].replace("=", "=bad_cells."), *words[1:]]
    assert MISTAKES[mistake] in fails("train", *words, *SMALL)
    assert not Path("outputs").exists()


def test_a_mistake_that_shows_in_training_alone_is_the_users_too(work, capsys):
    assert main(["train", *CUSTOM, "cell._target_=bad_cells.FailsInTraining", *SMALL]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "trusted=bad_cells: bad_cells.py, line 45, in update: RuntimeError: not today" in last


def test_trust_ends_with_its_block_and_covers_submodules(work):
    package = work / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("from my_package.cells import Inner\n")
    (package / "cells.py").write_text("class Inner:\n    pass\n")
    try:
        with trusting(["my_package"]):
            for target in ("my_package.Inner", "my_package.cells.Inner"):
                assert type(build({"_target_": target}, "cell")).__module__ == "my_package.cells"
        with pytest.raises(UserError, match="add trusted=my_package"):
            build({"_target_": "my_package.Inner"}, "cell")
    finally:
        del sys.modules["my_package"], sys.modules["my_package.cells"]

"""Bad input: one line on stderr that names the key or file, exit code 1, nothing left behind, nothing lost."""

import shutil
from pathlib import Path

import pytest
import torch

from seqmodels.commands.main import main

TRAIN = [
    "train",
    "data=text_file",
    "trainer=cpu",
    "model.hidden_size=4",
    "data.batch_size=4",
    "tbptt.k1=8",
    "tbptt.k2=8",
]


@pytest.fixture
def fails(capsys, tmp_path, monkeypatch):
    """Runs a command that must fail; returns its one line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, leaves=()):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        lines = captured.err.strip().splitlines()
        assert code == 1, captured.err
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("seqmodels: ")
        assert "Traceback" not in captured.err
        assert {path.name for path in Path("outputs").glob("*/*")} == set(leaves)
        return lines[0].removeprefix("seqmodels: ")

    return run


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """One small run, to be copied before it is damaged."""
    folder = tmp_path_factory.mktemp("trained")
    overrides = [f"data.path={corpus}", "trainer.max_steps=6", "callbacks.checkpoints.every_n_steps=2"]
    assert main([*TRAIN, *overrides, f"output_dir={folder}", "callbacks.samples.length=5"]) == 0
    return (folder / "latest").resolve()


@pytest.fixture
def damaged(trained, tmp_path):
    """A copy of the run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


FILES = {
    "missing": (None, "data.path={path}"),
    "empty": (b"", "{path}"),
    "shorter than a window": (b"too short " * 10, "tbptt.k1=64"),
    "invalid UTF-8": (b"fine so far \xff and on " * 99, "12"),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_cannot_be_trained_on(fails, tmp_path, kind):
    content, named = FILES[kind]
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    line = fails(*TRAIN, f"data.path={path}", "tbptt.k1=64", "tbptt.k2=64")
    assert named.format(path=path) in line


MISTAKES = {
    "cell=gruu": "cell=gruu: unknown; choose one of ",
    "experiment=tiny_shakespear": "experiment=tiny_shakespear: unknown; choose one of adding",
    "data=text_flie": "data=text_flie: unknown; choose one of",
    "model.hiden_size=3": "model.hiden_size=3: no such key; did you mean hidden_size? valid under model: cell, hidden_size",
    "+model.hiden_size=3": "model.hiden_size=3: no such key; did you mean hidden_size?",
    "hidden_size=3": "hidden_size=3: no such key; valid here: model, cell",
    "trainer.max_epoch=3": "trainer.max_epoch=3: no such key; did you mean max_epochs?",
    "data.pth=a.txt": "data.pth=a.txt: no such key; did you mean path? valid under data: path, glob",
    "tbptt.k3=3": "tbptt.k3=3: no such key",
    "model.hidden_size=many": "model.hidden_size=many: expected an integer, got str",
    "model.hidden_size=2.5": "model.hidden_size=2.5: expected an integer, got float",
    "model.tie_weights=3": "model.tie_weights=3: expected true or false, got int",
    "model.initial_state=random": "model.initial_state=random: expected one of zero, learned",
    "model.backend=cuda": "backend",
    "trainer.precision=8": "trainer.precision=8: expected one of 32, bf16-mixed, 16-mixed",
    "trainer.max_epochs=0": "trainer.max_epochs=0: expected at least 1",
    "trainer.max_epochs=null": "trainer.max_epochs=null: set max_epochs, max_steps or max_seconds",
    "optimizer.lr=fast": "optimizer.lr=fast: expected a number",
    "optimizer.lr=-1": "optimizer: Invalid learning rate: -1",
    "seed=one": "seed=one: expected an integer from 0",
    "model.hidden_size=-3": "model.hidden_size=-3: expected at least 1",
    "data.batch_size=-1": "data.batch_size=-1",
    "model.output_dropout=1.5": "model.output_dropout=1.5: expected a probability",
    "data.val_fraction=1.5": "data.val_fraction=1.5",
    "tbptt.k2=0": "tbptt.k2=0: expected an integer of at least 1",
    "tbptt.k2=-4": "tbptt.k2=-4: expected an integer of at least 1",
    "tbptt.k2=100000": "tbptt.k2=100000: the longest sequence has",
    "tbptt.k2=all": "tbptt.k2=all: expected an integer or null",
    "callbacks.monitor.every_n_steps=0": "callbacks.monitor.every_n_steps=0: expected at least 1",
    "cell._target_=os.system": "model.cell._target_=os.system: not a target",
    "+trainer.max_epochs=3": "+trainer.max_epochs: is set already",
    "scheduler=null": "scheduler=null: required; choose one of constant, cosine, plateau, step",
    "~scheduler": "scheduler=null: required",
    "name=3": "name=3: expected text",
    "+lr=3": "lr=3: no such key",
    "--epochs=3": "--epochs=3: no such flag; settings are key=value",
    "trainer=gpu": "trainer: ",
    "trainer.precision=16-mixed": "trainer.precision=16-mixed: needs a GPU",
    "callbacks.checkpoints.monitor=val/los": "monitor=val/los: no such metric; valid: val/loss",
    "callbacks.checkpoints=null": "callbacks.checkpoints=null: a run needs its checkpoints",
    'callbacks.samples.prompt="☃"': "the vocabulary of this run lacks '☃'",
    "cell": "cell: expected key=value",
    "resume=nowhere": "resume=nowhere: no such run directory",
    "resume=latest": "resume=latest: there is no run under",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_overrides_that_cannot_be_meant(fails, corpus, override):
    if override == "trainer=gpu" and torch.cuda.is_available():
        pytest.skip("there is one")
    assert MISTAKES[override] in fails(*TRAIN, f"data.path={corpus}", override)


def test_a_missing_file_and_a_missing_path_are_told_apart(fails):
    assert fails(*TRAIN) == "data.path: required, give it on the command line: data.path=..."


def test_a_grammar_mistake_says_how_to_quote(fails):
    assert "quote" in fails(*TRAIN, "data.path=my file (1).txt")
    assert "cannot be read" in fails(*TRAIN, "data.path=[a")


def test_an_output_folder_that_cannot_be_written(fails, corpus, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    line = fails(*TRAIN, f"data.path={corpus}", f"output_dir={tmp_path / 'taken'}")
    assert "output_dir=" in line
    assert (tmp_path / "taken").read_text() == "a file, not a folder"


def test_a_resumed_run_keeps_its_data(fails, damaged, corpus):
    config = damaged / "config.yaml"
    other = damaged / "other.txt"
    other.write_text(corpus.read_text() * 2)
    config.write_text(config.read_text().replace(str(corpus), str(other)))
    assert "the data are not those the run was trained on" in fails("train", f"resume={damaged}", "trainer.max_steps=9")
    assert "single keys change" in fails("train", f"resume={damaged}", "trainer=cpu")


def test_unknown_commands_and_keys(fails):
    assert "no such command; valid: train, tune, evaluate" in fails("trian")
    assert "tempratur=2: no such key; did you mean temperature?" in fails("generate", "tempratur=2")
    assert "length=many: expected an integer" in fails("generate", "length=many")
    assert "split=tset: expected one of train, val, test" in fails("evaluate", "split=tset")
    assert "valid: experiments, data, models" in fails("list", "cel")


def test_runs_that_are_none(fails, damaged, tmp_path):
    assert "run=latest: there is no run under" in fails("generate")
    assert "not a run directory, it has no config.yaml" in fails("generate", f"run={tmp_path}")
    shutil.rmtree(damaged / "checkpoints")
    assert "the run has no checkpoint" in fails("evaluate", f"run={damaged}")
    assert "the run has no checkpoint" in fails("train", f"resume={damaged}")


def test_a_prompt_the_vocabulary_cannot_spell(fails, trained):
    assert "the vocabulary of this run lacks '☃', 'Q'" in fails("generate", f"run={trained}", "prompt=the ☃Q cat")
    assert "prompt=''" in fails("generate", f"run={trained}", "prompt=")
    assert "temperature=-1.0" in fails("generate", f"run={trained}", "temperature=-1")


def test_a_checkpoint_cut_short_gives_way_to_the_one_before(damaged, capsys):
    last = damaged / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    assert main(["train", f"resume={damaged}", "trainer.max_steps=9"]) == 0
    warning = capsys.readouterr().err.splitlines()[0]
    assert "last.ckpt: damaged or cut short" in warning
    assert "taking the one before" in warning


def test_a_flipped_byte_is_found(fails, damaged):
    best = damaged / "checkpoints" / "best.ckpt"
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 0xFF
    best.write_bytes(content)
    assert "best.ckpt: damaged" in fails("generate", f"run={best}")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_checkpoint_that_holds_code_is_refused_and_nothing_runs(fails, damaged):
    torch.save({"state_dict": Bomb()}, damaged / "checkpoints" / "best.ckpt")
    assert "best.ckpt: refused: it holds code" in fails("generate", f"run={damaged / 'checkpoints' / 'best.ckpt'}")
    assert not Path("exploded").exists()


def test_a_configuration_that_names_other_code_is_refused(fails, damaged):
    config = damaged / "config.yaml"
    config.write_text(config.read_text().replace("torch.nn.LSTM", "os.system"))
    assert "_target_=os.system: not a target" in fails("generate", f"run={damaged}")
    config.write_text("a: !!python/object/apply:os.system [true]")
    assert "config.yaml: cannot be read" in fails("generate", f"run={damaged}")


def test_weights_that_do_not_fit_are_told(fails, damaged):
    config = damaged / "config.yaml"
    config.write_text(config.read_text().replace("hidden_size: 4", "hidden_size: 5"))
    assert "do not fit" in fails("generate", f"run={damaged}")


def test_debug_shows_the_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "debug=true"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_choices_that_take_a_group_are_told(fails):
    assert fails("train", "readout=mean") == "readout=mean: nothing here takes readout=; model=many_to_one does"

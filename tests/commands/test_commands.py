"""The commands as a user types them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf.errors import MissingMandatoryValue

from seqmodels.commands.composing import CONFIG_DIR, compose, description, options, takers
from seqmodels.commands.main import main

SMALL = [
    "trainer=cpu",
    "model.hidden_size=8",
    "data.batch_size=4",
    "tbptt.k1=8",
    "tbptt.k2=8",
    "callbacks.samples.length=9",
]


@pytest.fixture
def work(tmp_path, monkeypatch, corpus):
    """A working folder with the user's own file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text(corpus.read_text())
    return tmp_path


def test_train_evaluate_generate_resume(work, capsys):
    assert main(["train", "data=text_file", "data.path=mine.txt", "cell=gru", *SMALL]) == 0
    shown = capsys.readouterr().out
    assert len(re.findall(r"--- sample \d ---", shown)) == 3
    figures = re.search(r"validation +loss (\S+) .*bits_per_character (\S+) +perplexity", shown)
    assert figures
    run = re.search(r"^run +(outputs/char_lm/\S+)$", shown, re.MULTILINE)
    assert run
    assert Path(run[1], "config.yaml").is_file()
    assert "tensorboard --logdir outputs" in shown

    assert main(["evaluate", "run=latest", "split=val"]) == 0
    assert f"validation   loss {figures[1]}" in capsys.readouterr().out
    assert main(["evaluate", "split=train"]) == 0
    assert "training     loss" in capsys.readouterr().out
    assert main(["evaluate", f"run={run[1]}", "data.path=mine.txt", "data.test_fraction=0.5"]) == 0
    assert "test         loss" in capsys.readouterr().out

    assert main(["train", "resume=latest", "trainer.max_epochs=2"]) == 0
    assert f"run          {run[1]}" in capsys.readouterr().out
    assert len(list(Path("outputs/char_lm").iterdir())) == 1


def test_generate_repeats_with_a_seed_and_streams_what_it_writes_at_once(work, capsys):
    assert main(["train", "data=text_file", "data.path=mine.txt", *SMALL]) == 0
    capsys.readouterr()

    def text(*arguments):
        assert main(["generate", "prompt=the cat", "length=40", *arguments]) == 0
        return capsys.readouterr().out

    first = text("seed=1")
    assert first.startswith("the cat")
    assert len(first) == len("the cat") + 40 + 1
    assert text("seed=1") == first
    assert text("seed=2") != first
    assert text("temperature=0") == text("temperature=0") == text("top_k=1")
    several = text("num_samples=3", "seed=1")
    assert len(re.findall(r"--- sample \d ---\nthe cat", several)) == 3


def test_all_of_another_file_is_measured(work, capsys):
    assert main(["train", "data=text_file", "data.path=mine.txt", *SMALL]) == 0
    capsys.readouterr()
    assert main(["evaluate", "split=train", "data.path=mine.txt", "data.val_fraction=0", "data.test_fraction=0"]) == 0
    whole = capsys.readouterr().out.split()[1:]
    assert main(["evaluate", "data.path=mine.txt"]) == 0
    title, *figures = capsys.readouterr().out.split()
    assert (title, figures) == ("test", whole)
    assert main(["evaluate", "data.path=mine.txt", "split=test"]) == 0
    assert capsys.readouterr().out.split()[1:] != whole


def test_words_are_parted_from_the_prompt(work, capsys):
    words = ["tokenizer=word", "tokenizer.min_count=1"]
    assert main(["train", "data=text_file", "data.path=mine.txt", *SMALL, *words]) == 0
    capsys.readouterr()
    assert main(["generate", "prompt=the cat", "length=3", "top_k=1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(("the cat ", "the cat\n", "the cat."))
    assert main(["generate", "prompt=the cat", "length=3", "top_k=1", "num_samples=2"]) == 0
    assert capsys.readouterr().out.count(shown.strip()) == 2


def test_a_sweep_makes_a_run_of_each(work, capsys):
    assert (
        main(["train", "-m", "data=text_file", "data.path=mine.txt", "cell=elman,native_gru", "seed=1,2", *SMALL]) == 0
    )
    configs = [yaml.safe_load(path.read_text()) for path in Path("outputs/char_lm").glob("*/config.yaml")]
    assert {(config["cell"]["_target_"], config["seed"]) for config in configs} == {
        (cell, seed) for cell in ("seqmodels.nn.ElmanCell", "torch.nn.GRU") for seed in (1, 2)
    }


def test_one_bad_job_of_a_sweep_does_not_take_the_others_with_it(work, capsys):
    assert main(["train", "-m", "data=text_file", "data.path=mine.txt", "model.hidden_size=-1,8", *SMALL[2:]]) == 1
    said = capsys.readouterr().err
    assert "job 0 (" in said
    assert said.count("hidden_size=-1:") == 1  # told once
    assert said.endswith("seqmodels: 1 job of the sweep failed\n")
    assert len(list(Path("outputs/char_lm").iterdir())) == 1


def test_flags_may_stand_anywhere(work, capsys):
    assert main(["train", "seed=1,2", "-m", "data=text_file", "data.path=mine.txt", *SMALL]) == 0
    assert len(list(Path("outputs/char_lm").iterdir())) == 2
    capsys.readouterr()
    assert main(["train", "seed=7", "--cfg", "job", "data=text_file", "data.path=mine.txt"]) == 0
    assert "seed: 7" in capsys.readouterr().out


def test_every_name_in_every_group_composes():
    count = 0
    for group in (path for path in CONFIG_DIR.iterdir() if path.is_dir() and path.name != "hparams_search"):
        for name in options(group.name):
            overrides_frontend = "override /frontend" in (group / f"{name}.yaml").read_text() and group.name == "data"
            needs = [
                *(["model=many_to_many", "task=many_to_many"] if overrides_frontend else []),
                *takers(group.name)[:1],
                *(["cell._target_=mine.Cell"] if name == "custom" else []),
            ]
            try:
                config = compose([f"{group.name}={name}", *needs])
            except MissingMandatoryValue:
                config = compose([f"{group.name}={name}", *needs, "data.path=x"])
            assert config["model"]["_target_"]
            assert description(group.name, name), f"{group.name}/{name}.yaml has no comment that says what it is"
            count += 1
    assert count > 25


def test_list_names_everything(capsys):
    assert main(["list", "cells"]) == 0
    assert re.findall(r"^  (\w+)", capsys.readouterr().out, re.MULTILINE) == options("cell")
    assert main(["list"]) == 0
    assert "tiny_shakespeare" in capsys.readouterr().out


def test_help_loads_no_torch():
    script = "import sys; from seqmodels.commands.main import main; main(['--help']); assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "seqmodels COMMAND" in shown


@pytest.mark.parametrize("command", ["train", "evaluate", "generate"])
def test_scripts_are_doors_to_the_commands(command):
    script = CONFIG_DIR.parent / "scripts" / f"{command}.py"
    shown = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True).stdout
    assert command in shown

"""What is printed of a stranger's words and names: it steers no terminal, and a pipe gets a text as it is."""

import json
import logging
import sys
from pathlib import Path

import pytest

from seqmodels import runs
from seqmodels.commands.main import main
from seqmodels.commands.train import print_results
from tests.hostile.conftest import resumed

SCREEN = "\x1b]0;owned\x07\x1b[2J"


@pytest.fixture
def writing(run):
    """A run that writes an escape for each space, and a return for each line end."""
    spec = json.loads((run / "spec.json").read_text())
    codes = spec["tokenizer"]["codes"]
    codes[codes.index(ord(" "))], codes[codes.index(ord("e"))] = 0x1B, ord("\t")
    (run / "spec.json").write_text(json.dumps(spec))
    return run


def printed(capsys, run):
    assert main(["generate", f"run={run}", "length=200", "seed=1", "prompt=t"]) == 0
    return capsys.readouterr().out


def test_a_pipe_gets_what_is_written(writing, capsys):
    assert "\x1b" in printed(capsys, writing)


def test_a_terminal_is_not_steered_by_what_is_written(writing, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = printed(capsys, writing)
    assert "\\x1b" in shown
    assert {letter for letter in shown if not letter.isprintable()} <= {"\n", "\t"}


def test_names_of_folders_and_files_steer_no_terminal(run, originals, capsys):
    named = run.rename(run.with_name(f"run{SCREEN}"))
    assert main(["inspect", f"run={named}", "views=embeddings"]) == 0
    assert resumed(named).run == named
    rows = Path(f"rows{SCREEN}.jsonl")
    rows.write_text('{"text": "good cat"}\n{"text": \n')
    assert main(["predict", f"run={originals['labelled'][0]}", f"input={rows}", "output=out.csv"]) == 0
    told = capsys.readouterr()
    assert "run\\x1b]0;owned" in told.out
    assert "rows\\x1b]0;owned" in told.err
    assert all(line.isprintable() for line in (told.out + told.err).splitlines())


def test_the_log_has_a_line_for_each_thing_that_is_told(tmp_path, capsys):
    with runs.logged_to(tmp_path / "log.txt"):
        logging.getLogger("seqmodels").warning("a view failed: %s", f"one\ntwo{SCREEN}")
    for told in ((tmp_path / "log.txt").read_text(), capsys.readouterr().err):
        assert told.endswith("a view failed: one\\x0atwo\\x1b]0;owned\\x07\\x1b[2J\n")
        assert len(told.splitlines()) == 1


def test_names_of_figures_steer_no_terminal(capsys):
    print_results({f"test/{SCREEN}\n": 1.0})
    assert capsys.readouterr().out == "test         \\x1b]0;owned\\x07\\x1b[2J\\x0a 1\n"

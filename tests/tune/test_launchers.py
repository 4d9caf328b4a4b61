"""Sweeps by `-m` in several processes: joblib's launcher."""

import pickle
import signal
import tempfile
from pathlib import Path

import pytest
import yaml
from joblib.externals.loky import get_reusable_executor

from seqmodels.callbacks import Interrupted
from seqmodels.commands.main import main

SMALL = [
    "data=text_file",
    "data.path=mine.txt",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=4",
    "model.embedding_size=4",
    "data.batch_size=4",
    "tbptt.k1=8",
    "tbptt.k2=8",
    "~callbacks.samples",
]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]

KILLER = """
import os, signal
from seqmodels.nn import ElmanCell

class Killer(ElmanCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        if hidden_size == 5:
            os.kill(os.getpid(), signal.SIGKILL)
"""

ELSEWHERE = """
import pathlib, shutil, tempfile
from seqmodels.nn import ElmanCell

class Cell(ElmanCell):
    pass

for path in pathlib.Path(tempfile.gettempdir()).iterdir():
    shutil.rmtree(path)
"""


@pytest.fixture(autouse=True)
def processes_of_its_own():
    """Joblib keeps its processes, in the folder where they began, for the next sweep of the same process."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.faults
def test_a_failing_job_in_another_process_is_counted_and_costs_no_other(work, capfd):
    assert main(["train", "-m", *SMALL, *JOBLIB, "model.hidden_size=-1,4"]) == 1
    said = capfd.readouterr().err
    assert said.count("model.hidden_size=-1: expected at least 1") == 1
    assert said.endswith("seqmodels: 1 job of the sweep failed\n")
    configs = [yaml.safe_load(path.read_text()) for path in Path("outputs/char_lm").glob("*/config.yaml")]
    assert [config["model"]["hidden_size"] for config in configs] == [4]
    assert len(list(Path("outputs/char_lm").glob("*/results.json"))) == 1


@pytest.mark.faults
def test_jobs_at_once_share_no_directory(work):
    assert main(["train", "-m", *SMALL, *JOBLIB, "model.hidden_size=4,5,6", "seed=1,2"]) == 0
    assert len(list(Path("outputs/char_lm").glob("*/results.json"))) == 6


@pytest.mark.faults
def test_a_killed_process_of_a_sweep_is_told_in_one_line(work, capfd):
    (work / "killers.py").write_text(KILLER)
    cell = ["trusted=killers", "cell=custom", "cell._target_=killers.Killer"]
    assert main(["train", "-m", *SMALL, *JOBLIB, *cell, "model.hidden_size=4,5"]) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith("seqmodels: a process of the sweep was killed, for want of memory perhaps")


def test_a_sweep_counts_jobs_that_see_other_temporary_folders(work, capfd, monkeypatch):
    """As on another machine: there what the submitting one keeps for itself is not to be found."""
    (work / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work / "tmp"))
    (work / "elsewhere.py").write_text(ELSEWHERE)
    cell = ["trusted=elsewhere", "cell=custom", "cell._target_=elsewhere.Cell"]
    assert main(["train", "-m", *SMALL, *cell, "model.hidden_size=-1,4"]) == 1
    said = capfd.readouterr().err
    assert said.count("model.hidden_size=-1: expected at least 1") == 1
    assert said.endswith("seqmodels: 1 job of the sweep failed\n")
    assert len(list(Path("outputs/char_lm").glob("*/results.json"))) == 1
    assert sorted(path.name for path in Path("outputs").iterdir()) == ["char_lm", "latest", "multirun.yaml"]


def test_a_launcher_that_is_not_installed_is_named(work, capfd):
    assert main(["train", "-m", *SMALL, "hydra/launcher=jobli", "seed=1,2"]) == 1
    assert capfd.readouterr().err == "seqmodels: hydra/launcher=jobli: not installed\n"


def test_an_interruption_keeps_its_signal_from_process_to_process():
    there_and_back = pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM, "outputs/x")))
    assert (there_and_back.signum, there_and_back.run, str(there_and_back)) == (15, "outputs/x", "SIGTERM")

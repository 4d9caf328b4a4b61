"""Sweeps by `-m` in several processes: joblib's launcher."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from joblib.externals.loky import get_reusable_executor

from seqmodels.callbacks import Interrupted
from seqmodels.commands.main import main
from seqmodels.runs import load_checkpoint

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


@pytest.mark.faults
@pytest.mark.parametrize("signum, group", [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False)])
def test_a_sweep_in_several_processes_that_is_stopped_leaves_runs_to_go_on_with(work, signum, group):
    small = [word for word in SMALL if not word.startswith("trainer.max_epochs")]
    words = ["train", "-m", *small, *JOBLIB, "trainer.max_epochs=100000", "seed=1,2,3"]
    command = [sys.executable, "-m", "seqmodels", *words, "model.hidden_size=4"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as sweep:
        try:
            end = time.monotonic() + 60
            while len(list(Path("outputs/char_lm").glob("2*/metrics.csv"))) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            (os.killpg if group else os.kill)(sweep.pid, signum)
            told = sweep.communicate(timeout=60)[1]
        finally:
            if sweep.poll() is None:
                os.killpg(sweep.pid, signal.SIGKILL)
    assert sweep.returncode == 128 + signum
    lines = [line for line in told.splitlines() if "parameters" not in line and not line.startswith("training ")]
    runs = sorted(Path("outputs/char_lm").glob("2*"))
    went_on = [line.partition("resume=")[2] for line in lines]
    assert sorted(Path(run).name for run in went_on) == [run.name for run in runs]
    assert all(line.startswith(f"stopped by {signum.name}; go on with: seqmodels train resume=") for line in lines)
    assert len(runs) == 2  # the third job has not begun
    for run in runs:
        assert not list((run / "checkpoints").glob(".*"))
        assert load_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] > 0

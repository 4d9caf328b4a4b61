"""Sweeps by `-m` in several processes: joblib's launcher."""

from pathlib import Path

import pytest
import yaml
from joblib.externals.loky import get_reusable_executor

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
        if hidden_size == 6:
            raise KeyError("a fault")
"""


@pytest.fixture(autouse=True)
def processes_of_its_own():
    """Joblib keeps its processes, in the folder where they began, for the next sweep of the same process."""
    yield
    get_reusable_executor().shutdown(wait=True)


def test_a_failing_job_in_another_process_is_counted_and_costs_no_other(work, capfd):
    assert main(["train", "-m", *SMALL, *JOBLIB, "model.hidden_size=-1,4,6", "seed=1,2"]) == 1
    said = capfd.readouterr().err
    assert said.count("model.hidden_size=-1: expected at least 1") == 2
    assert said.endswith("seqmodels: 2 jobs of the sweep failed\n")
    configs = [yaml.safe_load(path.read_text()) for path in Path("outputs/char_lm").glob("*/config.yaml")]
    assert sorted((config["model"]["hidden_size"], config["seed"]) for config in configs) == [
        (4, 1),
        (4, 2),
        (6, 1),
        (6, 2),
    ]
    assert len(list(Path("outputs/char_lm").glob("*/results.json"))) == 4


def test_a_killed_process_of_a_sweep_is_told_in_one_line(work, capfd):
    (work / "killers.py").write_text(KILLER)
    cell = ["trusted=killers", "cell=custom", "cell._target_=killers.Killer"]
    assert main(["train", "-m", *SMALL, *JOBLIB, *cell, "model.hidden_size=4,5"]) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith("seqmodels: a process of the sweep was killed, for want of memory perhaps")


def test_a_launcher_that_is_not_installed_is_named(work, capfd):
    assert main(["train", "-m", *SMALL, "hydra/launcher=jobli", "seed=1,2"]) == 1
    assert capfd.readouterr().err == "seqmodels: hydra/launcher=jobli: not installed\n"

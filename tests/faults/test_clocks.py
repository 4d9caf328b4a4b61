"""Clocks that jump, and runs that begin in the same second."""

import datetime
import random
import time
from functools import partial

import pytest

from seqmodels import runs
from seqmodels.callbacks import Checkpoints, ProgressReport
from seqmodels.training import train


class Jumping:
    """A wall clock that jumps back and forth by up to a day whenever it is looked at."""

    def __init__(self):
        self.draw, self.true = random.Random(0), time.time
        self.looks = 0

    def __call__(self):
        self.looks += 1
        return self.true() + self.draw.uniform(-86400, 86400)


@pytest.fixture
def jumping(monkeypatch):
    clock = Jumping()
    monkeypatch.setattr(time, "time", clock)
    return clock


def test_seconds_and_lines_of_progress_know_nothing_of_a_jumping_clock(small_config, jumping, capsys, monkeypatch):
    monkeypatch.setattr("seqmodels.training.ProgressReport", partial(ProgressReport, heartbeat_seconds=0.2))
    timed = ["trainer.max_epochs=null", "trainer.max_seconds=1.5", "callbacks.checkpoints.every_seconds=0.3"]
    save_last, saved = Checkpoints.save_last, []

    def counted(self, trainer):
        saved.append(trainer.global_step)
        save_last(self, trainer)

    monkeypatch.setattr(Checkpoints, "save_last", counted)
    results = train(small_config(*timed, "trainer.val_check_interval=1000000")).results
    assert jumping.looks
    assert 1.5 <= results["train/seconds"] < 60
    epochs = results["train/steps"] // 55
    assert 3 <= len(saved) <= 8 + epochs  # every 0.3 s, at both ends, and at the end of each epoch of 55 updates
    beats = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training ")]
    assert len(beats) >= 3
    for beat in beats:
        minutes, seconds = beat.partition("[")[2].partition("<")[0].split(":")  # neither hours nor a minus
        assert 0 <= int(minutes) * 60 + int(seconds) < 60


def test_the_weights_are_the_same_whatever_the_clock_says(small_config, monkeypatch):
    expected = train(small_config()).results["val/loss"]
    monkeypatch.setattr(time, "time", Jumping())
    assert train(small_config()).results["val/loss"] == expected


def test_runs_of_the_same_second_and_of_a_clock_set_back_have_folders_of_their_own(tmp_path, monkeypatch):
    moments = iter([datetime.datetime(2030, 1, 1, 12)] * 3 + [datetime.datetime(2029, 1, 1, 12)])

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return next(moments)

    monkeypatch.setattr(runs.writing, "datetime", Clock)
    config = {"output_dir": str(tmp_path), "name": "one"}
    made = [runs.create(config, {}) for _ in range(4)]
    assert [run.name for run in made] == [
        *("2030-01-01_12-00-00", "2030-01-01_12-00-00-2", "2030-01-01_12-00-00-3", "2029-01-01_12-00-00"),
    ]
    assert (tmp_path / "latest").resolve() == made[-1]  # the newest is the last one made, whatever its name

"""What is told of long work where nobody watches a terminal."""

import re
from functools import partial

import pytest

from seqmodels.callbacks import ProgressReport
from seqmodels.training import train


@pytest.fixture
def beating(monkeypatch):
    monkeypatch.setattr("seqmodels.training.ProgressReport", partial(ProgressReport, heartbeat_seconds=1e-6, log_seconds=1e-6))  # fmt: skip


def test_a_line_tells_how_far_training_and_validation_are_and_the_time_left(small_config, beating, capsys):
    train(small_config())
    beats = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training ")]
    training = re.compile(
        r"training +\d+%\|.*\| \d+/\d+ step \[\d\d:\d\d<(\d\d:\d\d|\?), loss [\d.]+  [\d,]+ characters/s"
    )
    assert any(training.match(beat) for beat in beats)
    assert any("validating 1/" in beat for beat in beats)
    assert beats[-1].startswith("training 100%")


def test_the_log_holds_how_it_went_and_what_was_found(small_config, beating, capsys):
    run = train(small_config("trainer.max_epochs=2")).run
    log = (run / "log.txt").read_text().splitlines()
    assert sum("training " in line and " step [" in line for line in log) >= 3
    found = [line for line in log if re.search(r"step \d+: val/loss [\d.]+", line)]
    assert len(found) == 2
    assert "finished: " in log[-1]
    assert "val/loss" not in capsys.readouterr().err  # stderr is for whoever waits


def test_by_default_the_log_is_short(small_config):
    log = (train(small_config()).run / "log.txt").read_text()
    assert " step [" not in log
    assert len(log.splitlines()) == 3  # what it is, what validation found, how it ended

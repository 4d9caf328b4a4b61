"""What is told of long work where nobody watches a terminal."""

import re
from functools import partial

import pytest

from seqmodels.callbacks import MeasuringReport, ProgressReport
from seqmodels.commands.main import main
from seqmodels.training import train


@pytest.fixture
def beating(monkeypatch):
    for where, report in (("training", ProgressReport), ("evaluation", MeasuringReport)):
        often = partial(report, heartbeat_seconds=1e-6, log_seconds=1e-6)
        monkeypatch.setattr(f"seqmodels.{where}.{report.__name__}", often)


@pytest.fixture
def beats(beating, capsys):
    """Trains, and returns the lines that tell how far it is."""

    def train_and_read(config):
        train(config)
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith(("training ", "measuring "))]

    return train_and_read


def test_a_line_tells_how_far_training_and_validation_are_and_the_time_left(small_config, beats):
    told = beats(small_config())
    step = re.compile(r"training +\d+%\|.*\| \d+/\d+ step \[\d\d:\d\d<\d\d:\d\d, loss [\d.]+  [\d,]+ characters/s")
    assert any(step.match(line) for line in told)
    assert any("validating 1/" in line for line in told)
    assert [line for line in told if line.startswith("training ")][-1].startswith("training 100%")


def test_lines_tell_how_far_the_final_measuring_is(small_config, beats):
    told = beats(small_config("data.val_fraction=0.3", "data.test_fraction=0.3", "data.batch_size=1"))
    whole = {part: [line for line in told if line.startswith(f"measuring {part} ")] for part in ("val", "test")}
    for lines in whole.values():
        counts = [re.search(r"\| (\d+)/(\d+) batches \[", line).groups() for line in lines]
        assert [int(count) for count, _ in counts] == list(range(1, len(lines) + 1))
        assert int(counts[0][1]) == len(lines) > 1
    assert told.index(whole["val"][0]) > told.index([line for line in told if line.startswith("training ")][-1])


def test_lines_tell_how_far_evaluate_is(small_run, beating, capsys):
    run = small_run().run
    capsys.readouterr()
    assert main(["evaluate", f"run={run}", "split=val"]) == 0
    assert capsys.readouterr().err.startswith("measuring val ")


@pytest.mark.parametrize("others", [["trainer.max_epochs=1000"], ["trainer.max_epochs=null"]])
def test_a_limit_of_time_that_comes_first_is_what_the_bar_goes_by(small_config, beats, others):
    told = beats(small_config(*others, "trainer.max_seconds=1.5", "trainer.limit_val_batches=1"))
    training = [line for line in told if line.startswith("training ")]
    by_time = [re.match(r"training +\d+%\|.*\| (\d)/2 s \[\d\d:\d\d<(\?|\d\d:\d\d)", line) for line in training[1:]]
    assert all(by_time[len(by_time) // 2 :])
    assert {match[1] for match in by_time if match} == {"0", "1", "2"}
    assert max(match[2] for match in by_time if match and match[1] != "0") <= "00:02"
    assert training[-1].startswith("training 100%")


def test_a_limit_of_time_that_comes_later_is_not(small_config, beats):
    told = beats(small_config("trainer.max_seconds=10000"))
    assert all(" step [" in line for line in told if line.startswith("training "))


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

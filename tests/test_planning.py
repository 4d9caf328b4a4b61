"""`debug=plan`: an estimate that is near what the run then takes, and nothing left behind."""

import csv
import re
import resource
import threading
import time
from dataclasses import replace

import pytest
import torch

from seqmodels.callbacks import Checkpoints, keep_pictures
from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.errors import UserError
from seqmodels.planning import Plan, plan, trial
from seqmodels.planning.course import Rates, find_course
from seqmodels.trainers import TrainerSettings
from seqmodels.training import train

PLAN = Plan(
    name="one", parameters=1234, updates=1000, by_time=False, windows=100, tokens=512.0, padding=0.25, update=0.5,
    timed=40, validations=10, validation=6.0, inspections=0, inspection=0.0, measuring=12.0, writing=False, saving=3.0,
    checkpoint=2_000_000, memory=800_000_000, worker=0, num_workers=0, gpu=0, may_stop=False,
)  # fmt: skip


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.max_epochs=2"],
        ["trainer.max_steps=20", "trainer.val_check_interval=1"],
        ["trainer.max_steps=60", "trainer.val_check_interval=25", "callbacks.samples.every_n_validations=2"],
        ["trainer.max_epochs=2", "trainer.accumulate_grad_batches=3", "trainer.val_check_interval=40"],
        ["trainer.max_steps=100", "callbacks.checkpoints.every_n_steps=5"],
    ],
)
def test_the_estimate_is_of_the_run_that_is_then_made(small_config, overrides):
    """Samples take most of the time here; the factor leaves room for a machine that is busy with something else."""
    config = small_config("cell=native_gru", "callbacks.samples.length=300", *overrides)
    planned = plan(config)
    began = time.perf_counter()
    outcome = train(config)
    took = time.perf_counter() - began
    assert took / 4 < planned.seconds < 4 * took
    assert planned.updates == outcome.results["train/steps"]
    with (outcome.run / "metrics.csv").open() as metrics:
        assert planned.validations == sum(bool(row["val/loss"]) for row in csv.DictReader(metrics))
    last = outcome.run / "checkpoints" / "last.ckpt"
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert planned.parameters == sum(value.numel() for value in weights.values())
    assert planned.checkpoint == pytest.approx(last.stat().st_size, rel=0.1)
    assert planned.memory <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 1.5 * planned.memory
    assert planned.tokens == pytest.approx(
        4 * 16 * config["trainer"]["accumulate_grad_batches"], rel=0.1
    )  # the last window of an epoch is shorter
    assert planned.timed >= 2


def test_what_a_limit_of_time_cuts_off_is_not_counted(small_config):
    config = small_config("trainer.max_epochs=100000", "trainer.max_seconds=2", "callbacks.samples.length=300")
    planned = plan(config)
    assert 2 <= planned.seconds < 4
    made = train(config).results["train/steps"]
    assert made / 4 < planned.updates < 4 * made
    assert f"about {planned.updates:,}, " in planned.text()


def test_the_time_is_made_of_its_parts():
    assert PLAN.seconds == 1000 * 0.5 + 10 * 6.0 + 3.0 + 12.0
    assert replace(PLAN, inspections=2, inspection=50.0).seconds == PLAN.seconds + 100
    assert "about 1,000, 100 windows an epoch" in replace(PLAN, by_time=True).text()


RATES = Rates(update=0.5, validation=3.0, shown=((1, 1.0), (3, 10.0)), inspections=((2, 50.0),), checkpoint=0.25)


def course_to(**limits):
    checkpoints = Checkpoints(every_seconds=None)
    return find_course(TrainerSettings(**limits), windows=10, checkpoints=checkpoints, rates=RATES, validated=True)


def test_a_course_counts_what_comes_beside_updates():
    course = course_to(max_epochs=5)
    assert (course.updates, course.validations, course.inspections) == (50, 5, 2)
    assert course.seconds == 50 * 0.5 + 5 * 3 + 5 * 1 + 2 * 10 + 2 * 50 + (1 + 5 + 5) * 0.25


def test_a_limit_of_time_ends_a_course_where_all_that_it_is_made_of_has_taken_it():
    assert course_to(max_epochs=5, max_seconds=1000).updates == 50
    cut = course_to(max_epochs=5, max_seconds=60, val_check_interval=4)
    assert cut.updates < 50
    assert 60 <= cut.seconds < 60 + 0.5 + 3 + 11 + 50 + 1
    assert course_to(max_seconds=60, val_check_interval=4).updates == cut.updates


def test_what_is_told():
    lines = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in PLAN.text().splitlines())
    assert lines["plan"] == "one, from 40 updates; nothing was written"
    assert lines["parameters"] == "1,234"
    assert lines["tokens"] == "512 an update, 25% padding beside them, 512,000 in all"
    assert (
        lines["time"] == "about 9 min 35 s: 500 ms an update, validation 10 times 6.0 s, 12.0 s to measure at the end"
    )
    assert lines["memory"] == "800.0 MB at most so far"
    assert lines["disk"] == "6.0 MB: three checkpoints of 2.0 MB"
    assert "at most 9 min" in replace(PLAN, may_stop=True).text()
    assert "validation 10 times 6.0 s, inspection once 8.0 s" in replace(PLAN, inspections=1, inspection=8.0).text()
    assert replace(PLAN, writing=True).text().count("with texts as long as the model writes them now") == 1
    assert "up to 5.0 MB in each of 2 workers" in replace(PLAN, num_workers=2, worker=5_000_000).text()


def test_the_command_prints_it_and_writes_nothing(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["data=text_file", f"data.path={corpus}", "trainer=cpu", "model.hidden_size=4", "data.batch_size=4"]
    assert main(["train", *small, "tbptt.k1=16", "tbptt.k2=16", "debug=plan"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("plan         char_lm, from ")
    assert not printed.err
    assert not list(tmp_path.iterdir())


def test_nothing_of_tensorboard_goes_on_when_the_folder_is_gone(monkeypatch):
    config = compose(["experiment=parity", "trainer=cpu", "model.hidden_size=4", "trainer.max_steps=3"])
    monkeypatch.setattr(trial, "TIMED", 1)
    drawn = []
    monkeypatch.setattr(trial, "keep_pictures", lambda *given: drawn.append(keep_pictures(*given)))
    before = threading.enumerate()
    plan(config)
    assert drawn
    begun = [type(thread).__name__ for thread in threading.enumerate() if thread not in before]
    assert "_AsyncWriterThread" not in begun


def test_a_mistake_is_told_before_any_update(small_config):
    with pytest.raises(UserError, match=r"optimizer"):
        plan(small_config("optimizer.lr=-1"))


def test_a_resumed_run_is_not_planned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "debug=plan", "resume=somewhere"]) == 1
    assert capsys.readouterr().err == "seqmodels: debug=plan: plans runs that are new; leave out resume=somewhere\n"


def test_a_run_of_several_processes_is_planned_with_one(tmp_path, corpus, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["data=text_file", f"data.path={corpus}", "model.hidden_size=8", "tbptt.k1=16", "tbptt.k2=16"]
    assert main(["train", *words, "trainer=ddp_cpu", "trainer.devices=2", "debug=plan"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("plan         char_lm, from ")
    assert shown.endswith(
        "\nprocesses    1 in this plan; 2 share each batch of the run, whose time and memory differ\n"
    )

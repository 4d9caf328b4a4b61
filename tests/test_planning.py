"""`debug=plan`: an estimate that is near what the run then takes, and nothing left behind."""

import re
from dataclasses import replace

import pytest
import torch

from seqmodels.commands.main import main
from seqmodels.errors import UserError
from seqmodels.planning import Plan, plan
from seqmodels.training import train

PLAN = Plan(
    name="one", parameters=1234, updates=1000, max_seconds=None, windows=100, tokens=512.0, padding=0.25, update=0.5,
    timed=40, validations=10, validation=6.0, measuring=12.0, saving=3.0, checkpoint=2_000_000, memory=800_000_000,
    worker=0, num_workers=0, gpu=0, may_stop=False,
)  # fmt: skip


def test_the_estimate_is_of_the_run_that_is_then_made(small_config):
    config = small_config("trainer.max_epochs=3", "cell=native_gru", "callbacks.samples=null")
    torch.manual_seed(3)
    planned = plan(config)
    outcome = train(config)
    events = (outcome.run / "metrics.csv").read_text().splitlines()
    assert planned.updates == outcome.results["train/steps"]
    assert planned.validations == 3
    assert planned.parameters == sum(
        value.numel()
        for name, value in torch.load(outcome.run / "checkpoints" / "last.ckpt", weights_only=True)[
            "state_dict"
        ].items()
    )
    assert planned.checkpoint == pytest.approx((outcome.run / "checkpoints" / "last.ckpt").stat().st_size, rel=0.1)
    assert 50e6 < planned.memory < 50e9
    assert planned.tokens == pytest.approx(4 * 16, rel=0.1)  # the last window of an epoch is shorter
    assert planned.timed >= 2
    assert len(events) > 3


def test_the_time_is_made_of_its_parts():
    assert PLAN.seconds == 1000 * 0.5 + 10 * 6.0 + 3.0 + 12.0
    assert replace(PLAN, max_seconds=60.0).seconds == 60 + 12
    by_time = replace(PLAN, updates=None, max_seconds=60.0, validations=0)
    assert by_time.seconds == 60 + 12
    assert "about 120, 100 windows an epoch" in by_time.text()


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
    assert "up to 5.0 MB in each of 2 workers" in replace(PLAN, num_workers=2, worker=5_000_000).text()


def test_the_command_prints_it_and_writes_nothing(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["data=text_file", f"data.path={corpus}", "trainer=cpu", "model.hidden_size=4", "data.batch_size=4"]
    assert main(["train", *small, "tbptt.k1=16", "tbptt.k2=16", "debug=plan"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("plan         char_lm, from ")
    assert not printed.err
    assert not list(tmp_path.iterdir())


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

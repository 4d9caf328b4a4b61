"""`seqmodels tune` as a user types it, in one process."""

import csv
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from seqmodels.commands.main import main
from seqmodels.runs import find_run
from seqmodels.tuning import Search
from seqmodels.tuning import study as studies

TABLE = Path("outputs/char_lm/char_lm-space/trials.csv")


def table():
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def hparams(run):
    """The settings that TensorBoard's HParams compares, and the tags of the figures."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = dict(HParamsPluginData.FromString(content).session_start_info.hparams)
    return settings, {tag for tag in events.Tags()["scalars"] if tag.startswith("hparams/")}


def test_a_study_leaves_runs_a_table_pictures_and_the_best_run(work, command, capsys):
    (work / "space.yaml").write_text(
        (work / "space.yaml").read_text() + "  scheduler: {type: categorical, choices: [cosine, nothing]}\n"
    )
    assert main(command("trials=2")) == 1
    assert "seqmodels: space.yaml: scheduler=nothing: unknown; choose one of" in capsys.readouterr().err

    (work / "space.yaml").write_text(
        "sampler: tpe\nstartup_trials: 3\nspace:\n"
        "  optimizer.lr: {type: float, low: 1e-4, high: 1e-1, log: true}\n"
        "  model.hidden_size: {type: categorical, choices: [-1, 4, 6, 8]}\n"
        "  scheduler: {type: categorical, choices: [cosine, constant]}\n"
    )
    assert main(command("trials=6", "+optimizer.betas=[0.9, 0.95]")) == 0
    shown = capsys.readouterr()
    rows = table()
    assert [row["trial"] for row in rows] == [str(number) for number in range(6)]
    failed = [row for row in rows if row["state"] == "fail"]
    good = [row for row in rows if row["state"] == "complete"]
    assert failed
    assert len(good) + len(failed) == 6
    for row in failed:  # recorded with the reason, said once, passed over
        assert row["error"].endswith("expected at least 1")
        assert f"seqmodels: trial {row['trial']} (" in shown.err
    for row in good:
        config = yaml.safe_load(Path(row["run"], "config.yaml").read_text())
        assert config["optimizer"]["lr"] == float(row["optimizer.lr"])
        assert config["model"]["hidden_size"] == int(row["model.hidden_size"])
        assert config["scheduler"]["_target_"].lower().endswith(row["scheduler"])
    best = min(good, key=lambda row: float(row["val/loss"]))
    assert find_run("outputs/char_lm/char_lm-space/best")[0] == Path(best["run"]).resolve()
    assert f"best         trial {best['trial']}: val/loss" in shown.out
    assert f"{len(good)} trained to the end" in shown.out
    assert f"{len(failed)} failed" in shown.out
    for name in ("history.png", "importances.png"):
        with Image.open(TABLE.with_name(name)) as picture:
            assert picture.size[0] > 300

    compared = [hparams(Path(row["run"])) for row in good]
    assert all({"optimizer.lr", "model.hidden_size"} <= set(settings) for settings, _ in compared)
    assert compared[0][0]["trainer.max_steps"].string_value == "null"
    assert compared[0][0]["optimizer.betas"].string_value == "[0.9, 0.95]"
    assert all(tags == compared[0][1] and "hparams/val/loss" in tags for _, tags in compared)

    assert main(["evaluate", "run=outputs/char_lm/char_lm-space/best", "split=val"]) == 0


def test_a_study_goes_on_where_it_stood_and_has_as_many_trials_as_asked_for(work, command, capsys, trials):
    assert main(command("trials=1")) == 0
    first = trials()
    for _ in range(2):  # the second time nothing is left to do
        assert main(command("trials=3")) == 0
    after = trials()
    assert len(after) == 3
    assert after[0] == first[0]
    assert len({trial.params["optimizer.lr"] for trial in after}) == 3  # the seed begins at no trial anew
    capsys.readouterr()
    assert main(command("trials=3", "seed=2")) == 1
    said = capsys.readouterr().err
    assert "study=char_lm-space: the storage has it with other settings" in said
    assert "seed=2" in said
    assert said.count("\n") == 1
    assert main(command("trials=1", "seed=2", "study=other", "storage=null")) == 0
    assert not Path("outputs/char_lm/other/study.db").exists()


def test_a_grid_is_run_once_each_and_then_is_done(work, command, trials):
    (work / "space.yaml").write_text(
        "sampler: grid\nspace:\n  cell: {type: categorical, choices: [native_rnn, native_gru]}\n"
        "  model.hidden_size: {type: int, low: 4, high: 5}\n"
    )
    assert main(command("trials=3")) == 0
    assert main(command("trials=9")) == 0
    found = [(trial.params["cell"], trial.params["model.hidden_size"]) for trial in trials()]
    assert found == [(cell, size) for cell in ("native_rnn", "native_gru") for size in (4, 5)]


@pytest.mark.parametrize("pruner", ["median", pytest.param("hyperband", marks=pytest.mark.faults)])
def test_poor_trials_are_given_up_after_a_validation(work, command, pruner, trials):
    (work / "space.yaml").write_text(
        f"sampler: grid\npruner: {pruner}\nstartup_trials: 1\n"
        "space: {optimizer.lr: {type: categorical, choices: [0.03, 0.0, 1e-5, 1e-6, 1e-7]}}\n"
    )
    assert main(command("trainer.max_epochs=4", "trainer.limit_val_batches=4")) == 0
    states = [trial.state.name for trial in trials()]
    assert states[0] == "COMPLETE"
    assert "PRUNED" in states
    for trial, row in zip(trials(), table(), strict=True):
        reports = trial.intermediate_values
        assert list(reports) == list(range(1, len(reports) + 1))
        assert (len(reports) == 4) == (trial.state.name == "COMPLETE")
        assert float(row["train/steps"]) == 4 * len(reports)
        assert "hparams/val/loss" in hparams(Path(row["run"]))[1]  # those that were given up can be compared, too
        assert Path(row["run"], "checkpoints", "last.ckpt").is_file()


@pytest.mark.parametrize("warmup", [0, 1, 2])
def test_median_spares_as_many_validations_as_it_is_told(warmup):
    search = Search({}, pruner="median", startup_trials=1, warmup_validations=warmup)
    study = optuna.create_study(pruner=studies._pruner(SimpleNamespace(search=search)))
    good, poor = study.ask(), study.ask()
    for validation in range(1, 5):
        good.report(1.0, validation)
    study.tell(good, 1.0)
    for validation in range(1, 5):
        poor.report(2.0, validation)
        assert poor.should_prune() == (validation > warmup)


def test_a_metric_of_ones_own_is_what_the_best_checkpoint_is_best_by(work, command, trials):
    assert main(command("trials=1", "metric=val/perplexity", "mode=max")) == 0
    (trial,) = trials()
    config = yaml.safe_load(Path(trial.user_attrs["run"], "config.yaml").read_text())
    assert (config["callbacks"]["checkpoints"]["monitor"], config["callbacks"]["checkpoints"]["mode"]) == (
        "val/perplexity",
        "max",
    )
    assert trial.value == trial.user_attrs["results"]["val/perplexity"]


def test_no_trial_begins_when_time_is_up(work, command, trials):
    assert main(command("trials=50", "timeout=0.001")) == 1
    assert trials() == []


def test_list_and_help_know_of_it(capsys):
    assert main(["list", "hparams_search"]) == 0
    assert "optimizer " in capsys.readouterr().out
    assert main(["tune", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "storage=sqlite" in shown
    assert "postgresql://USER@HOST/DATABASE" in shown


def test_a_trial_killed_while_it_was_begun_is_no_trial(work, command, trials, monkeypatch):
    """Between its birth and its values a trial has no owner yet."""

    def killed():
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(studies, "owner", killed)
        patched.setattr("seqmodels.tuning.workers.recover", lambda *_: [])
        assert main(command("trials=1")) == 130
    assert [trial.state.name for trial in trials()] == ["RUNNING"]
    assert main(command("trials=1")) == 0
    assert [trial.state.name for trial in trials()] == ["FAIL", "COMPLETE"]


def test_sigterm_leaves_a_checkpoint_and_the_values_are_tried_again(work, command, trials, capsys):
    """Really sent, to this very process, in the middle of a trial."""
    sender = threading.Thread(target=_send_when_training, args=(signal.SIGTERM,), daemon=True)
    sender.start()
    words = ["trials=2", "trainer.max_epochs=200", "callbacks.checkpoints.every_seconds=0.2"]
    assert main(command(*words)) == 143
    sender.join()
    assert capsys.readouterr().err.endswith("stopped by SIGTERM; the same command goes on with the study\n")
    stopped, waiting = trials()
    assert (stopped.state.name, waiting.state.name) == ("FAIL", "WAITING")
    assert waiting.user_attrs["retry_of"] == 0
    (run,) = Path("outputs/char_lm").glob("*/checkpoints/last.ckpt")
    assert run.is_file()


def _send_when_training(signum):
    while not list(Path("outputs/char_lm").glob("*/metrics.csv")):
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(os.getpid(), signum)

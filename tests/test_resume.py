"""Resuming: a run that was killed and continued ends with the same bits as one that was not."""

import csv
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from same_bits import final_state, same

from seqmodels import runs
from seqmodels.callbacks import Checkpoints, Interrupted
from seqmodels.commands.composing import compose
from seqmodels.errors import UserError
from seqmodels.resuming import resumed_config
from seqmodels.training import train

# Dropout draws random numbers, the overlapping windows hand their state on within, two epochs have a boundary.
RUN = ["trainer.max_epochs=2", "tbptt.k1=8", "tbptt.k2=12", "model.output_dropout=0.3", "data.batch_size=32"]
EARLY_STOPPING = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "optimizer.lr=1e-12"]
PLATEAU = ["scheduler=plateau", "scheduler.patience=0", "scheduler.gamma=0.3", "optimizer.lr=0.3"]
VARIANTS = {
    "overlapping": RUN,
    "gaps, plateau": [*RUN, "tbptt.k1=12", "tbptt.k2=8", "scheduler=plateau", "scheduler.patience=0"],
    "accumulated": [*RUN, "trainer.accumulate_grad_batches=3"],
    "validated within epochs": [*RUN, "trainer.val_check_interval=5"],
    "lines": [*RUN, "data.batch_size=16", "tbptt.k1=null", "tbptt.k2=null"],
    "a part of each epoch": [*RUN, "trainer.limit_train_batches=7", "trainer.accumulate_grad_batches=2"],
    "early stopping": [*RUN, *EARLY_STOPPING, "trainer.max_epochs=4"],
    "plateau within epochs": [*RUN, *PLATEAU, "trainer.val_check_interval=5"],
    "step limit": [*RUN, "trainer.max_epochs=null", "trainer.max_steps=19"],
    "workers": [*RUN, "data.num_workers=2", "trainer.max_epochs=null", "trainer.max_steps=18", "tbptt.k1=12"],
}


@pytest.mark.parametrize(
    ("cell", "variant"),
    [*(("lstm", name) for name in VARIANTS), ("native_gru", "overlapping"), ("elman", "gaps, plateau")],
)
def test_resumed_from_steps_all_over_it_the_run_ends_with_the_same_bits(small_config, archive, variant, cell):
    data = "text_lines" if variant == "lines" else "text_file"
    overrides = [f"cell={cell}", *VARIANTS[variant], "callbacks.checkpoints.every_n_steps=1"]
    config = small_config(*overrides, data=data)
    undisturbed = train(config)
    expected = final_state(undisturbed.run)
    saved = sorted(archive.glob("*.ckpt"))
    assert len(saved) >= 8
    picked = {*saved[:: max(1, len(saved) // 5)], saved[-1]}  # every step: tests/faults/test_every_step.py
    for checkpoint in [path.rename(path.with_suffix(".kept")) for path in picked]:
        shutil.copy(checkpoint, undisturbed.run / "checkpoints" / "last.ckpt")
        resumed = runs.load_run(str(undisturbed.run), to_resume=True)
        outcome = train(resumed_config(resumed.config, config, []), resumed)
        assert same(final_state(outcome.run), expected), f"resumed from {checkpoint.stem}"
        final = {name: value for name, value in outcome.results.items() if "second" not in name}
        assert final.items() <= undisturbed.results.items(), f"resumed from {checkpoint.stem}"


SHORT = ["trainer=cpu", "model.hidden_size=8", "model.output_dropout=0.3", "callbacks.checkpoints.every_n_steps=1"]
# Every epoch draws other examples, so that a resumed run must know which epoch it is in.
TWO_EPOCHS = ["data.train_size=40", "data.val_size=8", "data.test_size=8", "data.batch_size=8", "trainer.max_epochs=2"]
PAIRS = [
    *("experiment=reversal", "data.num_pairs=60", "data.val_fraction=0.1", "data.batch_size=10"),
    *("data.problem.longest=6", "trainer.max_epochs=2", "task.measures.hypotheses.length=6", "callbacks.pictures=null"),
]
TASKS = {
    "whole sequences": ["experiment=adding", "data.problem.length=12", "tbptt.k2=5", *TWO_EPOCHS],
    "a target at each step, in windows": ["experiment=memory/copy", "tbptt.k1=14", "tbptt.k2=16", *TWO_EPOCHS],
    "workers": ["experiment=sentiment", "data.num_workers=2", *TWO_EPOCHS],
    "scheduled sampling": [
        *("experiment=sunspots", "model.direct=false", "teacher_forcing=linear", "task.feed=sample"),
        *("loss=gaussian", "trainer.max_steps=10"),
        *("callbacks.pictures=null", "trainer.limit_val_batches=1"),
    ],
    "pairs that read samples of their own": [*PAIRS, "teacher_forcing=linear", "task.feed=sample"],
    "professor forcing": [
        *PAIRS,
        "task.professor={_target_: seqmodels.tasks.ProfessorForcing, _partial_: true, cell: ${cell}, hidden_size: 4}",
    ],
}


@pytest.mark.parametrize("task", TASKS)
def test_other_tasks_resume_with_the_same_bits(archive, tmp_path, task):
    config = compose([*TASKS[task], *SHORT, f"output_dir={tmp_path / 'outputs'}"])
    undisturbed = train(config)
    expected = final_state(undisturbed.run)
    last = expected["global_step"]
    assert last in (10, 30)  # 30: three windows a batch
    steps = (0, last // 4, last // 2, last // 2 + 1, last - 1)
    for step in steps:
        shutil.copy(archive / f"{step:04d}.ckpt", archive / f"{step:04d}.kept")
    for step in steps:
        shutil.copy(archive / f"{step:04d}.kept", undisturbed.run / "checkpoints" / "last.ckpt")
        outcome = train(config, runs.load_run(str(undisturbed.run), to_resume=True))
        assert same(final_state(outcome.run), expected), f"resumed from {step}"
        final = {name: value for name, value in outcome.results.items() if "second" not in name}
        numbers = {name: value for name, value in final.items() if value == value}  # NaN is like nothing
        assert numbers.items() <= undisturbed.results.items(), f"resumed from {step}"


@pytest.mark.parametrize("step", [7, 10, 14])  # between two reports, at one, at an epoch's end
def test_metrics_of_a_resumed_run_are_those_of_an_undisturbed_one(small_config, archive, step):
    config = small_config(*RUN, "callbacks.checkpoints.every_n_steps=1")

    def reported(run):
        with (run / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [[row[name] for name in ("step", "train/loss", "val/loss", "train/learning_rate")] for row in rows]

    run = train(config).run
    expected = reported(run)
    shutil.copy(archive / f"{step:04d}.ckpt", run / "checkpoints" / "last.ckpt")
    train(config, runs.load_run(str(run), to_resume=True))
    assert reported(run) == expected


def test_more_epochs_go_on_from_where_the_run_ended(small_config):
    config = small_config("scheduler=constant")
    short = train(config)
    resumed = runs.load_run(str(short.run), to_resume=True)
    config = resumed_config(resumed.config, small_config("trainer.max_epochs=2"), ["trainer.max_epochs=2"])
    longer = train(config, resumed)
    whole = train(small_config("scheduler=constant", "trainer.max_epochs=2"))
    assert longer.results["train/steps"] == 2 * short.results["train/steps"]
    assert longer.results["val/loss"] == whole.results["val/loss"] < short.results["val/loss"]
    assert yaml.safe_load((short.run / "config.yaml").read_text())["trainer"]["max_epochs"] == 2


def test_a_limit_of_updates_takes_no_epoch_away_from_a_run_that_goes_on(small_config):
    keys = ["scheduler=constant", "trainer.max_steps=1000", "trainer.limit_train_batches=4"]
    whole = train(small_config(*keys, "trainer.max_epochs=3"))
    first = train(small_config(*keys, "trainer.max_epochs=2"))
    resumed = runs.load_run(str(first.run), to_resume=True)
    config = resumed_config(resumed.config, small_config(*keys, "trainer.max_epochs=3"), ["trainer.max_epochs=3"])
    more = train(config, resumed)
    assert final_state(more.run)["global_step"] == 12
    assert same(final_state(more.run), final_state(whole.run))


def test_a_run_that_has_made_its_updates_makes_no_more(small_config):
    config = small_config("trainer.max_steps=5")
    first = train(config)
    resumed = runs.load_run(str(first.run), to_resume=True)
    assert final_state(first.run)["global_step"] == 5
    assert same(final_state(train(resumed_config(resumed.config, config, []), resumed).run), final_state(first.run))


def test_a_run_that_was_stopped_early_goes_on_with_more_patience_alone(small_config, capsys):
    config = small_config(*EARLY_STOPPING, "trainer.max_epochs=9")
    first = train(config)
    assert "early stopping at update" in capsys.readouterr().err
    resumed = runs.load_run(str(first.run), to_resume=True)
    again = train(resumed_config(resumed.config, config, []), resumed)
    told = capsys.readouterr().err
    assert "early stopping at update" in told
    assert "nothing was left to train" in told
    assert again.results["train/steps"] == first.results["train/steps"]
    patient = "callbacks.early_stopping.patience=2"
    resumed = runs.load_run(str(first.run), to_resume=True)
    more = train(resumed_config(resumed.config, small_config(*EARLY_STOPPING, patient), [patient]), resumed)
    assert more.results["train/steps"] > first.results["train/steps"]


def test_what_belongs_to_the_run_cannot_change(small_config):
    with pytest.raises(UserError, match=r"model.hidden_size=9: .*free: trainer"):
        resumed_config(small_config(), small_config("model.hidden_size=9"), ["model.hidden_size=9"])


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_that_resumes_exactly(small_config, monkeypatch, signum):
    config = small_config(*RUN)
    expected = final_state(train(config).run)
    on_train_batch_end = Checkpoints.on_train_batch_end
    sent = []

    def interrupt_at_ten(self, trainer, *arguments):
        if trainer.global_step == 10 and not sent:
            sent.append(os.kill(os.getpid(), signum))
        on_train_batch_end(self, trainer, *arguments)

    monkeypatch.setattr(Checkpoints, "on_train_batch_end", interrupt_at_ten)
    handler = signal.getsignal(signum)
    with pytest.raises(Interrupted) as caught:
        train(config)
    assert caught.value.signum == signum
    assert signal.getsignal(signum) == handler
    resumed = runs.load_run(str(Path(config["output_dir"], "latest")), to_resume=True)
    assert resumed.checkpoint["global_step"] == 10
    assert same(final_state(train(config, resumed).run), expected)


@pytest.mark.parametrize("data", ["text_file", "text_lines"])
def test_other_data_of_the_same_size_and_vocabulary_are_refused(small_config, tmp_path, corpus, data):
    path = tmp_path / "mine.txt"
    path.write_text(corpus.read_text())
    run = train(small_config("tbptt.k1=8", "tbptt.k2=8", path=path, data=data)).run
    resumed = runs.load_run(str(run), to_resume=True)
    path.write_text(corpus.read_text().translate(str.maketrans("ae", "ea")))
    with pytest.raises(UserError, match="the data are not those the run was trained on"):
        train(resumed.config, resumed)

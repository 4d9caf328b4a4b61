"""What `seqmodels tune` refuses, and what it does not, before a trial begins."""

from pathlib import Path

import pytest

from seqmodels.commands.main import main
from seqmodels.tuning import study as studies

TABLE = Path("outputs/char_lm/char_lm-space/trials.csv")


def test_a_study_without_trials_takes_other_settings(work, command, capsys):
    assert main(command("timeout=0.001")) == 1
    assert main(command("trials=1", "seed=2", "mode=max")) == 1  # Optuna keeps which way is better
    assert "with other settings" in capsys.readouterr().err
    assert main(command("trials=1", "seed=2")) == 0
    assert main(command("trials=2")) == 1
    assert "with other settings" in capsys.readouterr().err


def test_settings_that_took_a_study_over_end_who_had_opened_it_before(work, command, monkeypatch, capsys):
    def taken_over(plan):
        study, storage = open_study(plan)
        study.set_user_attr("made_with", {**plan.made_with, "settings": ["seed=2"]})
        return study, storage

    open_study = studies.open_study
    monkeypatch.setattr("seqmodels.tuning.workers.open_study", taken_over)
    assert main(command("trials=1")) == 1
    assert "with other settings" in capsys.readouterr().err
    assert not list(work.glob("outputs/char_lm/*/config.yaml"))


@pytest.mark.parametrize(
    "words, line",
    [
        (["metric=val/accuracy", "mode=max"], "metric=val/accuracy: no validation reports it; valid: val/loss, "),
        (
            ["metric=val/accuracy"],
            "metric=val/accuracy: say whether less or more of it is better: mode=min or mode=max",
        ),
        (["mode=less"], "mode=less: expected min or max"),
        (["data.val_fraction=0"], "metric=val/loss: no validation reports it; valid: nothing, data.val_fraction is 0"),
        (["trails=4"], "trails=4: no such key; did you mean trials?"),
        (["trials=0"], "trials=0: expected at least 1"),
        (["workers=2", "storage=null"], "workers=2: several processes need a storage to share"),
        (["timeout=-1"], "timeout=-1: expected more than 0, or null"),
        (
            ["optimizer.lr=0.1"],
            "optimizer.lr=0.1: space.yaml searches optimizer.lr; leave out one of the two",
        ),
        (["hparams_search=none"], "hparams_search=none: unknown; choose one of grid, "),
        (["hparams_search=none.yaml"], "hparams_search=none.yaml: no such file"),
        (["study=../up"], "study=../up: expected letters, digits"),
        (["study=.."], "study=..: expected letters, digits"),
        (
            ["debug=plan"],
            "debug=plan: a study trains; seqmodels train debug=plan, with a trial's settings, plans one run",
        ),
        (["plan=true"], "plan=true: a study trains; seqmodels train debug=plan"),
        (
            ["cell=lstm,gru"],
            "cell=lstm,gru: several values; they go into the space: cell: {type: categorical, choices: [...]}",
        ),
        (["trainer=ddp_cpu"], "trainer.devices=2: a trial is one process; workers=N trains N at once"),
        (["~callbacks.checkpoints"], "callbacks.checkpoints=null: a run needs its checkpoints"),
        (["+model.foo=3"], "model.foo=3: no such key"),
        (["resume=latest"], "resume=latest: a study goes on with the command that began it"),
        (["-m"], "-m: expected key=value; keys: hparams_search, storage, "),
        (["data.path=none.txt"], "data.path="),
        (["model.hiden=3"], "model.hiden=3: no such key; did you mean hidden_size?"),
        (["storage=study.db"], "storage: cannot be read as a URL; expected sqlite:///study.db, "),
        (["storage=oracle://me:hidden@host/x"], "storage=oracle://me:***@host/x: unknown database oracle; expected "),
        (
            ["storage=postgresql://me:hidden@127.0.0.1:1/x"],
            "storage=postgresql+psycopg://me:***@127.0.0.1:1/x: cannot be used: connection failed",
        ),
        (
            ["storage=postgresql+none://me:hidden@127.0.0.1:1/x"],
            "storage=postgresql+none://me:***@127.0.0.1:1/x: cannot be used: ",
        ),
        (["storage=sqlite:////proc/none/study.db"], "storage=sqlite:////proc/none/study.db: cannot make /proc/none: "),
        (["storage=sqlite:///mine.txt"], "storage=sqlite:///mine.txt: cannot be used: file is not a database"),
    ],
)
def test_a_mistake_is_one_line_before_any_trial(work, command, capsys, words, line):
    assert main(command(*words)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"seqmodels: {line}")
    assert said.count("\n") == 1
    assert "hidden@" not in said
    assert not list(work.glob("outputs/char_lm/*/config.yaml"))


def test_a_key_that_no_configuration_has_is_told_with_the_search(work, command, capsys):
    (work / "space.yaml").write_text("space: {optimizer.lrr: {type: float, low: 0.1, high: 0.2}}")
    assert main(command()) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqmodels: space.yaml: optimizer.lrr=0.1: no such key; did you mean lr? valid under")


@pytest.mark.parametrize(
    "space, line",
    [
        ("model.hidden_size: {type: float, low: 4, high: 8}", "model.hidden_size=4.0: expected an integer, got float"),
        ("+model.foo: {type: int, low: 1, high: 3}", "model.foo=1: no such key"),
    ],
)
def test_what_no_trial_could_be_built_of_is_told_before_any(work, command, capsys, space, line):
    (work / "space.yaml").write_text(f"space: {{{space}}}")
    assert main(command()) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"seqmodels: space.yaml: {line}")
    assert said.count("\n") == 1
    assert not Path("outputs").exists()


def test_what_a_run_requires_may_be_searched(work, command, trials):
    """The first of these files is not there: only its trials fail."""
    (work / "my space.yaml").write_text(
        "sampler: grid\nspace: {data.path: {type: categorical, choices: [no.txt, mine.txt]}}"
    )
    words = [word for word in command() if not word.startswith(("data.path=", "hparams_search="))]
    assert main([*words, "hparams_search=my space.yaml"]) == 0
    found = trials("sqlite:///outputs/char_lm/char_lm-my-space/study.db")
    assert [trial.state.name for trial in found] == ["FAIL", "COMPLETE"]


def test_experiments_are_judged_by_what_they_report(work, capsys):
    """Only generated addition reports an error; the experiment that is trained by default does not."""
    (work / "space.yaml").write_text("space: {experiment: {type: categorical, choices: [adding]}}")
    small = ["trainer=cpu", "trainer.max_steps=2", "trainer.max_epochs=null", "trainer.limit_val_batches=1", "trials=1"]
    assert main(["tune", "hparams_search=space.yaml", "metric=val/mse", "mode=min", *small]) == 0
    assert "val/mse" in capsys.readouterr().out


def test_a_study_of_the_same_name_elsewhere_writes_over_nothing(work, command, capsys):
    assert main(command("trials=1")) == 0
    before = TABLE.read_text()
    for _ in range(2):
        assert main(command("trials=1", "storage=null", "seed=5")) == 1
        said = capsys.readouterr().err
        assert said.endswith(
            "seqmodels: study=char_lm-space: outputs/char_lm/char_lm-space/trials.csv is of a study in another storage; "
            "choose another name: study=..., or move that folder away\n"
        )
    assert TABLE.read_text() == before


def test_each_valid_key_is_named_once(work, command, capsys):
    assert main(command("pruner=median")) == 1
    valid = capsys.readouterr().err.partition("valid here: ")[2].strip().split(", ")
    assert len(valid) == len(set(valid))
    assert {"model", "trials", "seed"} <= set(valid)
    assert "resume" not in valid


def test_torchrun_starts_no_study(work, command, capsys, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert main(command("trials=1")) == 1
    assert capsys.readouterr().err.startswith("seqmodels: tune: torchrun and srun start the processes of one run")


def test_a_study_of_failures_alone_is_a_failure(work, command, capsys):
    (work / "space.yaml").write_text("space: {optimizer.lr: {type: float, low: 1e37, high: 1e38}}")
    assert main(command("trials=2", "optimizer=sgd")) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(
        "seqmodels: study=char_lm-space: no trial was trained to its end (2 failed); the last one: "
    )

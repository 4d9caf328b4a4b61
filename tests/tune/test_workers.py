"""Several processes on one study: workers that are killed, commands that are killed, a database on the network."""

import csv
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from seqmodels.commands.main import main
from seqmodels.tuning import study as studies

LONG = ["trainer.max_epochs=12", "callbacks.checkpoints.every_seconds=0.2"]


def alone(words):
    """The command as a process group of its own, so that all of it can be killed at once."""
    return subprocess.Popen(
        [sys.executable, "-m", "seqmodels", *words],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def finished(trials):
    return {trial.number: (trial.value, trial.params) for trial in trials if trial.state.name == "COMPLETE"}


def assert_nothing_lost(trials, wanted):
    """Every trial ended, as many as were asked for to their end, and each that was killed was tried again."""
    states = Counter(trial.state.name for trial in trials)
    assert set(states) <= {"COMPLETE", "FAIL"}, states
    assert states["COMPLETE"] == wanted
    again = {trial.user_attrs["retry_of"]: trial.params for trial in trials if "retry_of" in trial.user_attrs}
    for trial in trials:
        if trial.state.name == "FAIL" and trial.params:
            assert again[trial.number] == trial.params


@pytest.mark.faults
def test_a_killed_worker_costs_nothing(work, command, trials, capfd):
    """Two workers on SQLite; one is killed by SIGKILL in the middle of a trial."""
    killed, ended = [], threading.Event()

    def kill_one():
        while not ended.is_set():
            time.sleep(0.05)
            for run in Path("outputs/char_lm").glob("*_*_*/metrics.csv"):  # it trains
                number = int(run.parent.name.split("_")[2])
                killed.append(trials()[number].user_attrs["owner"]["pid"])
                os.kill(killed[0], signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    code = main(command("trials=3", "workers=2", *LONG))
    ended.set()
    killer.join()
    assert code == 0
    after = trials()
    assert_nothing_lost(after, 3)
    assert sum(trial.state.name == "FAIL" for trial in after) == 1
    assert len({trial.user_attrs["owner"]["pid"] for trial in after}) >= 2
    assert len({tuple(trial.params.values()) for trial in after}) == 3  # no two workers drew the same values
    said = capfd.readouterr().err
    assert f"seqmodels: a worker (process {killed[0]}) was ended by SIGKILL" in said
    assert "was killed; its values are tried again" in said
    with Path("outputs/char_lm/char_lm-space/trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["error"] for row in rows if row["state"] == "fail"] == ["killed; tried again"]
    assert len({row["run"] for row in rows if row["run"]}) == 3  # no two runs in one directory


def test_two_workers_share_a_postgresql(work, command, trials, postgresql, capfd):
    """Two commands at once, as on two machines; the password is said by nobody and written nowhere."""
    second = alone(command("trials=4", f"storage={postgresql}"))
    assert main(command("trials=4", f"storage={postgresql}")) == 0
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    after = trials(postgresql.replace("postgresql:", "postgresql+psycopg:"))
    states = Counter(trial.state.name for trial in after)
    assert states == {"COMPLETE": states["COMPLETE"]}
    assert 4 <= states["COMPLETE"] <= 5  # two machines may begin the last one at the same moment
    assert len({tuple(trial.params.values()) for trial in after}) == len(after)
    assert Path("outputs/char_lm/char_lm-space/best/config.yaml").is_file()
    password = postgresql.split(":")[2].partition("@")[0]
    texts = [
        out,
        err,
        *capfd.readouterr(),
        *(path.read_text(errors="ignore") for path in work.rglob("*") if path.is_file()),
    ]
    assert not any(password in text for text in texts)
    wrong = postgresql.replace(password, "hidden")
    assert main(command("trials=4", f"storage={wrong}")) == 1
    said = capfd.readouterr().err
    assert "password authentication failed" in said
    assert "hidden" not in said
    assert said.count("\n") == 1


def test_what_kills_every_process_is_not_tried_for_ever(work, command, trials, monkeypatch):
    """The values of a trial are tried again some times, and then the study goes on without them."""
    deaths = []

    def die(*_, **__):
        deaths.append(1)
        raise SystemExit(137)  # what a process that was killed leaves behind is the same: a trial that runs

    monkeypatch.setattr("seqmodels.tuning.trials.train", die)
    monkeypatch.setattr(studies, "MAX_RETRIES", 1)
    for _ in range(4):
        assert main(command("trials=2")) == 137
    assert main(command("trials=2")) == 1
    assert len(deaths) == 4
    assert len({trial.params["optimizer.lr"] for trial in trials()}) == 2


def test_a_process_number_given_out_again_is_another_process(monkeypatch):
    mine = studies.owner()
    assert not studies._is_dead(mine)
    assert studies._is_dead({**mine, "started": "1"})
    assert studies._is_dead({**mine, "pid": 2**22 + 1})
    assert not studies._is_dead({**mine, "pid": 2**22 + 1, "host": "elsewhere"})


@pytest.mark.faults
@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_that_is_killed_ten_times_has_all_its_trials(work, command, trials, workers):
    """The whole command is killed by SIGKILL at random moments, and goes on, until it is done."""
    draw = random.Random(workers)
    words = command("trials=6", f"workers={workers}", *LONG, "trainer.max_epochs=60")
    kept, kills = {}, 0
    while True:
        process = alone(words)
        try:
            process.wait(draw.uniform(6, 14) if kills < 10 else 300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        _, err = process.communicate()
        now = finished(trials())
        assert kept.items() <= now.items()  # no finished trial is lost or changed
        kept = now
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    after = trials()
    assert kills >= 2
    assert sum(map(studies.counts, after)) == 6
    assert not [trial for trial in after if trial.state.name in ("RUNNING", "WAITING")]


@pytest.mark.faults
def test_workers_end_with_the_command_that_was_killed(work, command, trials):
    """Only the parent is killed; no worker goes on unseen, and their trials are tried again."""
    process = alone(command("trials=4", "workers=2", *LONG, "trainer.max_epochs=4000"))
    while len(list(Path("outputs/char_lm").glob("*_*_*/metrics.csv"))) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    workers = [trial.user_attrs["owner"]["pid"] for trial in trials()]
    process.kill()
    process.communicate()
    for _ in range(600):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            break
        time.sleep(0.1)
    else:
        raise AssertionError(f"workers {workers} go on")
    assert [trial.state.name for trial in trials()] == ["FAIL", "FAIL"]
    assert len(list(Path("outputs/char_lm").glob("*_*_*/checkpoints/last.ckpt"))) == 2


@pytest.mark.faults
def test_a_database_that_goes_away_is_told_and_comes_back(work, command, postgresql, capfd):
    """The server ends every connection in the middle of a trial."""
    import psycopg

    def cut():
        while not list(Path("outputs/char_lm").glob("*_*_*/metrics.csv")):
            time.sleep(0.05)
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = 'postgres'"
            )

    cutter = threading.Thread(target=cut, daemon=True)
    cutter.start()
    words = command("trials=2", "study=cut", f"storage={postgresql}", *LONG)
    code = main(words)
    cutter.join()
    said = capfd.readouterr().err
    assert code == 0 or "storage: lost" in said, said
    assert main(words) == 0

"""What goes wrong with several processes ends all of them, in one line; every way to start them comes to the same."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from ddp_runs import assert_close, command, final_state, reported, the_run

from seqmodels.commands.composing import compose
from seqmodels.training import train

SHORT = [
    "data=text_file",
    "model.hidden_size=8",
    "data.batch_size=5",
    "tbptt.k1=8",
    "tbptt.k2=8",
    "trainer.max_steps=8",
]
SHORT += ["callbacks.monitor.every_n_steps=1", "callbacks.samples=null", "callbacks.pictures=null"]
ONE_FAILS = """
import os
import signal

import torch.distributed as dist
from lightning.pytorch import Callback

from seqmodels.errors import UserError


class Fail(Callback):
    def __init__(self, rank: int, how: str):
        self.rank, self.how = rank, how

    def on_train_batch_start(self, trainer, pl_module, *arguments):
        if trainer.global_step == 3 and dist.get_rank() == self.rank:
            if self.how == "error":
                raise UserError("trainer=1: the disk of this process is full")
            if self.how == "fault":
                raise RuntimeError("something is broken")
            os.kill(os.getpid(), signal.SIGKILL if self.how == "kill" else signal.SIGTERM)
"""


def settings_of(corpus, folder):
    return [*SHORT, f"data.path={corpus}", f"output_dir={folder}"]


def told(errors):
    """Returns the lines that the program ends with."""
    return [line for line in errors.splitlines() if line.startswith(("seqmodels", "stopped", "Traceback", "[rank"))]


@pytest.mark.faults
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("how", "code", "line"),
    [
        ("error", 1, "seqmodels: trainer=1: the disk of this process is full"),
        ("fault", 1, "seqmodels: trusted=failing: failing.py"),
        ("kill", 1, "seqmodels: one of the processes was ended by SIGKILL"),
        ("terminate", 143, "stopped by SIGTERM; go on with"),
    ],
)
def test_what_ends_one_process_ends_all(corpus, tmp_path, how, code, line, rank):
    (tmp_path / "failing.py").write_text(ONE_FAILS)
    settings = [*settings_of(corpus, tmp_path / "outputs"), "trainer=ddp_cpu", "trusted=failing"]
    settings += [f"+callbacks.fail={{_target_: failing.Fail, rank: {rank}, how: {how}}}"]
    settings += ["trainer.max_steps=100000", "trainer.max_epochs=null"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run(command("train", *settings), env=environment, capture_output=True, text=True, timeout=180)
    assert ended.returncode == code, ended.stderr
    lines = told(ended.stderr)
    assert lines[-1].startswith(line), ended.stderr
    assert len(lines) == 1, ended.stderr
    assert ended.stdout == ""
    assert final_state(tmp_path / "outputs")["global_step"] == (4 if how == "terminate" else 0)


@pytest.mark.faults
def test_a_mistake_that_all_find_is_told_once(corpus, tmp_path):
    settings = [*settings_of(corpus, tmp_path / "outputs"), "trainer=ddp_cpu", "tbptt.k1=100000"]
    ended = subprocess.run(command("train", *settings), capture_output=True, text=True, timeout=180)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert not (tmp_path / "outputs").exists()
    looked_at = subprocess.run(command("train", *settings, "debug=true"), capture_output=True, text=True, timeout=180)
    assert looked_at.stderr.startswith("Traceback")
    assert looked_at.stderr.endswith(ended.stderr)


@pytest.mark.faults
def test_when_the_launcher_is_killed_its_processes_write_a_checkpoint_and_end(corpus, tmp_path):
    output = tmp_path / "outputs"
    settings = [*settings_of(corpus, output), "trainer=ddp_cpu", "trainer.max_steps=1000000", "trainer.max_epochs=null"]
    settings += ["callbacks.checkpoints.every_n_steps=50"]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(command("train", *settings), stderr=errors)
        while process.poll() is None and not list(output.glob("*/*/checkpoints/previous.ckpt")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 60
    while "stopped by SIGTERM" not in (tmp_path / "errors").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "stopped by SIGTERM" in (tmp_path / "errors").read_text()
    assert final_state(output)["global_step"] > 0


@pytest.mark.faults
def test_torchrun_and_srun_and_sweeps_start_the_same_training(corpus, tmp_path):
    settings = [*settings_of(corpus, "")[:-1], "trainer=cpu"]
    train(compose([*settings, f"output_dir={tmp_path / 'one'}"]))
    folders = [tmp_path / name for name in ("torchrun", "srun", "sweep")]

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "seqmodels"]
    ended = subprocess.run([*torchrun, "train", *settings, f"output_dir={folders[0]}"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("validation ") == 1

    # The variables that srun sets, set by hand.
    step = {
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_JOB_ID": str(os.getpid()),
    }
    step |= {"SLURM_STEP_NODELIST": "127.0.0.1"}
    tasks = [
        subprocess.Popen(
            command("train", *settings, f"output_dir={folders[1]}"),
            env={**os.environ, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.DEVNULL,
        )
        for rank in (0, 1)
    ]
    assert [task.wait(timeout=180) for task in tasks] == [0, 0]

    sweep = command("train", "-m", *settings, "trainer=ddp_cpu", f"output_dir={folders[2]}", "model.hidden_size=-1,8")
    ended = subprocess.run(sweep, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "job 0 (" in ended.stderr
    assert "1 job of the sweep failed" in ended.stderr
    for folder in folders:
        assert_close(reported(folder), reported(tmp_path / "one"))
        assert_close(final_state(folder)["state_dict"], final_state(tmp_path / "one")["state_dict"])
    assert the_run(folders[2]).name.endswith("_1")  # the number of its job


@pytest.mark.faults
def test_a_sweep_is_not_started_by_torchrun(tmp_path):
    own = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    arguments = ["train", "-m", "seed=1,2", f"output_dir={tmp_path}"]
    ended = subprocess.run(command(*arguments), env={**os.environ, **own}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("seqmodels: -m: torchrun and srun start one run")


@pytest.mark.faults
def test_processes_that_do_not_meet_say_where(corpus, tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        own = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        own |= {"MASTER_PORT": str(taken.getsockname()[1])}
        arguments = ["train", *settings_of(corpus, tmp_path / "outputs"), "trainer=cpu"]
        ended = subprocess.run(
            command(*arguments), env={**os.environ, **own}, capture_output=True, text=True, timeout=120
        )
    assert ended.returncode == 1, ended.stderr
    assert len(told(ended.stderr)) == 1
    assert f"cannot meet the others at 127.0.0.1:{own['MASTER_PORT']}" in ended.stderr

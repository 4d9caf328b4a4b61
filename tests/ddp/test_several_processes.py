"""Two processes that share each batch learn what one learns, write as one, and go on as they were."""

import math
import signal
import subprocess
import time

import pytest
import torch
from ddp_runs import assert_close, command, final_state, reported, results, the_run

from seqmodels import processes, runs
from seqmodels.commands.composing import compose
from seqmodels.data import Window
from seqmodels.data.sharing import take_rows
from seqmodels.errors import UserError
from seqmodels.processes import Share, find_place, join_rows
from seqmodels.training import train

SHORT = ["trainer=cpu", "trainer.max_steps=8", "callbacks.monitor.every_n_steps=1", "scheduler=constant"]
SHORT += ["model.hidden_size=8", "callbacks.samples=null", "callbacks.pictures=null"]
# Rows of a stream that two processes do not share evenly, and whose last ends in padding; windows that overlap; a
# learned state, which most windows have no use for.
TEXT = ["data=text_file", "data.batch_size=5", "tbptt.k1=8", "tbptt.k2=12", "model.initial_state=learned"]
UNEVEN = ["data.train_size=41", "data.val_size=8", "data.test_size=0", "data.batch_size=7"]


def test_two_processes_learn_what_one_does_and_resume_to_the_bit(corpus, tmp_path, train_by_several):
    text = [*SHORT, *TEXT, f"data.path={corpus}", "trainer.limit_val_batches=2"]
    sentiment = [*SHORT, "experiment=sentiment", *UNEVEN, "model.dropout=0", "model.output_dropout=0"]
    drawing = [*text, "model.output_dropout=0.3"]  # each process draws by generators of its own

    def config(name, settings):
        return compose([*settings, f"output_dir={tmp_path / name}"])

    train(config("text_one", text))
    train(config("sentiment_one", sentiment))
    train_by_several(
        [
            config("text_two", text),
            config("sentiment_two", sentiment),
            config("whole", drawing),
            config("parts", [*drawing, "trainer.max_steps=5"]),
            (config("parts", drawing), tmp_path / "parts" / "latest"),
        ]
    )
    for name in ("text", "sentiment"):
        one, two = tmp_path / f"{name}_one", tmp_path / f"{name}_two"
        assert len(reported(two)) >= 6
        assert_close(reported(two), reported(one))
        assert_close(final_state(two)["state_dict"], final_state(one)["state_dict"])
        assert_close(results(two), results(one))
    assert_close(
        final_state(tmp_path / "text_two")["carried_state"], final_state(tmp_path / "text_one")["carried_state"]
    )
    whole, parts = final_state(tmp_path / "whole"), final_state(tmp_path / "parts")
    for key in ("state_dict", "optimizer_states", "carried_state"):
        assert_close(parts[key], whole[key], tolerance=0)
    (second,) = whole["generators_of_others"]
    assert torch.equal(second["torch"], parts["generators_of_others"][0]["torch"])
    assert not torch.equal(second["torch"], whole["generators"]["torch"])


@pytest.mark.faults
def test_a_signal_ends_all_processes_with_one_checkpoint_and_one_process_goes_on(corpus, tmp_path, capsys):
    output = tmp_path / "outputs"
    settings = [*SHORT, "data=text_file", f"data.path={corpus}", "trainer=ddp_cpu", "trainer.max_steps=100000"]
    settings += ["trainer.max_epochs=null", "callbacks.checkpoints.every_n_steps=1", f"output_dir={output}"]
    process = subprocess.Popen(command("train", *settings), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while process.poll() is None and not list(output.glob("*/*/checkpoints/previous.ckpt")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    shown, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    assert shown == ""
    assert errors.count("stopped by SIGTERM") == 1
    assert "warn" not in errors.lower()
    step = final_state(output)["global_step"]
    resumed = runs.load_run(str(output / "latest"), to_resume=True)
    config = {**resumed.config, "trainer": {**resumed.config["trainer"], "devices": 1, "max_steps": step + 2}}
    train(config, resumed)
    assert "trained by 2 before, and by 1 from here on" in capsys.readouterr().err
    assert final_state(output)["global_step"] == step + 2
    assert the_run(output)  # the only one


def test_processes_that_nobody_has_started_are_refused(small_config, tmp_path):
    with pytest.raises(UserError, match=r"trainer.devices=2: .*torchrun"):
        train(small_config("trainer.devices=2"))
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("settings", "started", "message"),
    [
        (["trainer=cpu", "trainer.devices=3"], 2, r"trainer.devices=3: 2 processes were started"),
        (["trainer=cpu", "trainer.devices=0"], 1, r"trainer.devices=0: expected at least 1"),
        (["trainer=cpu", "trainer.devices=auto"], 1, r"trainer.devices=auto: .*on a CPU"),
    ],
)
def test_numbers_of_processes_that_do_not_fit_are_refused(small_config, monkeypatch, settings, started, message):
    if started > 1:
        for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
            monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        train(small_config(*settings))


def test_what_srun_says_is_understood():
    step = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "5", "SLURM_LOCALID": "1"}
    step |= {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2"}
    assert find_place(step) == processes.Place(rank=5, count=8, local_rank=1, local_count=4)
    assert find_place({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}) is None  # no step: not by srun


@pytest.mark.parametrize("num_rows", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_that_were_dealt_out_come_back_in_their_order(num_rows, count):
    inputs = torch.arange(num_rows * 2).view(num_rows, 2)
    window = Window(
        inputs, inputs, inputs[:, 0], first=True, handoff=2, num_without_gradient=0, words=(("a",),) * num_rows
    )
    taken = [take_rows(window, Share(rank, count)) for rank in range(count)]
    own = [part for part in taken if not part.stands_in]
    assert sum(len(part.inputs) for part in own) == num_rows
    assert all(len(part.inputs) == len(part.words) == len(part.lengths) >= 1 for part in taken)
    whole = join_rows([part.inputs[None] for part in own])
    assert torch.equal(whole[0], inputs)


def test_alone_a_mean_is_whole():
    mean = torch.tensor(math.pi)
    assert processes.part_of_mean(mean, 3) is mean
    assert processes.largest(2.0) == 2.0
    assert processes.of_all("a") == ["a"]

"""The norms of gradients that training writes beside its metrics."""

import csv
import shutil

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqmodels import runs
from seqmodels.callbacks import GradientNorms
from seqmodels.training import train

RUN = ["tbptt.k1=8", "tbptt.k2=8", "data.batch_size=32", "trainer.max_epochs=null", "trainer.max_steps=12"]
OFTEN = [*RUN, "callbacks.gradient_norms.every_n_steps=5", "callbacks.checkpoints.every_n_steps=1"]


def rows_of(run):
    with (run / "gradient_norms.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_first_update_and_every_nth_have_a_row_of_all_parameters(small_config, monkeypatch):
    expected = {}

    def keep(self, optimizer):
        expected[self.global_step + 1] = {name: float(p.grad.norm()) for name, p in self.trained_parameters()}

    monkeypatch.setattr("seqmodels.tasks.SequenceTask.on_before_optimizer_step", keep)
    run = train(small_config(*OFTEN, "cell=gru")).run
    rows = rows_of(run)
    assert [int(row["step"]) for row in rows] == [1, 5, 10]
    assert "recurrent.cells.0.weight_hh" in rows[0]
    for row in rows:
        step = int(row.pop("step"))
        assert {name: float(norm) for name, norm in row.items()} == pytest.approx(expected[step], rel=1e-5)
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    scalars = board.Scalars("gradient_norm/recurrent.cells.0.weight_hh")
    assert [scalar.step for scalar in scalars] == [1, 5, 10]
    with (run / "metrics.csv").open() as file:
        assert "weight_hh" not in file.readline()


@pytest.mark.parametrize("step", [5, 7])
def test_a_resumed_run_has_the_rows_of_an_undisturbed_one(small_config, step, monkeypatch, tmp_path):
    from seqmodels.callbacks import Checkpoints

    save_last = Checkpoints.save_last

    def keep(self, trainer):
        save_last(self, trainer)
        shutil.copy(self.folder / "last.ckpt", tmp_path / f"{trainer.global_step}.ckpt")

    monkeypatch.setattr(Checkpoints, "save_last", keep)
    config = small_config(*OFTEN)
    run = train(config).run
    expected = rows_of(run)
    shutil.copy(tmp_path / f"{step}.ckpt", run / "checkpoints" / "last.ckpt")
    assert train(config, runs.load_run(str(run), to_resume=True)).run == run
    assert rows_of(run) == expected


def test_accumulated_updates_count_once(small_config):
    run = train(small_config(*OFTEN, "trainer.accumulate_grad_batches=2", "trainer.max_steps=6")).run
    assert [int(row["step"]) for row in rows_of(run)] == [1, 5]


def test_measuring_changes_no_bit_of_training(small_config):
    ends = []
    for overrides in (OFTEN, [*RUN, "callbacks.gradient_norms=null"]):
        run = train(small_config(*overrides, "model.output_dropout=0.3")).run
        ends.append(runs.load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"])
    assert not (run / "gradient_norms.csv").exists()
    assert all(torch.equal(ends[0][name], value) for name, value in ends[1].items())


def test_a_number_below_one_is_refused():
    with pytest.raises(ValueError, match="every_n_steps=0"):
        GradientNorms(every_n_steps=0)

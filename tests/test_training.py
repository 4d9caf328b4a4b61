"""What a run leaves behind, and what each setting does to it."""

import csv
import json
import math
import re
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqmodels import runs
from seqmodels.commands.composing import options
from seqmodels.data import tokenizer_from_spec
from seqmodels.errors import UserError
from seqmodels.evaluation import build_task
from seqmodels.training import train

CELLS = [name for name in options("cell") if name != "custom"]  # that one needs a class of the user's


def read_metrics(run):
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(run, name):
    return [float(row[name]) for row in read_metrics(run) if row.get(name)]


def test_training_learns_and_the_run_directory_is_whole(small_run, tmp_path):
    outcome = small_run("trainer.max_epochs=4", "optimizer.lr=0.02")
    run, results = outcome.run, outcome.results
    present = {path.name for path in run.iterdir()}
    expected = {"config.yaml", "spec.json", "checkpoints", "metrics.csv", "results.json", "tensorboard", "samples"}
    assert present >= expected | {"log.txt"}
    assert (tmp_path / "outputs" / "latest").resolve() == run
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "previous.ckpt"}
    assert json.loads((run / "results.json").read_text()) == results
    losses = column(run, "train/loss")
    assert losses[-1] < 0.6 * losses[0]
    assert results["val/loss"] < 1.5 < losses[0]
    assert results["val/perplexity"] == pytest.approx(math.exp(results["val/loss"]))
    assert results["val/bits_per_character"] == pytest.approx(results["val/loss"] / math.log(2))
    assert results["test/loss"] == pytest.approx(results["val/loss"], rel=0.3)
    assert len(outcome.samples) == 3


def test_results_are_those_of_the_best_checkpoint_on_the_whole_validation_part(small_run):
    outcome = small_run("trainer.max_epochs=2")
    run = runs.load_run(str(outcome.run))
    model = runs.load_model(run)
    tokenizer = tokenizer_from_spec(run.spec["tokenizer"])
    text = Path(run.config["data"]["path"]).read_text()
    begin = round(len(text) * 0.9)
    rows = torch.tensor(tokenizer.encode(text[begin : round(len(text) * 0.95)]).astype("int64"))
    # The part is one row, as it is shorter than two windows of evaluation: a plain forward gives the same loss.
    with torch.no_grad():
        logits, _ = model(rows[None, :-1])
    loss = torch.nn.functional.cross_entropy(logits[0], rows[1:])
    assert outcome.results["val/loss"] == pytest.approx(float(loss), rel=0.02)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_trains_from_the_same_command(small_run, cell):
    losses = column(small_run(f"cell={cell}", "trainer.max_epochs=2", "optimizer.lr=0.01").run, "train/loss")
    assert losses[-1] < losses[0] - 0.2


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer_lowers_the_loss(small_run, optimizer):
    losses = column(small_run(f"optimizer={optimizer}", "trainer.max_epochs=2").run, "train/loss")
    assert losses[-1] < losses[0] - 0.2


@pytest.mark.parametrize("scheduler", options("scheduler"))
def test_every_schedule_sets_the_learning_rate_that_is_reported(small_run, scheduler):
    outcome = small_run(f"scheduler={scheduler}", "trainer.max_epochs=3", "scheduler.warmup_steps=10")
    rates = column(outcome.run, "train/learning_rate")
    assert rates[0] < 0.004  # the warm-up is on
    assert max(rates) <= 0.004
    if scheduler in ("cosine", "step"):
        assert rates[-1] < 0.5 * max(rates)
    if scheduler == "constant":
        assert rates[-1] == pytest.approx(0.004)


@pytest.mark.parametrize("tokenizer", options("tokenizer"))
def test_every_tokenizer_reports_bits_per_character_that_compare(small_run, tokenizer):
    results = small_run(f"tokenizer={tokenizer}", "trainer.max_epochs=2", "tbptt.k1=4", "tbptt.k2=4").results
    per_token, per_character = results["val/bits_per_token"], results["val/bits_per_character"]
    if tokenizer in ("char", "byte"):
        assert per_character == per_token
    else:
        assert per_character < per_token / 2
    assert 0.3 < per_character < 6


def test_lines_are_whole_sequences_with_an_end(small_run):
    outcome = small_run(
        "tbptt.k1=null", "tbptt.k2=null", "optimizer.lr=0.02", "trainer.max_epochs=3", data="text_lines"
    )
    assert outcome.results["val/loss"] < 2.5
    assert all("\n" not in sample for sample in outcome.samples)


def test_tied_weights_one_hot_depth_and_learned_state_train(small_run):
    longer = ["optimizer.lr=0.02", "trainer.max_epochs=3"]
    tied = small_run(*longer, "model.tie_weights=true", "model.num_layers=2", "model.dropout=0.1")
    one_hot = small_run(*longer, "model.embedding_size=null", "model.initial_state=learned")
    assert tied.results["val/loss"] < 2.5
    assert one_hot.results["val/loss"] < 2.5


def test_accumulation_makes_fewer_updates_of_the_mean_gradient(small_run):
    whole = small_run("trainer.accumulate_grad_batches=1").results["train/steps"]
    halved = small_run("trainer.accumulate_grad_batches=2").results["train/steps"]
    assert halved == math.ceil(whole / 2)


def test_bf16_trains_close_to_float32(small_run):
    exact = small_run("trainer.precision=32").results["val/loss"]
    rounded = small_run("trainer.precision=bf16-mixed").results["val/loss"]
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)


def test_clipping_by_value_bounds_every_element(small_run, monkeypatch):
    largest = []
    step = torch.optim.AdamW.step

    def spy(self, closure=None):
        def watched():
            loss = closure()
            largest.append(max(float(p.grad.abs().max()) for group in self.param_groups for p in group["params"]))
            return loss

        return step(self, watched)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    small_run("trainer.gradient_clip_val=0.001", "trainer.gradient_clip_algorithm=value")
    assert largest
    assert max(largest) == pytest.approx(0.001)


def test_plateau_lowers_the_learning_rate_when_validation_stands_still(small_run):
    outcome = small_run("scheduler=plateau", "scheduler.patience=0", "trainer.max_epochs=4", "optimizer.lr=1e-12")
    rates = column(outcome.run, "train/learning_rate")
    assert rates[-1] <= 0.25 * rates[0]


def test_weight_decay_spares_biases(small_config):
    config = small_config("optimizer.weight_decay=0.3")
    config["optimizer"]["lr"] = 0.1
    spec = {"vocab_size": 9}
    task = build_task(config, runs.build_model(config, spec), spec)
    decays = {group["weight_decay"]: group["params"] for group in task.configure_optimizers().param_groups}
    assert all(parameter.ndim > 1 for parameter in decays[0.3])
    assert all(parameter.ndim == 1 for parameter in decays[0.0])
    assert len(decays[0.0]) >= 3


def test_a_learned_initial_state_does_not_decay(small_config):
    config = small_config("model.initial_state=learned")
    spec = {"vocab_size": 9}
    task = build_task(config, runs.build_model(config, spec), spec)
    (spared,) = (group["params"] for group in task.configure_optimizers().param_groups if not group["weight_decay"])
    assert {id(parameter) for parameter in task.model.recurrent.learned_state} <= {id(p) for p in spared}


def test_early_stopping_ends_before_the_last_epoch(small_run):
    outcome = small_run(
        "callbacks=early_stopping", "callbacks.early_stopping.patience=1", "trainer.max_epochs=9", "optimizer.lr=1e-12"
    )
    rows = [row for row in read_metrics(outcome.run) if row["val/loss"]]
    assert 1 < len(rows) < 9


def test_the_same_seed_gives_the_same_run_and_another_seed_another(small_run):
    first, second, other = (small_run(f"seed={seed}", "model.output_dropout=0.2").results for seed in (1, 1, 2))
    assert first["val/loss"] == second["val/loss"]
    assert first["val/loss"] != other["val/loss"]


def test_a_budget_of_seconds_stops_and_anneals_by_time(small_run):
    outcome = small_run("trainer.max_epochs=null", "trainer.max_seconds=2", "scheduler.warmup_steps=0")
    rates = column(outcome.run, "train/learning_rate")
    assert 2 <= outcome.results["train/seconds"] < 6
    assert rates[0] > 0.9 * 0.004
    assert rates[-1] < 0.1 * 0.004


def test_a_part_of_each_epoch_is_an_epoch_with_its_validation_and_its_last_update(small_run, capsys):
    whole = small_run().results["train/steps"]
    assert whole % 7
    outcome = small_run("trainer.limit_train_batches=7", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=3")
    assert "12 updates" in capsys.readouterr().err
    assert outcome.results["train/steps"] == 12
    assert [row["step"] for row in read_metrics(outcome.run) if row["val/loss"]] == ["4", "8", "12"]
    assert runs.load_checkpoint(outcome.run / "checkpoints" / "last.ckpt")["global_step"] == 12


def test_a_validation_that_comes_to_no_number_is_told_and_never_the_best(small_run, capsys):
    keys = ["optimizer=sgd", "optimizer.lr=3e38", "trainer.gradient_clip_val=null", "scheduler=constant"]
    keys += ["callbacks.samples=null"]  # which would be written by such a model
    outcome = small_run(*keys, "trainer.max_epochs=null", "trainer.max_steps=1")
    assert re.search(r"val/loss is (inf|nan) at update 1: such a model is never the best", capsys.readouterr().err)
    assert not (outcome.run / "checkpoints" / "best.ckpt").exists()
    results = json.loads((outcome.run / "results.json").read_text(), parse_constant=pytest.fail)
    assert results["val/loss"] is None


def test_max_steps_ends_with_a_validation(small_run):
    outcome = small_run("trainer.max_epochs=null", "trainer.max_steps=7")
    assert outcome.results["train/steps"] == 7
    assert [row["step"] for row in read_metrics(outcome.run) if row["val/loss"]] == ["7"]


def test_a_loss_that_is_not_finite_stops_the_run_and_the_last_good_checkpoint_stays(small_config, monkeypatch):
    config = small_config("optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null", "cell=elman")
    config["cell"]["activation"] = config["model"]["cell"]["activation"] = "identity"
    config["callbacks"]["checkpoints"]["every_n_steps"] = 1
    with pytest.raises(UserError, match=r"(loss|norm) is (nan|inf) at step \d+ \(learning rate .+, last gradient norm"):
        train(config)
    (run,) = (path for path in Path(config["output_dir"], "char_lm").iterdir())
    weights = runs.load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_tensorboard_holds_scalars_samples_and_hyperparameters(small_run):
    run = small_run("trainer.max_epochs=2").run
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    scalars = set(events.Tags()["scalars"])
    names = ("loss", "bits_per_character", "perplexity")
    assert {f"{split}/{name}" for split in ("train", "val") for name in names} <= scalars
    assert {"train/tokens_per_second", "train/gradient_norm", "train/learning_rate", "hparams/val/loss"} <= scalars
    assert [scalar.value for scalar in events.Scalars("train/loss")] == pytest.approx(
        column(run, "train/loss"), rel=1e-5
    )
    texts = [tag for tag in events.Tags()["tensors"] if tag.startswith("sample/")]
    assert len(texts) == 3
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_the_configuration_is_plain_and_says_all(small_run):
    config = yaml.safe_load((small_run("cell=gru", "seed=5").run / "config.yaml").read_text())
    assert config["seed"] == 5
    assert config["model"]["cell"]["_target_"] == "seqmodels.nn.GRUCell"
    assert config["data"]["tbptt"]["k1"] == 16
    assert "${" not in json.dumps(config)

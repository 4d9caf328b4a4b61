"""Forecasting, run from configuration to figures: learning, scheduled sampling, truncation, paths, resuming, predicting."""

import csv
import json
import math
import shutil

import pytest
import torch

from seqmodels import runs
from seqmodels.building import build
from seqmodels.callbacks import Checkpoints
from seqmodels.commands.composing import compose, options
from seqmodels.commands.main import main
from seqmodels.errors import UserError
from seqmodels.evaluation import build_task, evaluate
from seqmodels.resuming import resumed_config
from seqmodels.tasks.measures.forecasts import Forecasts
from seqmodels.tasks.schedules import Progress
from seqmodels.trainers import read_settings
from seqmodels.training import train

SMALL = [
    "experiment=sunspots",
    "data=series_file",
    "data.context=12",
    "data.horizon=4",
    "data.season=8",
    "data.batch_size=16",
    "model.hidden_size=12",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.max_steps=null",
    "callbacks.pictures=null",
    "callbacks.monitor.every_n_steps=2",
]


@pytest.fixture(scope="module")
def wave(tmp_path_factory):
    """A file with a wave of eight steps on a slow one: neither the last value nor the last season forecasts it."""
    path = tmp_path_factory.mktemp("series") / "wave.csv"
    values = [math.sin(math.pi * t / 4) + 3 * math.sin(t / 9) + 5 for t in range(160)]
    path.write_text("\n".join(["t,x", *(f"{t},{value:.5f}" for t, value in enumerate(values))]) + "\n")
    return path


@pytest.fixture(autouse=True)
def _unpictured(request, monkeypatch):
    """Leaves out the pictures, which take longer than a training of a second, where they are not what is tested."""
    if "pictured" not in request.fixturenames:
        monkeypatch.setattr(Forecasts, "pictures", lambda self: {})


@pytest.fixture
def pictured():
    """Leaves the pictures in."""


@pytest.fixture
def config(wave, tmp_path):
    """Composes a configuration that trains in a second."""
    return lambda *overrides: compose([*SMALL, f"data.path={wave}", f"output_dir={tmp_path / 'outputs'}", *overrides])


def task_and_batch(config, **provided):
    """Builds a task and the first training batch of its data."""
    data = build(config["data"], "data")
    data.setup("fit")
    torch.manual_seed(0)
    task = build_task(config, runs.build_model(config, data.spec), data.spec)
    return task, next(iter(data.train_dataloader()))


@pytest.mark.parametrize(
    "form",
    [
        ["model.direct=true"],
        ["model.direct=false", "loss=gaussian", "task.num_paths=20"],
        ["model.direct=false", "loss=mse", "teacher_forcing=linear", "cell=native_gru"],
    ],
)
def test_it_learns_to_beat_both_simple_forecasts_and_reports_them(config, form):
    results = train(config(*form, "trainer.max_epochs=12", "optimizer.lr=0.04", "scheduler.warmup_steps=5")).results
    for part in ("val", "test"):
        assert results[f"{part}/mase"] < 0.7 * results[f"{part}/mase_seasonal_naive"]
        assert results[f"{part}/mase"] < 0.7 * results[f"{part}/mase_last_value"]
        assert ("loss=mse" in form) == (f"{part}/coverage_80" not in results)


@pytest.mark.parametrize(
    ("step", "form"),
    [
        (3, ["loss=mse", "teacher_forcing.value=0.5"]),
        (10, ["loss=gaussian", "teacher_forcing=inverse_sigmoid", "teacher_forcing.per=sequence", "task.feed=sample"]),
        (5, ["loss=quantile", "teacher_forcing=linear", "task.num_paths=5", "model.output_dropout=0.2", "tbptt.k2=6"]),
    ],
)
def test_resumed_within_an_epoch_of_scheduled_sampling_it_ends_with_the_same_bits(
    config, step, form, monkeypatch, tmp_path
):
    archive = tmp_path / "archive"
    archive.mkdir()
    save_last = Checkpoints.save_last

    def keep(self, trainer):
        save_last(self, trainer)
        shutil.copy(self.folder / "last.ckpt", archive / f"{trainer.global_step:04d}.kept")

    monkeypatch.setattr(Checkpoints, "save_last", keep)
    changed = config(*form, "model.direct=false", "trainer.max_epochs=2", "callbacks.checkpoints.every_n_steps=1")
    undisturbed = train(changed)
    expected = runs.load_checkpoint(undisturbed.run / "checkpoints" / "last.ckpt")["state_dict"]
    assert undisturbed.results["train/steps"] == 16
    shutil.copy(archive / f"{step:04d}.kept", undisturbed.run / "checkpoints" / "last.ckpt")
    resumed = runs.load_run(str(undisturbed.run), to_resume=True)
    outcome = train(resumed_config(resumed.config, changed, []), resumed)
    weights = runs.load_checkpoint(outcome.run / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    final = {name: value for name, value in outcome.results.items() if "second" not in name}
    assert final.items() <= undisturbed.results.items()


def test_the_ratio_of_teacher_forcing_decides_what_is_read(config, monkeypatch):
    def forced_share(*overrides, progress):
        task, window = task_and_batch(config("model.direct=false", *overrides))
        monkeypatch.setattr(type(task), "progress", progress)
        given = []
        forecast = task.model.forecast
        task.model.forecast = lambda inputs, feed, forced, skipped: (
            given.append(forced) or forecast(inputs, feed, forced, skipped)
        )
        task.training_step(window, 0)
        truth = window.targets[:, -4:-1]
        assert torch.equal(given[0][~given[0].isnan()], truth[~given[0].isnan()])
        return 1 - float(given[0].isnan().float().mean())

    start, middle = Progress(0, 0, 0.0), Progress(50, 5, 0.5)
    assert forced_share("teacher_forcing.value=1.0", progress=start) == 1
    assert forced_share("teacher_forcing.value=0.0", progress=start) == 0
    assert forced_share("teacher_forcing=linear", progress=start) == 1
    assert 0 < forced_share("teacher_forcing=linear", progress=middle) < 1
    assert forced_share("teacher_forcing=linear", "teacher_forcing.slope=0.02", progress=middle) == 0


def test_a_truth_that_is_missing_leads_to_no_broken_gradient(config, wave, tmp_path):
    lines = wave.read_text().splitlines()
    lines[30] = lines[30].split(",")[0] + ","
    path = tmp_path / "gap.csv"
    path.write_text("\n".join(lines) + "\n")
    for missing in ("interpolate", "mask"):
        changed = config("model.direct=false", "loss=mse", f"data.missing={missing}", f"data.path={path}")
        task, window = task_and_batch(changed)
        assert bool(window.targets.isnan().any())
        loss = task.training_step(window, 0)
        loss.backward()
        assert all(bool(parameter.grad.isfinite().all()) for parameter in task.model.parameters())


def test_evaluation_runs_free_whatever_training_is_forced_to(config):
    figures = []
    for ratio in (0.0, 1.0):
        changed = config("model.direct=false", f"teacher_forcing.value={ratio}")
        task, window = task_and_batch(changed)
        task.model.eval()
        task.on_validation_epoch_start()
        loss = task.loss
        with torch.no_grad():
            task.validation_step(window, 0)
            outputs = task.model.forecast(window.inputs, lambda out, loss=loss: loss.describe(out)["value"])
        figures.append(task.evaluation_metrics("val"))
        total, count = loss(outputs[:, -4:], window.targets[:, -4:])
        assert figures[-1]["loss"] == pytest.approx(float(total / count), rel=1e-6)
    assert figures[0] == figures[1]


@pytest.mark.parametrize("direct", ["true", "false"])
def test_k2_limits_how_far_the_gradient_of_a_training_step_goes_back(config, direct):
    task, whole = task_and_batch(config(f"model.direct={direct}"))
    limited, window = task_and_batch(config(f"model.direct={direct}", "tbptt.k2=7"))
    assert torch.equal(window.inputs, whole.inputs)
    assert window.num_without_gradient == 8
    losses = []
    for each, batch in ((task, whole), (limited, window)):
        inputs = batch.inputs.clone().requires_grad_()
        loss = each.training_step(batch._replace(inputs=inputs), 0)
        (gradient,) = torch.autograd.grad(loss, inputs)
        reached = (gradient != 0).any(0).any(-1)
        assert bool(reached[: batch.num_without_gradient].any()) is False
        assert bool(reached[batch.num_without_gradient : 12].all())
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_context_is_scored_where_that_is_asked_for(config):
    def loss_of(score):
        task, window = task_and_batch(config("model.direct=false", "loss=mse", f"task.score_context={score}"))
        return task, window, float(task.training_step(window, 0).detach())

    task, window, alone = loss_of("false")
    _, _, with_context = loss_of("true")
    outputs = task.model.forecast(window.inputs, None, window.targets[:, -4:-1]).detach()
    errors = (outputs - window.targets).square()
    assert alone == pytest.approx(float(errors[:, -4:].mean()), rel=1e-5)
    assert with_context == pytest.approx(float(errors.mean()), rel=1e-5)


def test_paths_are_drawn_step_by_step_from_a_seed_of_their_own(config):
    task, window = task_and_batch(config("model.direct=false", "loss=gaussian", "task.num_paths=4000"))
    task.model.eval()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.no_grad():
        paths = task.paths(window.inputs)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(task.paths(window.inputs), paths)
        outputs = task.model.forecast(window.inputs, lambda out: task.loss.describe(out)["value"])[:, -4:]
        described = task.describe(window, outputs)
    assert paths.shape == (4000, 16, 4, 1)
    # The first step depends on the context alone: its draws have the quantiles of its distribution.
    exact = task.loss.describe(outputs)["quantiles"]
    torch.testing.assert_close(described["quantiles"][:, 0].float(), exact[:, 0], atol=0.1, rtol=0.05)
    torch.testing.assert_close(
        described["quantiles"].movedim(-1, 0), paths.double().quantile(described["levels"], dim=0)
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.direct=true", "task.num_paths=5"], "task.num_paths=5.*model.direct=true"),
        (["model.direct=true", "task.score_context=true"], "task.score_context=True.*model.direct=true"),
        (["model.direct=false", "loss=mse", "task.num_paths=5"], "task.num_paths=5: MSE.*loss=gaussian"),
        (["task.num_paths=-1"], "task.num_paths=-1"),
        (["task.feed=guess"], "task.feed=guess: expected one of point, sample"),
        (["teacher_forcing.value=2"], "teacher_forcing.value=2"),
        (["teacher_forcing=linear", "teacher_forcing.per=word"], "teacher_forcing.per=word: expected one of token"),
        (["loss=cross_entropy"], "CrossEntropy.*numbers.*loss="),
        (["data.horizon=400"], "data.horizon=400"),
        (["tbptt.k1=5"], "tbptt.k1=5"),
        (["model.horizon=3"], None),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_written(config, overrides, words, tmp_path):
    if words is None:
        with pytest.raises(Exception, match=r"model\.horizon|horizon"):
            train(config(*overrides))
    else:
        with pytest.raises(UserError, match=words) as error:
            train(config(*overrides))
        assert "\n" not in str(error.value)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("name", options("teacher_forcing"))
def test_every_schedule_of_teacher_forcing_can_be_chosen(config, name):
    task, _ = task_and_batch(config("model.direct=false", f"teacher_forcing={name}"))
    assert type(task.teacher_forcing).__name__.lower() == name.replace("_", "") + "forcing"
    assert 0 <= task.teacher_forcing.ratio(Progress(3, 1, 0.2)) <= 1


def test_a_run_is_measured_again_from_its_directory_alone(config, pictured):
    outcome = train(config("data.missing=mask", "data.relative=true", "data.transform=log1p"))
    assert {path.name for path in (outcome.run / "pictures").iterdir()} == {"test_forecast.png", "val_forecast.png"}
    run = runs.load_run(str(outcome.run))
    settings = read_settings(run.config["trainer"])
    again = evaluate(run, "test", {}, settings)
    assert {name: outcome.results[name] for name in again} == again
    every_third = evaluate(run, "test", {"stride": 3}, settings)
    assert every_third["test/mae"] != again["test/mae"]
    with pytest.raises(UserError, match=r"data\.horizon=5: belongs to the run"):
        evaluate(run, "test", {"horizon": 5}, settings)


@pytest.mark.parametrize("direct", ["true", "false"])
def test_predicting_from_a_history_gives_what_evaluation_saw(config, wave, tmp_path, direct):
    paths = [] if direct == "true" else ["task.num_paths=10"]
    outcome = train(config(f"model.direct={direct}", "data.transform=sqrt", *paths))
    run = runs.load_run(str(outcome.run))
    lines = wave.read_text().splitlines()
    history, output = tmp_path / "history.csv", tmp_path / "forecast.csv"
    history.write_text("\n".join(lines[:-4]) + "\n")
    assert main(["predict", f"run={outcome.run}", f"input={history}", f"output={output}"]) == 0
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["time"] for row in rows] == ["156", "157", "158", "159"]
    data = build(run.config["data"], "data", spec=run.spec)
    data.setup("validate")
    window = list(data.evaluation_dataloader("test"))[-1]
    task = build_task(run.config, runs.load_model(run), run.spec).eval()
    with torch.no_grad():
        expected = task.predict_rows(window, run.spec)[-1]
    for row, wanted in zip(rows, expected, strict=True):
        assert float(row["x"]) == pytest.approx(wanted["x"], rel=1e-4)
        if direct == "true":  # paths are drawn for a whole batch, and differ with it
            assert float(row["x_q0.9"]) == pytest.approx(wanted["x_q0.9"], rel=1e-4)
        low, high = float(row["x_q0.1"]), float(row["x_q0.9"])
        assert low <= high
        assert low >= 0  # a square root was taken


def test_a_history_that_cannot_be_read_leaves_the_others_predicted(config, tmp_path):
    def rows(name, count, broken=None):
        return [f"{t},{name},{'x' if t == broken else 2 + math.sin(t)}" for t in range(count)]

    path = tmp_path / "many.csv"
    path.write_text("\n".join(["t,who,x", *rows("a", 80), *rows("b", 80)]) + "\n")
    outcome = train(config(f"data.path={path}", "data.id_column=who", "data.target_columns=[x]"))
    history, output = tmp_path / "history.csv", tmp_path / "forecast.jsonl"
    history.write_text("\n".join(["t,who,x", *rows("a", 20, broken=5), *rows("new", 20), *rows("b", 5)]) + "\n")
    assert main(["predict", f"run={outcome.run}", f"input={history}", f"output={output}"]) == 0
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["line"] for row in found] == [2, 22, 22, 22, 22, 42]
    assert "line 7: column 'x': 'x' is no number" in found[0]["problem"]
    assert [(row["series"], row["time"]) for row in found[1:5]] == [("new", str(t)) for t in range(20, 24)]
    assert "5 rows; expected at least data.context=12" in found[5]["problem"]

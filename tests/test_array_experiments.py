"""Experiments on arrays and generated problems: each learns a batch by heart, and runs from end to end."""

import csv
import json

import numpy as np
import pytest
import torch

from seqmodels.building import build
from seqmodels.commands.composing import CONFIG_DIR, compose, options
from seqmodels.evaluation import build_task
from seqmodels.runs import build_model
from seqmodels.training import train

SHORTER = {
    "digits_rows": [],
    "digits_pixels": [],
    "japanese_vowels": ["data.path={ts}", "data.val_fraction=0.1"],
    "basic_motions": ["data.path={ts}"],
    "clips": ["data.path={clips}", "frontend.channels=[8,8]"],
    "adding": ["data.problem.length=12"],
    "memory/multiplication": ["data.problem.length=12"],
    "memory/copy": ["data.problem.length=3", "data.problem.num_symbols=3"],
    "memory/temporal_order": ["data.problem.length=10"],
    "memory/delayed_recall": ["data.problem.length=10"],
    "memory/embedded_reber": [],
    "parity": ["data.problem.length=6"],
    "binary_addition": ["data.problem.length=6"],
    "moving_digits": ["data.problem.length=4", "frontend.channels=[8,8]"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A `.ts` file of two classes and a file of clips, by the names that `SHORTER` uses."""
    folder = tmp_path_factory.mktemp("arrays")
    draw = np.random.default_rng(0)
    lines = ["@dimensions 2", "@classLabel true up down", "@data"]
    for number in range(16):
        values = draw.normal(size=(2, 5 + number % 3)).round(3)
        lines.append(":".join([*(",".join(map(str, row)) for row in values), ["up", "down"][number % 2]]))
    (folder / "a.ts").write_text("\n".join(lines) + "\n")
    np.savez(folder / "clips.npz", x=draw.random((10, 4, 8, 8)), y=draw.integers(3, size=(10, 4)))
    return {"ts": str(folder / "a.ts"), "clips": str(folder / "clips.npz")}


def small(name, files, *overrides):
    shorter = [override.format(**files) for override in SHORTER[name]]
    return compose([f"experiment={name}", *shorter, *overrides])


def test_none_is_left_out():
    ours = {"digits", "arrays", "clips", "adding", "multiplication", "copy", "temporal_order", "delayed_recall"}
    ours |= {"embedded_reber", "parity", "binary_addition", "moving_digits"}
    texts = {name: (CONFIG_DIR / "experiment" / f"{name}.yaml").read_text() for name in options("experiment")}
    found = {name for name, text in texts.items() if any(f"override /data: {data}\n" in text for data in ours)}
    assert found == set(SHORTER)
    twins = {name for name, text in texts.items() if "  - /experiment/" in text}
    assert {"memory/adding", "memory/parity", "memory/binary_addition"} <= twins
    assert compose(["experiment=memory/parity"])["name"] == "memory/parity"
    assert ours <= set(options("data"))


@pytest.mark.parametrize("name", SHORTER)
def test_a_batch_is_learned_by_heart(name, files):
    still = ["model.input_dropout=0", "model.output_dropout=0", "data.batch_size=8", "model.hidden_size=32"]
    config = small(name, files, *still)
    torch.manual_seed(1)
    data = build(config["data"], "data", spec=None)
    data.setup("fit")
    task = build_task(config, build_model(config, data.spec), data.spec)
    window = next(iter(data.train_dataloader()))
    targets = window.targets
    if name == "moving_digits":  # where the digit will go cannot be known, but by heart it can
        targets = targets[:, 1:]
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        _, outputs, _ = task.run(window, None)
        total, count = task.loss(outputs[:, 1:] if name == "moving_digits" else outputs, targets)
        losses.append(float((total / count).detach()))
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
    assert losses[-1] < 0.25 * losses[0], losses


def test_a_run_reports_what_was_asked_and_is_evaluated_alike(tmp_path, files):
    sizes = ["data.train_size=64", "data.val_size=20", "data.test_size=30", "trainer=cpu", "trainer.max_epochs=1"]
    outcome = train(small("adding", files, *sizes, f"output_dir={tmp_path}"))
    assert {"test/mse", "test/mse_constant", "test/solved"} <= set(outcome.results)
    assert 0.1 < outcome.results["test/mse_constant"] < 0.25

    outcome = train(small("moving_digits", files, *sizes, f"output_dir={tmp_path}"))
    assert {"test/direction_accuracy_from_frame_2", "test/digit_accuracy_frame_4"} <= set(outcome.results)
    assert json.loads((outcome.run / "results.json").read_text()) == outcome.results


def test_real_targets_of_any_size_are_learned_and_predicted(tmp_path):
    from seqmodels.prediction import predict, write_rows
    from seqmodels.runs import load_run

    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 6, 1))
    np.savez(tmp_path / "a.npz", x=x, y=50000 + 3000 * x[:, -1, 0])
    config = compose(
        [
            "data=arrays",
            f"data.path={tmp_path / 'a.npz'}",
            "model=many_to_one",
            "task=many_to_one",
            "frontend=identity",
            "loss=mse",
            "cell=lstm",
            "model.hidden_size=16",
            "data.batch_size=16",
            "optimizer.lr=0.02",
            "trainer=cpu",
            "trainer.max_epochs=12",
            f"output_dir={tmp_path}",
        ]
    )
    outcome = train(config)
    assert outcome.results["test/mse"] < 0.1 * outcome.results["test/mse_constant"]
    assert outcome.results["test/mse_constant"] > 1e6

    rows = list(predict(load_run(str(outcome.run)), str(tmp_path / "a.npz"), {}, 32, "cpu"))
    write_rows(rows, str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open() as file:
        predicted = [float(row["target"]) for row in csv.DictReader(file)]
    errors = np.array(predicted) - (50000 + 3000 * x[:, -1, 0])
    assert np.sqrt(np.mean(errors**2)) < 1000

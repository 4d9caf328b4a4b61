"""NaN and infinity in data, loss and gradients: one line, and the last good checkpoint stays."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seqmodels import runs
from seqmodels.commands.composing import compose
from seqmodels.errors import UserError
from seqmodels.tasks import SequenceTask
from seqmodels.training import train

SMALL = ["trainer=cpu", "model.hidden_size=4", "data.batch_size=4", "trainer.max_steps=8", "callbacks.pictures=null"]
NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
VALUES = {**NOT_FINITE, "too large for float32": 1e300}


def arrays(folder, value):
    x = np.random.default_rng(0).random((40, 6, 2))
    x[7, 3, 1] = value
    np.savez(folder / "a.npz", x=x, y=np.arange(40) % 2)
    return ["experiment=digits_rows", "data=arrays", f"data.path={folder / 'a.npz'}"], ["a.npz", "8", "data.missing="]


def targets(folder, value):
    x, y = np.random.default_rng(0).random((40, 6, 2)).astype(np.float32), np.arange(40) / 3
    y[5] = value
    np.savez(folder / "a.npz", x=x, y=y)
    return ["experiment=adding", "data=arrays", f"data.path={folder / 'a.npz'}"], ["a.npz", "6"]


def series(folder, value):
    lines = [f"{n},{value if n == 30 else n % 7}" for n in range(100)]
    (folder / "s.csv").write_text("\n".join(["time,sales", *lines]) + "\n")
    return ["experiment=sunspots", "data=series_file", f"data.path={folder / 's.csv'}"], ["s.csv", "sales"]


def labels(folder, value):
    lines = [f"a flat of {n} rooms,{value if n == 30 else n}" for n in range(60)]
    (folder / "l.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    given = ["experiment=sentiment", "data=labelled_text", f"data.path={folder / 'l.csv'}", "loss=mse"]
    given += ["data.label_kind=numbers", "~task.measures.bag_of_words"]
    return given, ["l.csv line 32", "label"]


FORMATS = {"arrays": arrays, "targets": targets, "series": series, "labels": labels}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("kind", FORMATS)
def test_in_a_file_the_one_line_names_the_file_and_the_place(tmp_path, kind, value):
    given, named = FORMATS[kind](tmp_path, VALUES[value])
    with pytest.raises(UserError) as caught:
        train(compose([*given, *SMALL, f"output_dir={tmp_path / 'outputs'}"]))
    assert all(word in str(caught.value) for word in named), caught.value
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "outputs").exists()


def series_config(tmp_path, *overrides):
    return compose(["experiment=adding", "data.train_size=40", "data.val_size=4", "data.test_size=4", *SMALL, *overrides,
                    "data.problem.length=6", "callbacks.checkpoints.every_n_steps=1", f"output_dir={tmp_path / 'o'}"])  # fmt: skip


def spoiled_after(monkeypatch, name, method, updates, spoil):
    """Lets a method of the task do its work, and from the update `updates` on spoils what it works on."""
    original = getattr(SequenceTask, method)

    def spoiling(self, *arguments):
        if self.global_step < updates:
            return original(self, *arguments)
        return spoil(original, self, *arguments)

    monkeypatch.setattr(SequenceTask, method, spoiling)


def last_good(tmp_path):
    checkpoint = runs.load_checkpoint(Path(tmp_path, "o", "latest", "checkpoints", "last.ckpt"))
    assert all(bool(torch.isfinite(value).all()) for value in checkpoint["state_dict"].values())
    return checkpoint["global_step"]


@pytest.mark.parametrize("value", NOT_FINITE)
def test_in_a_batch_the_one_line_names_its_row_and_step(tmp_path, monkeypatch, value):
    def spoil(original, self, window, batch_idx):
        window.inputs[2, 3, 0] = NOT_FINITE[value]
        return original(self, window, batch_idx)

    spoiled_after(monkeypatch, "inputs", "training_step", 3, spoil)
    with pytest.raises(
        UserError, match=f"data: {value} among the inputs, in row 3, step 4, of batch 4 in epoch 1; the"
    ):
        train(series_config(tmp_path))
    assert last_good(tmp_path) == 3


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_in_the_loss(tmp_path, monkeypatch, value):
    def spoil(original, self, loss, outputs, window):
        total, count = original(self, loss, outputs, window)
        return total * NOT_FINITE[value], count

    spoiled_after(monkeypatch, "loss", "score", 3, spoil)
    with pytest.raises(
        UserError, match=rf"the loss is {value} at step 3 \(learning rate .*last good checkpoint is kept"
    ):
        train(series_config(tmp_path))
    assert last_good(tmp_path) == 3


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_in_the_gradient(tmp_path, monkeypatch, value):
    def spoil(original, self, window, batch_idx):
        loss = original(self, window, batch_idx)
        loss.register_hook(lambda gradient: gradient * NOT_FINITE[value])
        return loss

    spoiled_after(monkeypatch, "gradient", "training_step", 3, spoil)
    with pytest.raises(UserError, match=r"the gradient norm is (nan|inf) at step 3 \(.*last good checkpoint is kept"):
        train(series_config(tmp_path))
    assert last_good(tmp_path) == 3

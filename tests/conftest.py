"""What all tests share: one thread, a cache of their own, a small corpus, runs of a few steps."""

import os
import random
import shutil

os.environ["OMP_NUM_THREADS"] = "1"  # two busy processes on two cores spin against each other otherwise

import pytest
import torch

from seqmodels.callbacks import Checkpoints
from seqmodels.commands.composing import compose
from seqmodels.training import train

torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """Encoded corpora go to a folder that the tests leave behind."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["SEQMODELS_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A text file with something to learn: sentences of a small grammar."""
    draw = random.Random(0)
    subjects, verbs, objects = ["the cat", "a dog", "my bird"], ["sees", "likes", "hears"], ["fish", "rain", "music"]
    lines = [f"{draw.choice(subjects)} {draw.choice(verbs)} {draw.choice(objects)}." for _ in range(200)]
    path = tmp_path_factory.mktemp("corpus") / "sentences.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


SMALL = [
    "model.hidden_size=12",
    "model.embedding_size=6",
    "data.batch_size=4",
    "tbptt.k1=16",
    "tbptt.k2=16",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "callbacks.monitor.every_n_steps=5",
    "callbacks.samples.length=20",
]


@pytest.fixture
def small_config(corpus, tmp_path):
    """Composes a configuration that trains in a second: `small_config("cell=gru", ...)`."""

    def compose_small(*overrides, data="text_file", path=corpus):
        return compose([f"data={data}", f"data.path={path}", f"output_dir={tmp_path / 'outputs'}", *SMALL, *overrides])

    return compose_small


@pytest.fixture
def archive(monkeypatch, tmp_path):
    """Keeps every `last.ckpt` that is written, by step; of several of one step the first."""
    folder = tmp_path / "archive"
    folder.mkdir()
    save_last = Checkpoints.save_last

    def keep(self, trainer):
        save_last(self, trainer)
        kept = folder / f"{trainer.global_step:04d}.ckpt"
        if not kept.exists():
            shutil.copy(self.folder / "last.ckpt", kept)

    monkeypatch.setattr(Checkpoints, "save_last", keep)
    return folder


@pytest.fixture(scope="session")
def train_small():
    """Trains such a configuration in any folder: `train_small(path, folder, "cell=gru", ...)` gives the run's directory."""

    def make(path, folder, *overrides):
        given = ["data=text_file", f"data.path={path}", f"output_dir={folder / 'outputs'}", *SMALL, *overrides]
        return train(compose(given)).run

    return make


@pytest.fixture
def small_run(small_config):
    """Trains such a configuration: `small_run("cell=gru", ...)`."""
    return lambda *overrides, **keywords: train(small_config(*overrides, **keywords))

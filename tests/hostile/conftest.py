"""Small real runs to be spoilt, a limit on memory, and a file that appears where anything was executed."""

import random
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from seqmodels import evaluation, runs
from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.trainers import TrainerSettings
from seqmodels.training import train

CANARY = Path("exploded")
SIZES = ["trainer=cpu", "trainer.max_steps=6", "model.hidden_size=8", "callbacks.samples=null", "data.batch_size=8"]


@contextmanager
def limited(more=1 << 30):
    """Lets the process take so many bytes more, and none beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(scope="session")
def originals(tmp_path_factory, corpus):
    """One run of each kind that the commands use, with a file to predict: text, labelled texts, pairs."""
    folder, draw = tmp_path_factory.mktemp("originals"), random.Random(0)
    rows = [
        f"{draw.choice(['good', 'bad'])} {draw.choice(['cat', 'dog'])},{draw.choice(['up', 'down'])}" for _ in range(40)
    ]
    labelled = folder / "rows.csv"
    labelled.write_text("\n".join(["text,label", *rows]) + "\n")
    words = ["".join(draw.choice("abc") for _ in range(draw.randint(2, 5))) for _ in range(40)]
    pairs = folder / "pairs.tsv"
    pairs.write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
    kinds = {
        "text": (corpus, "data=text_file", "tbptt.k1=16", "tbptt.k2=16"),
        "labelled": (labelled, "data=labelled_text", "model=many_to_one", "task=many_to_one"),
        "pairs": (pairs, "data=parallel_text", "model=encoder_decoder", "task=sequence_to_sequence"),
    }
    made = {}
    for kind, (path, *choices) in kinds.items():
        config = compose([*choices, f"data.path={path}", f"name={kind}", f"output_dir={folder / 'outputs'}", *SIZES])
        made[kind] = (train(config).run, path)
    return made


@pytest.fixture
def run(originals, tmp_path, monkeypatch):
    """A copy of a run over text in a folder of its own, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(originals["text"][0], tmp_path / "run"))


@pytest.fixture
def refused(capsys):
    """Runs a command that must be refused: one line, exit code 1, little memory, nothing executed; returns the line."""

    def call(*arguments, more=1 << 30):
        capsys.readouterr()
        with limited(more):
            assert main([str(argument) for argument in arguments]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        lines = [line for line in lines if not line.startswith("warning: ")]
        assert len(lines) == 1, lines
        assert not CANARY.exists()
        return lines[0].removeprefix("seqmodels: ")

    return call


def resumed(run):
    """Goes on with a run, for a few updates."""
    loaded = runs.load_run(str(run), to_resume=True)
    return train({**loaded.config, "trainer": {**loaded.config["trainer"], "max_steps": 8}}, resumed=loaded)


def change(run, place, value):
    """Sets a key of a run's configuration."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    *outer, last = place.split(".")
    node = config
    for key in outer:
        node = node[key]
    node[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def measure(run):
    """Measures a run as `evaluate` does."""
    return evaluation.evaluate(runs.load_run(str(run)), None, {}, TrainerSettings(accelerator="cpu", max_epochs=1))

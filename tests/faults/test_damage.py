"""Checkpoints that are cut short, flipped in a byte or empty are found, told, and the one before is taken."""

import random
import shutil
from pathlib import Path

import pytest
import torch
from same_bits import same

from seqmodels import runs
from seqmodels.commands.main import main
from seqmodels.errors import UserError


@pytest.fixture(scope="module")
def trained(corpus, train_small, tmp_path_factory):
    return train_small(corpus, tmp_path_factory.mktemp("trained"), "callbacks.checkpoints.every_n_steps=5")


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "run"))


def cut(content):
    return content[: len(content) * 2 // 3]


def flipped(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {"cut short": cut, "flipped": flipped, "empty": lambda content: b"", "zeroed": lambda c: bytes(len(c))}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_last_checkpoint_is_told_and_the_one_before_is_gone_on_from(run, capsys, damage):
    last, previous = (run / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt"))
    expected = runs.load_checkpoint(last)
    steps = [runs.load_checkpoint(path)["global_step"] for path in (last, previous)]
    assert steps[1] < steps[0]  # two checkpoints, not two names of one
    last.write_bytes(DAMAGES[damage](last.read_bytes()))
    resumed = runs.load_run(str(run), to_resume=True)
    assert resumed.checkpoint["global_step"] == steps[1]
    told = capsys.readouterr().err
    assert "last.ckpt: damaged" in told
    assert "taking the one before" in told
    assert main(["train", f"resume={run}"]) == 0
    assert same(runs.load_checkpoint(last)["state_dict"], expected["state_dict"])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_best_checkpoint_is_told_and_the_last_is_taken(run, capsys, damage):
    best = run / "checkpoints" / "best.ckpt"
    best.write_bytes(DAMAGES[damage](best.read_bytes()))
    assert runs.load_run(str(run)).checkpoint_path.name == "last.ckpt"
    assert "best.ckpt: damaged" in capsys.readouterr().err


def test_with_all_damaged_there_is_one_line(run):
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(UserError, match=r"damaged"):
        runs.load_run(str(run), to_resume=True)


@pytest.mark.parametrize("times", [60, pytest.param(4000, marks=pytest.mark.faults)])
def test_no_flipped_bit_goes_unnoticed(run, times):
    """Wherever it falls: it is refused in one line, or it fell between the data and the checkpoint is the same."""
    last, draw = run / "checkpoints" / "last.ckpt", random.Random(times)
    content, expected = last.read_bytes(), runs.load_checkpoint(last)
    refused = 0
    for _ in range(times):
        place = draw.randrange(len(content))
        last.write_bytes(content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :])
        try:
            assert same(runs.load_checkpoint(last), expected), f"byte {place}"
        except UserError:
            refused += 1
    assert refused > times / 2


@pytest.mark.parametrize("times", [40, pytest.param(2000, marks=pytest.mark.faults)])
def test_no_cut_goes_unnoticed(run, times):
    last, draw = run / "checkpoints" / "last.ckpt", random.Random(times)
    content = last.read_bytes()
    for _ in range(times):
        last.write_bytes(content[: draw.randrange(len(content))])
        with pytest.raises(UserError, match=r"last\.ckpt: "):
            runs.load_checkpoint(last)


def test_a_checkpoint_from_elsewhere_is_no_checkpoint(run):
    torch.save({"weights": torch.ones(2)}, run / "checkpoints" / "last.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of this program"):
        runs.load_checkpoint(run / "checkpoints" / "last.ckpt")

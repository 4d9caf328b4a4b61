"""Checkpoints of a stranger's: nothing in them is executed, and none takes more memory than it has bytes."""

import collections
import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from seqmodels.errors import UserError
from seqmodels.verified import sizes
from seqmodels.verified.checkpoints import load_checkpoint
from tests.hostile.conftest import CANARY, limited, resumed


class Reduced:
    """What a pickle may call when it is read."""

    def __init__(self, function, *arguments):
        self.made_by = (function, arguments)

    def __reduce__(self):
        return self.made_by


def rewritten(path, change):
    """Writes an archive anew, each entry as `change(name, content)` gives it."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


def with_contents(**changes):
    def spoil(path):
        checkpoint = torch.load(path, weights_only=True)
        torch.save({**checkpoint, **changes}, path)

    return spoil


def holding(function, *arguments):
    return with_contents(extra=Reduced(function, *arguments))


def legacy(path):
    torch.save({"state_dict": Reduced(os.system, f"touch {CANARY}")}, path, _use_new_zipfile_serialization=False)


def tar(path):
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Reduced(os.system, f"touch {CANARY}"))
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def added(name, compression=zipfile.ZIP_STORED, content=b"x"):
    def spoil(path):
        with zipfile.ZipFile(path, "a", compression) as archive:
            archive.writestr(name, content)

    return spoil


def declaring_more(path):
    """Lets the directory of the archive say that entries are larger than the file."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2")
    content[place + 20 : place + 28] = struct.pack("<2I", 1 << 30, 1 << 30)
    path.write_bytes(content)


def of_a_giant_storage(path):
    torch.save({"state_dict": {"a": torch.arange(77.0)}, "global_step": 1, "generators": {}}, path)
    rewritten(
        path, lambda name, content: content.replace(b"K\x4d", b"J\0\0\0\x70") if name.endswith(".pkl") else content
    )


def nested(path):
    pickled = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    rewritten(path, lambda name, content: pickled if name.endswith(".pkl") else content)


def in_capitals(spoil):
    """Calls the pickle by a name that torch takes for it, and others do not."""

    def spoilt(path):
        spoil(path)
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name.replace("data.pkl", "data.PKL"), content)

    return spoilt


def of_two_formats(path):
    whole = path.read_bytes()
    torch.save(Reduced(bytearray, 10**12), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes() + whole)


def of_two_lists(path):
    """Puts an archive before another whose end tells the place of the first one's list, where torch looks for it."""
    rewritten(path, lambda name, content: content)
    whole = path.read_bytes()
    greedy = pickle.dumps([Reduced(bytearray, 10**12), bytes(len(whole))], 2)
    rewritten(path, lambda name, content: greedy if name.endswith(".pkl") else content)
    other = path.read_bytes()
    place, own = other.index(b"PK\1\2"), whole.index(b"PK\1\2")
    listed, end = bytearray(whole[own:-22]), bytearray(whole[-22:])
    assert len(listed) == len(other) - 22 - place
    at = -1
    while (at := listed.find(b"PK\1\2", at + 1)) >= 0:
        (offset,) = struct.unpack_from("<I", listed, at + 42)
        struct.pack_into("<I", listed, at + 42, offset + place - own)
    struct.pack_into("<I", end, 16, place)
    path.write_bytes(other[:-22] + whole[:own] + listed + end)


def of_protocol_4(path):
    rewritten(path, lambda name, content: b"\x80\4" + content[2:] if name.endswith(".pkl") else content)


FILES = {
    "a system call": holding(os.system, f"touch {CANARY}"),
    "eval": holding(eval, f"open('{CANARY}', 'w')"),
    "a path": holding(Path.touch, CANARY),
    "torch.load": holding(torch.load, str(CANARY)),
    "a class of the program": holding(UserError, "x"),
    "a class of this file": with_contents(extra=Reduced),
    "bytes without end": holding(bytearray, 10**12),
    "a counter": holding(collections.Counter, {"a": 10**12}),
    "a storage without end": holding(torch.UntypedStorage, 10**12),
    "a tensor without end": holding(torch.Tensor, 10**12),
    "bytes without end, in capitals": in_capitals(holding(bytearray, 10**12)),
    "a pickle twice": added("archive/DATA.PKL", content=pickle.dumps(Reduced(bytearray, 10**12), 2)),
    "two formats in one": of_two_formats,
    "two lists of entries": of_two_lists,
    "a later protocol": of_protocol_4,
    "a sparse tensor": with_contents(extra=torch.eye(3).to_sparse()),
    "a type": with_contents(extra=torch.float16),
    "a pickle alone": lambda path: path.write_bytes(pickle.dumps(Reduced(os.system, f"touch {CANARY}"))),
    "the format before archives": legacy,
    "the format before that": tar,
    "a path out of the archive": added("archive/../../../exploded"),
    "a path from the root": added("/tmp/exploded"),
    "a path of another system": added("..\\..\\exploded"),
    "much out of little": added("archive/data/999", zipfile.ZIP_DEFLATED, bytes(1 << 26)),
    "entries larger than the file": declaring_more,
    "values that are not there": of_a_giant_storage,
    "a tensor of one value": with_contents(state_dict={"model.head.weight": torch.zeros(1).expand(10**12)}),
    "lists in lists": nested,
    "weights that are none": with_contents(state_dict={"model.head.weight": [1.0]}),
    "weights without names": with_contents(state_dict={1: torch.zeros(1)}),
    "no weights": with_contents(state_dict=None),
    "no step": with_contents(global_step="many"),
    "a list": lambda path: torch.save([1], path),
    "nothing": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no checkpoint"),
    "an empty archive": lambda path: zipfile.ZipFile(path, "w").close(),
    "zeros": lambda path: path.write_bytes(bytes(1 << 16)),
}


def test_every_one_is_refused_in_one_line(run, refused):
    best = run / "checkpoints" / "best.ckpt"
    whole = best.read_bytes()
    for name, spoil in FILES.items():
        best.write_bytes(whole)
        spoil(best)
        with limited(), pytest.raises(UserError, match=r"best\.ckpt: ") as caught:
            load_checkpoint(best)
        assert "\n" not in str(caught.value), name
        assert "memory" not in str(caught.value), name
        assert not CANARY.exists(), name
    best.unlink()
    os.mkfifo(best)
    assert "no such run directory, checkpoint file" in refused("generate", f"run={run / 'checkpoints' / 'best.ckpt'}")


PROGRESS = {
    "no loops": with_contents(loops=None),
    "other loops": with_contents(loops={"fit_loop": {"epoch_progress": {"total": -5}}}),
    "no optimizer": with_contents(optimizer_states=[]),
    "an optimizer of another": with_contents(optimizer_states=[{"state": {0: {"step": "x"}}, "param_groups": [1]}]),
    "no version": with_contents(**{"pytorch-lightning_version": "[x]"}),
    "callbacks of another": with_contents(callbacks={"Checkpoints": 3}),
    "no generators": with_contents(generators=3),
    "broken generators": with_contents(generators={"python": [1], "numpy": [], "torch": torch.zeros(3), "cuda": []}),
    "a carried state of another": with_contents(carried_state=(torch.zeros(9, 9, 9), torch.zeros(1))),
    "a place before the first": with_contents(TextFile={"place": {"epoch": 0, "batches": -1, "batches_per_epoch": 1}}),
}


@pytest.mark.parametrize("name", PROGRESS)
def test_training_does_not_go_on_from_what_cannot_be(run, name):
    for file in ("last.ckpt", "previous.ckpt"):
        PROGRESS[name](run / "checkpoints" / file)
    with limited(), pytest.raises(UserError) as caught:
        resumed(run)
    assert "\n" not in str(caught.value)


def test_a_model_far_larger_than_its_weights_is_refused(monkeypatch):
    """Weights that share their values, which fit by shape."""
    shared = torch.zeros(64, 64)
    weights = {f"{number}.weight": shared for number in range(40)}
    with sizes.outlined(weights, "run"):
        model = torch.nn.Sequential(*(torch.nn.Linear(64, 64, bias=False) for _ in range(40)))
    sizes.check_size(model, weights, "run")
    monkeypatch.setattr(sizes, "_BYTES_BESIDE", 0)
    with pytest.raises(UserError, match="run: describes a model of 655,360 bytes; the weights have 16,384"):
        sizes.check_size(model, weights, "run")


def test_no_more_parts_are_made_than_there_can_be(monkeypatch):
    monkeypatch.setattr(sizes, "_PARTS_BESIDE", 100)
    generator = torch.get_rng_state()
    with (
        pytest.raises(UserError, match="describes a model of more than 116 parts"),
        sizes.outlined({"a": torch.zeros(1)}, "run"),
    ):
        torch.nn.Sequential(*(torch.nn.Linear(10**6, 10**6) for _ in range(10**6)))
    assert torch.equal(generator, torch.get_rng_state())
    assert torch.nn.Linear(1, 1).weight.device.type == "cpu"

"""Checkpoints and weights: whole, plain, and no larger in memory than on disk. Nothing in them is executed."""

import os
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from seqmodels.errors import UserError

_ALLOWED = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
_KINDS = "Float Double Half BFloat16 ComplexFloat ComplexDouble Long Int Short Char Byte Bool"
_STORAGES = {f"torch {kind}Storage" for kind in _KINDS.split()}
_END = 98
"""Bytes of the end of an archive that may be large: a record, where that is, and the end of the old form."""
_REFUSED = "refused: it holds code or objects other than plain values and tensors"


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Loads a checkpoint after checking that it is whole. Nothing in it is executed.

    Raises:
        UserError: Where it is missing, cut short or damaged, would take more memory than it has bytes, or holds
            anything but plain values and tensors.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: expected a file")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_end(archive, path)
            _check_archive(archive, path)
            damaged = archive.testzip()
            if damaged is not None:
                raise UserError(f"{path}: damaged (checksum of {damaged} does not match)")
        _check_names(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        _check_contents(checkpoint, path)
        return checkpoint
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint") from error
    except (pickle.UnpicklingError, RecursionError) as error:
        raise UserError(f"{path}: {_REFUSED}") from error
    except MemoryError as error:
        raise UserError(f"{path}: there is not enough memory for this checkpoint") from error
    except Exception as error:  # what reads archives and pickles fails in as many ways as these can be damaged
        raise UserError(f"{path}: damaged or cut short, not a whole checkpoint") from error


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses an archive that unpacks to more than it has, or out of its folder."""
    entries = archive.infolist()
    names = [entry.filename.lower() for entry in entries]
    pickles = [entry.filename for entry in entries if PurePosixPath(entry.filename.lower()).name == "data.pkl"]
    if len(set(names)) != len(names) or [PurePosixPath(name).name for name in pickles] != ["data.pkl"]:
        raise UserError(f"{path}: refused: expected one data.pkl in it, and each other name once")
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts:
            raise UserError(f"{path}: refused: it names a file outside of itself, {entry.filename}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{path}: refused: {entry.filename} is compressed, as no checkpoint of this program is")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise UserError(f"{path}: refused: it says that it unpacks to more bytes than it has")


def _check_end(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses an archive in which torch would find other entries than were checked, or no archive at all.

    Python's reader finds the list of entries by its size, torch's by its place: here the two must agree.
    """
    with path.open("rb") as file:
        begin = file.read(4)
        file.seek(-_END, os.SEEK_END)
        record, signature, place, end = struct.unpack("<48x Q 4s 4x Q 4x 22s", file.read(_END))
    start = struct.unpack("<I", end[16:20])[0]
    if signature == b"PK\6\7":  # of an archive that may be large
        start = record if place == path.stat().st_size - _END else -1
    if begin != b"PK\3\4" or not end.startswith(b"PK\5\6") or start != archive.start_dir:
        raise UserError(f"{path}: damaged: its list of entries does not lie where its end tells")


def _check_names(path: Path) -> None:
    """Refuses a pickle that names anything but tensors: some of what torch itself allows takes memory without end.

    It is the one that torch finds, by a rule of its own: capital letters count as small ones.
    """
    pickled = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and argument not in _ALLOWED | _STORAGES:
            raise UserError(f"{path}: {_REFUSED} ({argument})")
        if operation.name == "PROTO" and argument != 2:
            raise UserError(f"{path}: refused: a pickle of protocol {argument}, where this program writes 2")


def _check_contents(checkpoint: Any, path: Path) -> None:
    if not isinstance(checkpoint, dict) or not {"state_dict", "global_step", "generators"} <= checkpoint.keys():
        raise UserError(f"{path}: not a checkpoint of this program")
    weights, step = checkpoint["state_dict"], checkpoint["global_step"]
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise UserError(f"{path}: damaged: its weights have no names")
    for name, tensor in weights.items():
        if not isinstance(tensor, torch.Tensor):
            raise UserError(f"{path}: damaged: the weight {name} is no tensor")
    if type(step) is not int or step < 0:
        raise UserError(f"{path}: damaged: global_step={step!r}: expected an integer of at least 0")
    for value in _leaves(checkpoint):
        if isinstance(value, torch.Tensor) and value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(f"{path}: refused: a tensor of shape {tuple(value.shape)} has fewer values than that")


def _leaves(values: Any) -> Iterator[Any]:
    waiting, seen = [values], set()
    while waiting:
        value = waiting.pop()
        if not isinstance(value, dict | list | tuple):
            yield value
        elif id(value) not in seen:  # a value may stand in itself
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)


def check_progress(checkpoint: dict[str, Any], path: Path) -> None:
    """Refuses counters of training that cannot be, before training goes on from there.

    Args:
        checkpoint: What was loaded.
        path: Its file, for messages.

    Raises:
        UserError: Where one is below 0, or something that training goes on from is missing.
    """
    missing = {"loops", "optimizer_states", "callbacks", "pytorch-lightning_version"} - checkpoint.keys()
    if missing:
        raise UserError(f"{path}: damaged: it lacks {', '.join(sorted(missing))}")
    loops, optimizers = checkpoint["loops"], checkpoint["optimizer_states"]
    if not isinstance(loops, dict) or "fit_loop" not in loops or not isinstance(optimizers, list) or not optimizers:
        raise UserError(f"{path}: damaged: it does not tell how far training was")  # which would begin anew
    for value in _leaves(loops):
        if isinstance(value, int) and not 0 <= value < 2**63:
            raise UserError(f"{path}: damaged: a counter of training is {value}; expected at least 0")


def load_weights_file(path: Path) -> dict[str, torch.Tensor]:
    """Loads weights from a safetensors file, which holds tensors and text alone.

    Raises:
        UserError: Where it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.exists() and not path.is_file():
        raise UserError(f"{path}: expected a file")
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file of weights") from error
    except MemoryError as error:
        raise UserError(f"{path}: there is not enough memory for these weights") from error
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: damaged or cut short, not a whole file of weights") from error

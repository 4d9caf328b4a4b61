"""The compiled library: found, loaded, and given torch's threads."""

import ctypes
import functools
import sysconfig
from pathlib import Path

import torch  # brings the OpenMP whose threads the loop runs on
from torch import Tensor

_LARGE_BYTES = 2**20


class Segment(ctypes.Structure):
    """`struct Segment` of loops.cpp."""

    _fields_ = (("packed", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("first", "columns", "wants")))


class Loop(ctypes.Structure):
    """`struct Loop` of loops.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("width", "num_steps", "backward")),
        *((name, ctypes.c_void_p) for name in ("rows", "step", "before", "after")),
        ("num_tasks", ctypes.c_int64),
        ("task_rows", ctypes.c_void_p),
        ("segments", Segment * 3),
        ("bias", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("inputs_inner", "inner", "inputs", "source", "target", "add")),
        ("rows_at_once", ctypes.c_int64),
        *((name, ctypes.c_int64) for name in ("num_operands", "num_instructions", "num_registers")),
        *((name, ctypes.c_void_p) for name in ("operands", "instructions", "numbers", "buffers", "strides")),
        *(("accumulators", ctypes.c_void_p), ("accumulator_blocks", ctypes.c_int64)),
    )


class Packing(ctypes.Structure):
    """`struct Packing` of loops.cpp."""

    _fields_ = (
        *(("source", ctypes.c_void_p * 2), ("packed", ctypes.c_void_p), ("columns", ctypes.c_int64)),
        *((name, ctypes.c_int64 * 2) for name in ("inner", "inner_stride", "column_stride")),
    )


class Product(ctypes.Structure):
    """`struct Product` of loops.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("a", "packed", "bias", "out")),
        *((name, ctypes.c_int64) for name in ("rows", "inner", "columns", "a_stride", "out_stride", "num_tasks")),
    )


class Transposition(ctypes.Structure):
    """`struct Transposition` of loops.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("source", "target")),
        *((name, ctypes.c_int64) for name in ("rows", "columns", "source_stride", "target_stride")),
    )


class Weighing(ctypes.Structure):
    """`struct Weighing` of loops.cpp."""

    _fields_ = (
        ("gates", ctypes.c_void_p),
        ("factors", ctypes.c_void_p * 2),
        ("out", ctypes.c_void_p * 2),
        ("bias", ctypes.c_void_p),
        *(("rows", ctypes.c_int64), ("gate_stride", ctypes.c_int64)),
        *(("sizes", ctypes.c_int64 * 2), ("strides", ctypes.c_int64 * 2)),
        *(("out_stride", ctypes.c_int64), ("add", ctypes.c_int64)),
        *((name, ctypes.c_int64 * 3) for name in ("first", "stop", "wanted")),
    )


@functools.cache
def load() -> ctypes.CDLL | None:
    """Loads the library, None where there was no compiler to build it when the package was installed."""
    name = "_loops" + (sysconfig.get_config_var("EXT_SUFFIX") or ".so")
    path = Path(__file__).with_name(name)
    if not path.is_file():
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    library.loops_target.restype = ctypes.c_char_p
    library.loops_packed_size.restype = ctypes.c_int64
    library.loops_packed_size.argtypes = [ctypes.c_int64] * 3
    library.loops_pack.argtypes = [ctypes.POINTER(Packing), ctypes.c_int64, ctypes.c_int64]
    library.loops_run.argtypes = [ctypes.POINTER(Loop), ctypes.c_int64, ctypes.c_int64]
    library.loops_multiply.argtypes = [ctypes.POINTER(Product), ctypes.c_int64, ctypes.c_int64]
    library.loops_transpose.argtypes = [ctypes.POINTER(Transposition), ctypes.c_int64, ctypes.c_int64]
    library.loops_weigh.argtypes = [ctypes.POINTER(Weighing), ctypes.c_int64, ctypes.c_int64]
    library.loops_advise.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    library.loops_use_parallel.argtypes = [ctypes.c_void_p]
    library.loops_use_parallel(_torch_parallel())
    return library


def _torch_parallel() -> int | None:
    """Finds the entry point of GNU's OpenMP that torch has loaded; None where torch has another."""
    assert torch.get_num_threads() > 0
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p).value
    except (AttributeError, OSError):
        return None


def new_buffer(like: Tensor, *shape: int) -> Tensor:
    """Makes an empty tensor in the dtype of another, with large pages behind it if it is large."""
    tensor = like.new_empty(shape)
    library, size = load(), tensor.numel() * tensor.element_size()
    if library is not None and size >= _LARGE_BYTES:
        library.loops_advise(tensor.data_ptr(), size)
    return tensor


def transpose(source: Tensor, target: Tensor) -> None:
    """Copies the transpose of (rows, columns) into (columns, rows); rows of both may be apart."""
    library = load()
    assert library is not None
    job = Transposition(source.data_ptr(), target.data_ptr(), *source.shape, source.stride(0), target.stride(0))
    library.loops_transpose(ctypes.byref(job), source.dtype is torch.float64, torch.get_num_threads())


def target() -> str | None:
    """Names the instruction set in use, None without the library."""
    library = load()
    return library.loops_target().decode() if library else None

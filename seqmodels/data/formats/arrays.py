"""Arrays of numbers: NumPy's `.npz`, and the IDX files that MNIST came in."""

import gzip
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from seqmodels.errors import UserError

_ZIP = b"PK"
_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the named arrays of a `.npz` file. Pickled objects are refused, so that reading executes nothing.

    Args:
        path: The file.

    Raises:
        UserError: Where the file cannot be read, is no `.npz` file or is damaged, or an array holds Python objects.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "series.npz"
        >>> np.savez(path, x=np.zeros((4, 10, 3)), y=np.arange(4))
        >>> {name: array.shape for name, array in read_npz(path).items()}
        {'x': (4, 10, 3), 'y': (4,)}
    """
    name = ""
    try:
        with open(path, "rb") as file:
            if file.read(2) != _ZIP:
                raise UserError(f"{path}: not a .npz file; expected what numpy.savez writes")
            file.seek(0)
            arrays = {}
            with np.load(file, allow_pickle=False) as stored:
                for name in stored.files:
                    arrays[name] = stored[name]
            return arrays
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: a damaged .npz file: {error}") from error
    except ValueError as error:
        raise UserError(
            f"{path}: array {name!r} holds Python objects, as arrays of different sizes make, or is damaged; expected "
            "numbers in one array"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_idx(path: Path) -> np.ndarray:
    """Reads the one array of an IDX file, compressed by gzip or not.

    The format is the one of LeCun et al. 1998's MNIST: two zero bytes, a byte for the type, one for the number of
    dimensions, each size in four bytes, then the values; the highest byte first.

    Args:
        path: The file.

    Raises:
        UserError: Where the file cannot be read, has another first four bytes, is cut off or goes on too long.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 9]))
        >>> read_idx(path)
        array([7, 2, 9], dtype=uint8)
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == _GZIP
        with gzip.open(path) if compressed else open(path, "rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not magic[3]:
                raise UserError(f"{path}: first bytes {magic.hex(' ')}; expected an IDX file: 00 00, type, dimensions")
            sizes = file.read(4 * magic[3])
            shape = np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4").tolist()
            kind = np.dtype(_IDX_TYPES[magic[2]])
            num_bytes = math.prod(shape) * kind.itemsize
            # One byte more than there should be, to see whether the file goes on.
            values = _read(file, num_bytes + 1) if len(shape) == magic[3] else b""
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: truncated or damaged: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(shape) < magic[3] or len(values) < num_bytes:
        raise UserError(f"{path}: truncated: {len(values)} bytes of values; its header says {_told(shape)}")
    if len(values) > num_bytes:
        raise UserError(f"{path}: goes on after the {num_bytes} bytes of values that its header says ({_told(shape)})")
    array = np.frombuffer(values, kind).reshape(shape)
    return array.astype(kind.newbyteorder("="))


def _read(file: IO[bytes] | gzip.GzipFile, num_bytes: int) -> bytes:
    """Reads in pieces: the memory for all that a header promises is not taken before it is there."""
    pieces = []
    while num_bytes > 0 and (piece := file.read(min(num_bytes, _PIECE))):
        pieces.append(piece)
        num_bytes -= len(piece)
    return b"".join(pieces)


def _told(shape: list[int]) -> str:
    return " x ".join(map(str, shape)) or "more"


def is_idx(path: Path) -> bool:
    """Tells whether a file is named as IDX files are: `train-images-idx3-ubyte.gz`, `labels.idx`."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(".idx") or "-idx" in name or ".idx" in name

"""Arrays of numbers: NumPy's `.npz`, and the IDX files that MNIST came in."""

import gzip
import math
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from seqmodels.errors import UserError

_ZIP = b"PK"
_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
_LARGE = 1 << 30
_TIMES = 100
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
                _check_sizes(path, stored.zip)
                for name in stored.files:
                    arrays[name] = stored[name]
                    if not isinstance(arrays[name], np.ndarray):  # NumPy hands on what is no array as it stands
                        raise UserError(f"{path}: {name!r} is no array; expected what numpy.savez writes")
            return arrays
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path}: array {name!r} is larger than the memory there is") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: a damaged .npz file: {error}") from error
    except (ValueError, TokenError) as error:
        raise UserError(
            f"{path}: array {name!r} holds Python objects, as arrays of different sizes make, or is damaged; expected "
            "numbers in one array"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuses arrays that would take memory for more than the file has: a small file can say that it unpacks to much.

    NumPy takes the memory that an array's header asks for before it reads the values.
    """
    size = path.stat().st_size
    for entry in archive.infolist():
        with archive.open(entry) as file:
            needed = _declared_bytes(file)
        if needed > entry.file_size:
            raise UserError(f"{path}: array {entry.filename!r} says that it has {needed:,} bytes; it has fewer")
    check_unpacked(path, size, sum(entry.file_size for entry in archive.infolist()))


def _declared_bytes(file: IO[bytes]) -> int:
    """Returns how many bytes the values of an array take by its header; 0 where that is for NumPy to refuse."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except (ValueError, TokenError):
        return 0
    return math.prod(shape) * max(dtype.itemsize, 1)  # what has no bytes takes memory where it is listed


def max_unpacked(size: int) -> int:
    """Returns how many bytes a compressed file of this size may unpack to.

    Example:
        >>> max_unpacked(1000), max_unpacked(2**30)
        (1073741824, 107374182400)
    """
    return max(_LARGE, _TIMES * size)


def check_unpacked(path: Path, size: int, unpacked: int) -> None:
    """Refuses a file that unpacks to very much, out of very little.

    Args:
        path: The file, for messages.
        size: Its bytes.
        unpacked: Those that it unpacks to.

    Raises:
        UserError: Where these are too many.
    """
    if unpacked > max_unpacked(size):
        raise UserError(
            f"{path}: {size:,} bytes unpack to {unpacked:,}, which no numbers of any use do; expected at most "
            f"{_TIMES} times as many, or an unpacked file"
        )


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
            if compressed:
                check_unpacked(path, path.stat().st_size, num_bytes)
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
    try:
        array = np.frombuffer(values, kind).reshape(shape)
    except ValueError as error:
        raise UserError(f"{path}: no array has the sizes that its header says ({_told(shape)})") from error
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

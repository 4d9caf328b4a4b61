"""`.npz` and IDX files: what is read, and what is said of those that cannot be."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from seqmodels.data.formats.arrays import is_idx, read_idx, read_npz
from seqmodels.errors import UserError


def idx(code, shape, values):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values


def test_npz_gives_its_arrays_by_name(tmp_path):
    arrays = {"x": np.arange(6.0).reshape(2, 3), "y": np.array(["a", "b"])}
    np.savez_compressed(tmp_path / "a.npz", **arrays)

    read = read_npz(tmp_path / "a.npz")

    assert list(read) == ["x", "y"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


class Planted:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_npz_executes_nothing(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([Planted()], dtype=object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Planted()))

    with pytest.raises(UserError, match="array 'x' holds Python objects"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"b\.npz: not a \.npz file"):
        read_npz(tmp_path / "b.npz")


def test_npz_that_is_none(tmp_path):
    np.savez(tmp_path / "whole.npz", x=np.arange(1000.0))
    whole = (tmp_path / "whole.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[300] ^= 1
    (tmp_path / "cut.npz").write_bytes(whole[:500])
    (tmp_path / "damaged.npz").write_bytes(damaged)
    (tmp_path / "text.npz").write_text("x,y\n1,2\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "one.npy", np.arange(3))

    for name, said in {
        "cut.npz": "a damaged .npz file",
        "damaged.npz": "a damaged .npz file",
        "text.npz": "not a .npz file",
        "empty.npz": "not a .npz file",
        "one.npy": "not a .npz file",
        "none.npz": "cannot be read: No such file",
        "": "cannot be read: Is a directory",
    }.items():
        with pytest.raises(UserError) as caught:
            read_npz(tmp_path / name)
        assert said in str(caught.value), name
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "code, dtype", [(0x08, np.uint8), (0x09, np.int8), (0x0B, np.int16), (0x0C, np.int32), (0x0D, "f4"), (0x0E, "f8")]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_idx_of_every_type(tmp_path, code, dtype, compressed):
    array = np.array([[1, 100, 3], [4, 5, 127]], dtype)
    content = idx(code, array.shape, array.astype(array.dtype.newbyteorder(">")).tobytes())
    path = tmp_path / "a-idx2"
    path.write_bytes(gzip.compress(content) if compressed else content)

    read = read_idx(path)

    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype
    assert read.flags.writeable


WHOLE = idx(0x08, (2, 3), bytes(range(6)))


@pytest.mark.parametrize(
    "content, said",
    [
        (WHOLE[:-1], "truncated: 5 bytes of values; its header says 2 x 3"),
        (WHOLE[:9], "truncated"),
        (WHOLE + b"\0", "goes on after the 6 bytes"),
        (b"\1" + WHOLE[1:], "first bytes 01 00 08 02; expected an IDX file"),
        (idx(0x07, (2, 3), bytes(6)), "expected an IDX file"),
        (bytes([0, 0, 8, 0]), "expected an IDX file"),
        (b"", "expected an IDX file"),
        (gzip.compress(WHOLE, mtime=0)[:-9], "truncated or damaged"),
        (b"\x1f\x8b" + bytes(20), "truncated or damaged"),
        # All that memory is not there, and not asked for.
        (idx(0x0E, (2**32 - 1, 2**32 - 1, 2**32 - 1), b""), "truncated: 0 bytes"),
    ],
)
def test_idx_that_is_none(tmp_path, content, said):
    path = tmp_path / "a-idx"
    path.write_bytes(content)

    with pytest.raises(UserError) as caught:
        read_idx(path)

    assert f"{path}: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_of_idx_files(tmp_path):
    names = ["train-images-idx3-ubyte.gz", "t10k-labels.idx1-ubyte", "a.idx", "a.npz", "a.gz"]
    assert [is_idx(tmp_path / name) for name in names] == [True, True, True, False, False]

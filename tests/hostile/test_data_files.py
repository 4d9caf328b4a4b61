"""Data files of a stranger's: bombs, endless lines, bytes that are no text, formulas."""

import csv
import gzip
import json
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from seqmodels.data.files import read_lines, read_text, read_texts
from seqmodels.data.formats import arrays, captions, lines
from seqmodels.data.formats.abc import split_tunes
from seqmodels.data.formats.arrays import read_idx, read_npz
from seqmodels.data.formats.captions import read_captions, read_image
from seqmodels.data.formats.class_folders import read_class_folders
from seqmodels.data.formats.conll import read_conll
from seqmodels.data.formats.pairs import read_aligned, read_tab_pairs, read_table_pairs
from seqmodels.data.formats.piano_rolls import read_piano_rolls
from seqmodels.data.formats.tables import read_table
from seqmodels.data.formats.ts import read_ts
from seqmodels.data.formats.wav import read_wav
from seqmodels.errors import UserError
from seqmodels.prediction import write_rows
from tests.hostile.conftest import limited


def told(read, *arguments, more=1 << 28):
    """Returns the one line that a reader refuses a file with, in little memory."""
    with limited(more), pytest.raises(UserError) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def npy(shape, dtype="<f8"):
    """The header of an array of any size."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def test_archives_of_arrays_that_unpack_to_much(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy((1 << 23,)) + bytes(1 << 26))
    assert read_npz(path)["x"].nbytes == 1 << 26  # this much may be
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    assert f"{path.stat().st_size:,} bytes unpack to 67,108," in told(read_npz, path)
    assert "unpack to" in told(read_piano_rolls, str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy((10**12,)) + bytes(100))
    assert "says that it has 8,000,000,000,000 bytes" in told(read_npz, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy((10**12,), "|S0"))
    assert "says that it has 1,000,000,000,000 bytes" in told(read_npz, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy((1,), "|O") + b"cos\nsystem\n(S'touch exploded'\ntR.")
    told(read_npz, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"cos\nsystem\n(S'touch exploded'\ntR.")
    told(read_npz, path)
    assert not Path("exploded").exists()


def test_headers_that_no_array_has(tmp_path):
    path = tmp_path / "a.npz"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", 8000) + b"(" * 8000
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header)
    assert "array 'x' holds Python objects, as arrays of different sizes make, or is damaged" in told(read_npz, path)
    path = tmp_path / "a-idx3-ubyte"
    for sizes in ([1] * 255, [0, 2**32 - 1, 2**32 - 1]):
        path.write_bytes(bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + bytes(sizes[0]))
        assert "no array has the sizes that its header says" in told(read_idx, path)


def test_numbers_of_thousands_of_digits_in_a_header_of_series(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(TS.replace("@dimensions 1", "@dimensions " + "9" * 5000))
    assert "a.ts line 1: " in told(lambda: read_ts(path).rows)


def test_compressed_images_that_unpack_to_much(tmp_path, monkeypatch):
    path = tmp_path / "a-idx3-ubyte.gz"
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1 << 20, 8, 8)
    path.write_bytes(gzip.compress(header + bytes(1 << 20), 1))
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    assert "unpack to 67,108,864" in told(read_idx, path, more=1 << 24)
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 8, 8)
    path.write_bytes(gzip.compress(header + bytes(1 << 27), 1))
    assert "goes on after the 64 bytes" in told(read_idx, path, more=1 << 24)


def test_matlab_files_that_unpack_to_much(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    packed = zlib.compress(bytes(1 << 26))
    path.write_bytes(bytes(126) + b"IM" + struct.pack("<2I", 15, len(packed)) + packed)
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    assert "bytes unpack to" in told(read_piano_rolls, str(path), more=1 << 26)
    path.write_bytes(bytes(126) + b"IM" + struct.pack("<2I", 15, 1 << 31) + b"no zlib")
    told(read_piano_rolls, str(path))


def test_images_that_are_programs_or_much_too_large(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(exploded) (w) file\n")
    assert "is no image that can be read; expected PNG, JPEG" in told(read_image, path)
    Image.new("1", (2000, 2000)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3_000_000)  # a warning up to twice as many, an error beyond
    with warnings.catch_warnings(record=True) as beside:
        warnings.simplefilter("always")  # as outside of tests
        assert "exceeds limit of 3000000 pixels" in told(read_image, path)
    assert not beside
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    assert "could be decompression bomb" in told(read_image, path)
    assert captions.read_images([]) == []


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 2**32 - 5])
def test_sounds_whose_rates_take_memory(tmp_path, rate):
    path = tmp_path / "a.wav"
    samples = bytes(1 << 16)
    form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8) + b"data" + struct.pack("<I", len(samples))
    path.write_bytes(b"RIFF" + struct.pack("<I", len(form) + len(samples)) + form + samples)
    assert f"its header tells {rate} samples a second" in told(read_wav, path, 16000)


CONLL, TS = "a X\nb Y\n\nc X\n", "@dimensions 1\n@classLabel true up down\n@data\n1,2:up\n3,4:down\n"
ABC = "X:1\nK:D\nDFA d3|\n"
READERS = {
    "table.csv": ("text,label\nname,up\n", lambda path: list(read_table(path, {"data.text_column": "text"}))),
    "table.tsv": ("text\tlabel\nname\tup\n", lambda path: list(read_table(path, {"data.text_column": "text"}))),
    "table.jsonl": ('{"text": "name"}\n', lambda path: list(read_table(path, {"data.text_column": "text"}))),
    "pairs.csv": ("a,b\nx,y\n", lambda path: [pair[:2] for pair in read_table_pairs(path, "a", "b")]),
    "pairs.txt": ("x\ty\nz\tw\n", lambda path: [pair[:2] for pair in read_tab_pairs(path)]),
    "aligned.de": ("x\ny\n", lambda path: [pair[:2] for pair in read_aligned(path, path)]),
    "words.conll": (CONLL, lambda path: [sentence[:3] for sentence in read_conll(path, 0, 1)]),
    "series.ts": (TS, lambda path: [(row.label, row.series.tolist()) for row in read_ts(path).rows]),
    "lines.txt": ("one\ntwo\n", lambda path: list(lines.numbered_lines(path))),
    "text.txt": ("one\ntwo\n", lambda path: "".join(read_text(path))),
    "texts.txt": ("one\ntwo\n", lambda path: "".join(read_texts([path]))),
    "each.txt": ("one\ntwo\n", lambda path: list(read_lines([path]))),
    "tunes.abc": (ABC, lambda path: split_tunes("".join(read_text(path)))),
    "class.txt": ("one\ntwo\n", lambda path: [item[:2] for item in read_class_folders(path.parent, path.name)]),
    "captions.tsv": (
        "class.png\ta caption\n",
        lambda path: [(one.line, one.text) for one in read_captions(str(path.parent), str(path))],
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_marks_line_ends_and_bytes_in_every_reader_of_text(tmp_path, name, monkeypatch):
    text, read = READERS[name]
    path = tmp_path / name
    (tmp_path / "class.png").write_bytes(b"x")
    path.write_text(text)
    expected = read(path)
    for other in (
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
    ):
        path.write_bytes(other)
        assert read(path) == expected
    spoilt = text.encode()
    place = spoilt.rindex(
        b"up" if name in ("table.csv", "table.tsv") else b"down" if name == "series.ts" else spoilt.split()[-1]
    )
    for wrong in (b"\0", b"\xff", b"\xe9", "é".encode("utf-16")):
        path.write_bytes(spoilt[:place] + wrong + spoilt[place:])
        assert name in told(read, path)
    path.write_bytes(text.encode("utf-16"))
    told(read, path)
    monkeypatch.setattr(lines, "MAX_LINE", 1 << 16)
    monkeypatch.setattr("seqmodels.data.files.MAX_LINE", 1 << 16)
    with path.open("wb") as file:  # no byte of it is stored
        file.truncate(2 << 30)
    told(read, path, more=1 << 26)


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("text.txt", "texts.txt", "tunes.abc")])
def test_lines_that_do_not_end(tmp_path, name, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE", 1 << 16)
    monkeypatch.setattr("seqmodels.data.files.MAX_LINE", 1 << 16)
    path = tmp_path / name
    (tmp_path / "class.png").write_bytes(b"x")
    path.write_text(READERS[name][0] + "x" * (1 << 24))
    assert "characters; expected" in told(READERS[name][1], path, more=1 << 27)


def test_line_of_two_gigabytes_takes_little_memory(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    assert "line 1: has more than 67,108,863 characters" in told(lambda: list(lines.numbered_lines(path)), more=1 << 29)


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "=1;=2"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_no_cell_of_predictions_is_a_formula(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    harmless = ["a=b", "-1", "+1.5e-3", "", "'=1", "1-2", "-.5"]
    rows = [{"line": -number, "=text": text, "share": -0.5} for number, text in enumerate([*FORMULAS, *harmless])]
    write_rows(rows, str(path))
    with path.open(newline="") as file:
        header, *found = csv.reader(file, delimiter="\t" if suffix == ".tsv" else ",")
    assert header == ["line", "'=text", "share"]
    assert [row[1] for row in found] == [*(f"'{text}" for text in FORMULAS), *harmless]
    assert {row[2] for row in found} == {"-0.5"}
    write_rows(rows, str(path.with_suffix(".jsonl")))
    told_again = [json.loads(line)["=text"] for line in path.with_suffix(".jsonl").read_text().splitlines()]
    assert told_again == [*FORMULAS, *harmless]

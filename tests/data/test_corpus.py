import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqmodels.data import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from seqmodels.data import corpus as corpus_module
from seqmodels.data.cache import cached
from seqmodels.data.corpus import CorpusConfig, load_corpus
from seqmodels.data.download import download
from seqmodels.errors import UserError

STREAM = CorpusConfig("stream", val_fraction=0.1, test_fraction=0.2)
LINES = CorpusConfig("lines", val_fraction=0.25, test_fraction=0.25)


def decoded(corpus: corpus_module.Corpus, split: str) -> str:
    tokens = corpus.parts[split].tokens
    return corpus.tokenizer.decode(tokens.take(np.arange(len(tokens))))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("".join(f"line {number} has words\n" for number in range(50)) + "Ω" * 50)
    return file


@pytest.mark.parametrize("tokenizer", [CharTokenizer(), ByteTokenizer(), BPETokenizer(300)])
@pytest.mark.parametrize("chunk_bytes", [8, 1 << 20])
def test_stream_is_split_in_order(
    text: Path, tokenizer: Tokenizer, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqmodels.data.files.CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr("seqmodels.data.files.read_text.__defaults__", (chunk_bytes,))
    monkeypatch.setattr("seqmodels.data.files.read_texts.__defaults__", (chunk_bytes,))
    corpus = load_corpus([text], tokenizer, STREAM)
    whole = text.read_text()
    ends = int(len(whole) * 0.7), int(len(whole) * 0.8)
    assert decoded(corpus, "train") == whole[: ends[0]]
    if not isinstance(tokenizer, CharTokenizer):
        assert decoded(corpus, "val") == whole[ends[0] : ends[1]]
        assert decoded(corpus, "test") == whole[ends[1] :]
    assert {split: part.characters for split, part in corpus.parts.items()} == STREAM.sizes(len(whole))


def test_vocabulary_is_that_of_the_training_part(text: Path) -> None:
    corpus = load_corpus([text], CharTokenizer(), STREAM)
    assert corpus.tokenizer.unknown("Ωab") == ["Ω", "b"]
    assert decoded(corpus, "test").endswith("\ufffd" * 50)
    assert "\ufffd" not in decoded(corpus, "train")


def test_tokenizer_given_is_not_changed(text: Path) -> None:
    tokenizer = CharTokenizer()
    load_corpus([text], tokenizer, LINES)
    assert not tokenizer.fitted
    assert tokenizer.special_tokens == []


def test_fitted_tokenizer_is_kept(text: Path) -> None:
    tokenizer = CharTokenizer()
    tokenizer.fit(["xyz "])
    assert load_corpus([text], tokenizer, STREAM).tokenizer.to_spec() == tokenizer.to_spec()


def test_characters_per_token(text: Path) -> None:
    assert load_corpus([text], CharTokenizer(), STREAM).parts["train"].characters_per_token == 1
    assert load_corpus([text], CharTokenizer(), LINES).parts["val"].characters_per_token == 1
    train = load_corpus([text], ByteTokenizer(), STREAM).parts["test"]
    assert train.characters_per_token == train.characters / (train.characters + 50)
    assert 3 < load_corpus([text], WordTokenizer(), STREAM).parts["train"].characters_per_token < 6


def test_lines_are_shuffled_into_parts_and_framed(text: Path) -> None:
    corpus = load_corpus([text], CharTokenizer(), LINES)
    lines: dict[str, list[str]] = {}
    for split, part in corpus.parts.items():
        for start, stop in zip(part.starts, part.starts[1:], strict=False):
            ids = part.tokens.take(np.arange(start, stop))
            assert [ids[0], ids[-1]] == [corpus.tokenizer.special_id(name) for name in ("<bos>", "<eos>")]
            lines.setdefault(split, []).append(corpus.tokenizer.decode(ids))
    assert {split: len(some) for split, some in lines.items()} == {"train": 25, "val": 13, "test": 13}
    everything = [line for split in lines.values() for line in split if "\ufffd" not in line]
    assert len(everything) == len(set(everything)) >= 45
    assert lines["train"] != text.read_text().split("\n")[:25]
    other = load_corpus([text], CharTokenizer(), CorpusConfig("lines", 0.25, 0.25, seed=1))
    assert decoded(other, "train") != decoded(corpus, "train")


@pytest.mark.parametrize(("size", "dtype"), [(250, np.uint8), (300, np.uint16), (70_000, np.uint32)])
def test_ids_take_no_more_bytes_than_they_need(tmp_path: Path, size: int, dtype: type) -> None:
    file = tmp_path / "a.txt"
    characters = "".join(chr(code) for code in range(0x20, 0x20 + size) if not 0xD800 <= code <= 0xDFFF)
    file.write_text(characters + "\u0020" * 10, newline="")
    corpus = load_corpus([file], CharTokenizer(), CorpusConfig("stream", 0, 0))
    tokens = corpus.parts["train"].tokens
    assert tokens.take(np.arange(3)).dtype == dtype
    assert decoded(corpus, "train") == characters.replace("\r", "\n") + " " * 10


def test_second_run_finds_the_arrays_and_a_change_makes_new_ones(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = CharTokenizer.encode
    monkeypatch.setattr(CharTokenizer, "encode", lambda self, text: encoded.append(1) or encode(self, text))

    def encodes(tokenizer: Tokenizer, config: CorpusConfig) -> bool:
        encoded.clear()
        load_corpus([text], tokenizer, config)
        return bool(encoded)

    assert encodes(CharTokenizer(), STREAM)
    assert not encodes(CharTokenizer(), STREAM)
    assert encodes(CharTokenizer(min_count=2), STREAM)
    assert encodes(CharTokenizer(), CorpusConfig("stream", 0.1, 0.1))
    assert encodes(CharTokenizer(), LINES)
    os.utime(text, ns=(1, 1))
    assert encodes(CharTokenizer(), STREAM)


@pytest.mark.parametrize("damage", ["train.npy", "corpus.json", "val_starts.npy"])
def test_damaged_cache_is_made_anew(text: Path, cache: Path, damage: str) -> None:
    before = decoded(load_corpus([text], CharTokenizer(), STREAM), "train")
    (file,) = cache.glob(f"*/{damage}")
    file.write_bytes(file.read_bytes()[:-5])
    assert decoded(load_corpus([text], CharTokenizer(), STREAM), "train") == before


def test_failure_leaves_nothing_behind(text: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Tokenizer, text: str) -> np.ndarray:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CharTokenizer, "encode", full)
    with pytest.raises(UserError, match=r"^data\.cache_dir=.*No space left on device"):
        load_corpus([text], CharTokenizer(), STREAM)
    assert list(cache.iterdir()) == []


def test_two_at_once_end_alike(tmp_path: Path) -> None:
    def load(folder: Path) -> str:
        return (folder / "file").read_text()

    def build_while_another_does(folder: Path) -> None:
        assert cached(str(tmp_path), {"a": 1}, lambda other: (other / "file").write_text("x") and None, load) == "x"
        (folder / "file").write_text("x")

    assert cached(str(tmp_path), {"a": 1}, build_while_another_does, load) == "x"
    assert len(list(tmp_path.iterdir())) == 1


def test_cache_that_cannot_be_written_is_told(text: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.cache_dir=.*text\.txt/sub: cannot be written"):
        load_corpus([text], CharTokenizer(), STREAM, cache_dir=f"{text}/sub")


def test_default_cache_dir(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQMODELS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load_corpus([text], CharTokenizer(), STREAM)
    assert len(list((tmp_path / "xdg" / "seqmodels").iterdir())) == 1


def test_array_is_not_copied_to_other_processes(text: Path) -> None:
    tokens = load_corpus([text], CharTokenizer(), STREAM).parts["train"].tokens
    tokens.take(np.arange(3))
    assert len(pickle.dumps(tokens)) < 1000
    assert (pickle.loads(pickle.dumps(tokens)).take(np.arange(9)) == tokens.take(np.arange(9))).all()


@pytest.mark.parametrize(
    ("content", "config", "message"),
    [
        ("a" * 9, STREAM, "data.val_fraction=0.1: leaves 1 of 9 characters"),
        ("a", CorpusConfig("stream", 0, 0), "data.path: the training part has 1 of 1 characters"),
        ("one\ntwo", LINES, "data.val_fraction=0.25: leaves 0 of 2 lines"),
        (" \n\n ", CorpusConfig("lines", 0, 0), "data.path: the training part has 0 of 0 lines"),
        (b"abc\xff", CorpusConfig("stream", 0, 0), "byte 3 (0xff) is not valid UTF-8"),
    ],
)
def test_too_little_text_is_told(tmp_path: Path, content: str | bytes, config: CorpusConfig, message: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        load_corpus([file], CharTokenizer(), config)
    assert message in str(caught.value)


def test_words_too_few_for_a_part_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one two three " + "x" * 20)
    with pytest.raises(UserError, match=r"data\.val_fraction=0\.3: leaves 1 tokens"):
        load_corpus([file], WordTokenizer(), CorpusConfig("stream", 0.3, 0))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    program = """
import re, sys
from pathlib import Path
from seqmodels.data import CharTokenizer
from seqmodels.data.corpus import CorpusConfig, load_corpus
for path in map(Path, sys.argv[1:]):
    load_corpus([path], CharTokenizer(), CorpusConfig(path.stem, 0.1, 0.1))
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    lines = {"stream": "abcdefg xyz\n", "lines": "abcdefg xyz" * 200 + "\n"}
    files = [tmp_path / f"{megabytes}" / f"{form}.txt" for form in lines for megabytes in (6, 60)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(lines[file.stem] * (int(file.parent.name) * 1_000_000 // len(lines[file.stem])))
    peaks = list(map(float, subprocess.check_output([sys.executable, "-c", program, *files]).split()))
    assert peaks[1] < peaks[0] + 10_000  # kB
    assert peaks[3] < peaks[2] + 10_000


def test_download_is_kept_and_held_to_its_checksum(tmp_path: Path, cache: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("hello")
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    place = download(source.as_uri(), sha256)
    assert place.read_text() == "hello"
    with pytest.raises(UserError, match=r"has SHA-256 2cf2.*expected 0000.*data\.path="):
        download(source.as_uri(), "0" * 64)
    source.unlink()
    assert download(source.as_uri(), sha256) == place
    place.write_text("damaged")
    with pytest.raises(UserError, match=r"cannot be downloaded \(.*data\.path= takes a local file"):
        download(source.as_uri(), sha256)
    assert list(cache.iterdir()) == [place]

"""Text as arrays of token ids on disk: split, encoded once, memory-mapped."""

import copy
import json
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from seqmodels.data.cache import cached
from seqmodels.data.files import read_lines, read_texts
from seqmodels.data.splits import check_fractions
from seqmodels.data.tokenizers import Tokenizer, tokenizer_from_spec
from seqmodels.errors import UserError

SPLITS = ("train", "val", "test")
FORMAT_VERSION = 1
BOS, EOS = "<bos>", "<eos>"

Form = Literal["stream", "lines"]
Piece = tuple[str, str]
"""A split and some text of it."""


@dataclass(frozen=True)
class CorpusConfig:
    """What is made of text files.

    Args:
        form: "stream" is one long text, split by characters in the order train, val, test; "lines" is one sequence in
            each line, split by lines after a shuffle.
        val_fraction: Share of the text that is for validation.
        test_fraction: Share of the text that is for the final test.
        seed: Of the shuffle of lines.

    Raises:
        UserError: Where the fractions leave nothing to train on.
    """

    form: Form
    val_fraction: float
    test_fraction: float
    seed: int = 0

    def __post_init__(self) -> None:
        check_fractions(val_fraction=self.val_fraction, test_fraction=self.test_fraction)
        if self.seed < 0:
            raise UserError(f"data.seed={self.seed}: expected an integer of at least 0")

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts that exist."""
        fractions = {"train": 1.0, "val": self.val_fraction, "test": self.test_fraction}
        return tuple(split for split in SPLITS if fractions[split])

    def sizes(self, total: int) -> dict[str, int]:
        """Returns how many of `total` characters or lines each part gets.

        Example:
            >>> CorpusConfig("stream", val_fraction=0.1, test_fraction=0.0).sizes(1_115_394)
            {'train': 1003854, 'val': 111540}
        """
        # A thousandth above, as 100 * (1 - 0.05 - 0.05) is a little below 90.
        train_end = int(total * (1 - self.val_fraction - self.test_fraction) + 1e-3)
        val_end = int(total * (1 - self.test_fraction) + 1e-3) if self.test_fraction else total
        val_end = val_end if self.val_fraction else train_end
        ends = {"train": (0, train_end), "val": (train_end, val_end), "test": (val_end, total)}
        return {split: ends[split][1] - ends[split][0] for split in self.splits}


class TokenFile:
    """Token ids in a `.npy` file, mapped into memory when first read, in whichever process reads them."""

    def __init__(self, path: Path):
        self.path = path
        self._map: np.ndarray | None = None

    @property
    def _tokens(self) -> np.ndarray:
        if self._map is None:
            self._map = np.asarray(np.load(self.path, mmap_mode="r", allow_pickle=False))
        return self._map

    def __len__(self) -> int:
        return len(self._tokens)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Returns the tokens at `indices`, in their shape."""
        return self._tokens[indices]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_map": None}


@dataclass(frozen=True)
class Part:
    """One split of a corpus.

    Attributes:
        tokens: All its token ids.
        starts: Where each line starts in `tokens`, and the end of the last `(lines + 1,)`; a stream is one line.
        characters: How many characters of text it has, the ends of lines included.
        characters_per_token: The same for each token that is text or ends a line.
    """

    tokens: TokenFile
    starts: np.ndarray
    characters: int
    characters_per_token: float


@dataclass(frozen=True)
class Corpus:
    """A fitted tokenizer, and the parts that it encoded."""

    tokenizer: Tokenizer
    parts: dict[str, Part]


def load_corpus(paths: list[Path], tokenizer: Tokenizer, config: CorpusConfig, cache_dir: str | None = None) -> Corpus:
    """Encodes text files, or finds them encoded by an earlier run. No file is ever in memory as a whole.

    A file counts as unchanged while its path, size and time of change stay.

    Args:
        paths: The files, as `find_files` gives them.
        tokenizer: Encodes; where it is not fitted, a copy of it is, to the training part.
        config: How the text is split.
        cache_dir: Where arrays are kept; `None` is the default cache.

    Raises:
        UserError: Where a file cannot be read or decoded, or a part has too little text.
    """
    tokenizer = copy.deepcopy(tokenizer)
    if config.form == "lines":
        tokenizer.add_special_tokens([BOS, EOS])
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    seed = config.seed if config.form == "lines" else 0  # a stream is split the same whatever the seed
    settings = {**vars(config), "seed": seed}
    key = {"version": FORMAT_VERSION, "files": stats, "config": settings, "tokenizer": tokenizer.to_spec()}
    return cached(cache_dir, key, build=lambda folder: _build(paths, tokenizer, config, folder), load=_load)


def _load(folder: Path) -> Corpus:
    about = json.loads((folder / "corpus.json").read_text("utf-8"))
    parts = {split: _load_part(folder, split, **counts) for split, counts in about["parts"].items()}
    return Corpus(tokenizer_from_spec(about["tokenizer"]), parts)


def _load_part(folder: Path, split: str, tokens: int, scored: int, characters: int) -> Part:
    file = TokenFile(folder / f"{split}.npy")
    starts = np.load(folder / f"{split}_starts.npy", allow_pickle=False)
    if not tokens == starts[-1] == len(file):
        raise ValueError(f"{file.path} is incomplete")
    return Part(file, starts, characters, characters / scored)


def _build(paths: list[Path], tokenizer: Tokenizer, config: CorpusConfig, folder: Path) -> None:
    pieces = _split_stream(paths, config) if config.form == "stream" else _split_lines(paths, config)
    if not tokenizer.fitted:
        tokenizer.fit(text for split, text in pieces() if split == "train")
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(closing(_Writer(folder, split, tokenizer, config.form)))
            for split in config.splits
        }
        for split, text in pieces():
            writers[split].add(text)
    for split, writer in writers.items():
        if writer.num_tokens < 2:
            raise UserError(_too_little(split, config, f"{writer.num_tokens} tokens"))
    about = {
        "tokenizer": tokenizer.to_spec(),
        "parts": {split: writer.counts for split, writer in writers.items()},
    }
    (folder / "corpus.json").write_text(json.dumps(about), "utf-8")


def _too_little(split: str, config: CorpusConfig, left: str) -> str:
    if split == "train":
        return f"data.path: the training part has {left}; expected a longer text"
    name = f"{split}_fraction"
    return f"data.{name}={getattr(config, name)}: leaves {left}; expected a longer text, a larger fraction, or 0"


class _Writer:
    """Writes one part, piece by piece."""

    def __init__(self, folder: Path, split: str, tokenizer: Tokenizer, form: Form):
        self.path = folder / f"{split}.npy"
        self.starts_path = folder / f"{split}_starts.npy"
        self.tokenizer = tokenizer
        self.form = form
        self.dtype = np.min_scalar_type(max(tokenizer.vocab_size - 1, 1))
        self.file = open(self.path, "wb")  # noqa: SIM115
        self.characters = self.num_tokens = self.num_scored = 0
        self.starts = array("q", [0])
        self.bos, self.eos = (np.array([tokenizer.special_id(name) or 0], self.dtype) for name in (BOS, EOS))
        _write_header(self.file, self.dtype, 0)

    @property
    def counts(self) -> dict[str, int]:
        return {"tokens": self.num_tokens, "scored": self.num_scored, "characters": self.characters}

    def add(self, text: str) -> None:
        ids = self.tokenizer.encode(text).astype(self.dtype)
        if self.form == "lines":
            ids = np.concatenate([self.bos, ids, self.eos])
        self.file.write(ids.tobytes())
        self.num_tokens += len(ids)
        if self.form == "lines":
            self.starts.append(self.num_tokens)
        # The end of a line is scored and counts as a character; its beginning neither.
        self.num_scored += len(ids) - (self.form == "lines")
        self.characters += len(text) + (self.form == "lines")

    def close(self) -> None:
        self.file.seek(0)
        _write_header(self.file, self.dtype, self.num_tokens)
        self.file.close()
        if self.form == "stream":
            self.starts.append(self.num_tokens)
        np.save(self.starts_path, np.array(self.starts, np.int64))


def _write_header(file: IO[bytes], dtype: np.dtype, length: int) -> None:
    # NumPy leaves room for the first axis to grow, so that writing it again with the true length takes the same space.
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, header)


def _split_stream(paths: list[Path], config: CorpusConfig) -> Callable[[], Iterator[Piece]]:
    total = sum(map(len, read_texts(paths)))
    sizes = config.sizes(total)
    if min(sizes.values()) < 2:
        split = min(sizes, key=lambda name: sizes[name])
        raise UserError(_too_little(split, config, f"{sizes[split]} of {total} characters"))

    def pieces() -> Iterator[Piece]:
        parts = iter(sizes.items())
        split, left = next(parts)
        for text in read_texts(paths):
            while len(text) > left:
                yield split, text[:left]
                text = text[left:]
                split, left = next(parts)
            yield split, text
            left -= len(text)

    return pieces


def _split_lines(paths: list[Path], config: CorpusConfig) -> Callable[[], Iterator[Piece]]:
    total = sum(1 for _ in read_lines(paths))
    sizes = config.sizes(total)
    if min(sizes.values()) < 1:
        split = min(sizes, key=lambda name: sizes[name])
        raise UserError(_too_little(split, config, f"{sizes[split]} of {total} lines"))
    shuffled = np.repeat(np.arange(len(sizes), dtype=np.int8), list(sizes.values()))
    np.random.default_rng(config.seed).shuffle(shuffled)
    names = list(sizes)

    def pieces() -> Iterator[Piece]:
        for number, line in zip(shuffled, read_lines(paths), strict=True):
            yield names[number], line

    return pieces

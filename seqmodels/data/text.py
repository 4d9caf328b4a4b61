"""Data modules for text."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.batches import EVALUATION, BucketedLines, LineWindows, evaluation_stream, training_stream
from seqmodels.data.corpus import BOS, EOS, CorpusConfig, Part, load_corpus
from seqmodels.data.download import download
from seqmodels.data.examples import Example
from seqmodels.data.files import find_files
from seqmodels.data.formats.lines import lenient_lines, undecodable
from seqmodels.data.loader import InOrder
from seqmodels.data.module import Batches, DataModule, Loaded, Request
from seqmodels.data.python_modules import python_files
from seqmodels.data.tokenizers import CharTokenizer, Tokenizer, tokenizer_from_spec
from seqmodels.data.windows import DEFAULT_TBPTT, TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

TINY_SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
TINY_SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


@dataclass(frozen=True)
class TextConfig:
    """What is made of text files, apart from which files.

    Args:
        corpus: How the text is split.
        tokenizer: Makes tokens of it; it is not changed.
        batch_size: Rows of a stream, or lines in a batch.
        cache_dir: Where encoded text is kept; `None` for the default cache.
        tbptt: Windows of training.
        seed: Of the order of lines.
        spec: From an earlier run, whose vocabulary is used instead of a fitted one.

    Raises:
        UserError: Where a value is out of range.
    """

    corpus: CorpusConfig
    tokenizer: Tokenizer
    batch_size: int
    cache_dir: str | None
    tbptt: TBPTT
    spec: dict[str, Any] | None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"data.batch_size={self.batch_size}: expected an integer of at least 1")

    def load(self, files: list[Path]) -> Loaded:
        """Reads and encodes the files."""
        corpus = load_corpus(files, self._tokenizer(), self.corpus, self.cache_dir)
        stream = self.corpus.form == "stream"
        train = self._training_stream if stream else self._training_lines
        measure = self._evaluation_stream if stream else self._evaluation_lines
        tokenizer, parts = corpus.tokenizer, corpus.parts
        spec = {
            "kind": "text",
            "form": self.corpus.form,
            "tokenizer": tokenizer.to_spec(),
            "vocab_size": tokenizer.vocab_size,
            "unk": tokenizer.unknown_id,
            "bos": tokenizer.special_id(BOS),
            "eos": tokenizer.special_id(EOS),
            "characters": {split: part.characters for split, part in parts.items()},
            "characters_per_token": {split: part.characters_per_token for split, part in parts.items()},
        }
        evaluation: dict[str, Callable[[], Batches]] = {split: partial(measure, part) for split, part in parts.items()}
        return Loaded(spec, partial(train, parts["train"]), evaluation)

    def requests(self, path: str) -> list[Request]:
        """Reads the lines of a file, each to be told how likely it is; empty ones are left out.

        Raises:
            UserError: Where the file cannot be read.
        """
        if self.spec is None:
            raise UserError(f"input={path}: only a trained run can predict")
        tokenizer = self._tokenizer()
        bos, eos = tokenizer.special_id(BOS), tokenizer.special_id(EOS)
        requests = []
        for number, line in lenient_lines(Path(path).expanduser()):
            if problem := undecodable(line):
                requests.append(Request(number, None, f"{path} line {number}: {problem}"))
            elif text := line.strip():
                ids = np.array([bos, *tokenizer.encode(text).tolist(), eos], np.int64)
                requests.append(Request(number, Example(ids[:-1], ids[1:])))
        return requests

    def _tokenizer(self) -> Tokenizer:
        if self.spec is None:
            return self.tokenizer
        if self.spec.get("form") != self.corpus.form:
            raise UserError(
                f"data: this reads text as {self.corpus.form}, but the run was trained on {self.spec.get('form')}; "
                "expected a data module of the same form"
            )
        return tokenizer_from_spec(self.spec["tokenizer"])

    def _training_stream(self, part: Part) -> Batches:
        windows = training_stream(part.tokens, self.batch_size, self.tbptt)
        return Batches(windows, InOrder(len(windows)))

    def _evaluation_stream(self, part: Part) -> Batches:
        windows = evaluation_stream(part.tokens, self.batch_size)
        return Batches(windows, InOrder(len(windows)))

    def _training_lines(self, part: Part) -> Batches:
        windows = LineWindows(part.tokens, part.starts)
        self.tbptt.check_against(int(windows.lengths.max()))
        return Batches(windows, BucketedLines(windows.lengths, self.batch_size, self.tbptt, self.corpus.seed))

    def _evaluation_lines(self, part: Part) -> Batches:
        windows = LineWindows(part.tokens, part.starts)
        return Batches(windows, BucketedLines(windows.lengths, self.batch_size, EVALUATION))


class TextFile(DataModule):
    """The user's text as one stream: trained on from its beginning, validated and tested on its end.

    Args:
        path: A UTF-8 file, a folder, or a list of them.
        glob: Which files of a folder.
        tokenizer: Makes tokens of text; characters where left out.
        batch_size: Rows that the stream is cut into.
        val_fraction: Share of the characters that is for validation.
        test_fraction: Share of the characters, at the end, that is for the final test.
        cache_dir: Where encoded text is kept; `None` is `$SEQMODELS_CACHE` or the user's cache folder.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training.
        seed: Not used, as a stream has one order.
        spec: From an earlier run, whose vocabulary is used instead of a fitted one.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    def __init__(
        self,
        path: str | list[str],
        glob: str = "**/*.txt",
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        num_workers: int = 0,
        tbptt: TBPTT = DEFAULT_TBPTT,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.path, self.glob = path, glob
        corpus = CorpusConfig("stream", val_fraction, test_fraction, seed)
        self.config = TextConfig(corpus, tokenizer or CharTokenizer(), batch_size, cache_dir, tbptt, spec)

    def load(self) -> Loaded:
        """Reads the files."""
        return self.config.load(find_files(self.path, self.glob))


class PythonSource(DataModule):
    """The source of the running Python's standard library as one stream: about 1.2 MB that is on every machine.

    Args and Raises are those of `TextFile`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        num_workers: int = 0,
        tbptt: TBPTT = DEFAULT_TBPTT,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        corpus = CorpusConfig("stream", val_fraction, test_fraction, seed)
        self.config = TextConfig(corpus, tokenizer or CharTokenizer(), batch_size, cache_dir, tbptt, spec)

    def load(self) -> Loaded:
        """Reads the modules."""
        return self.config.load(python_files())


class TinyShakespeare(DataModule):
    """Karpathy's tiny Shakespeare, 1.1 million characters of plays, as one stream.

    Args:
        path: The file, where it is there already; downloaded and kept in the cache where left out.
        tokenizer: As in `TextFile`, as are the others. By custom the first 90% are for training and the rest for
            validation.
    """

    def __init__(
        self,
        path: str | None = None,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.0,
        cache_dir: str | None = None,
        num_workers: int = 0,
        tbptt: TBPTT = DEFAULT_TBPTT,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.path = path
        corpus = CorpusConfig("stream", val_fraction, test_fraction, seed)
        self.config = TextConfig(corpus, tokenizer or CharTokenizer(), batch_size, cache_dir, tbptt, spec)

    def load(self) -> Loaded:
        """Reads the file, and downloads it first where none is given."""
        path = self.path or str(download(TINY_SHAKESPEARE_URL, TINY_SHAKESPEARE_SHA256, self.config.cache_dir))
        return self.config.load(find_files(path))


class TextLines(DataModule):
    """One sequence in each line of the user's text: names, titles, sentences.

    Spaces around a line and empty lines are left out. Each line is read from `<bos>` and ends in `<eos>`. Lines of
    about the same length share a padded batch.

    Args:
        path: A UTF-8 file, a folder, or a list of them.
        glob: Which files of a folder.
        tokenizer: Makes tokens of text; characters where left out.
        batch_size: Lines in a batch.
        val_fraction: Share of the lines, drawn with `seed`, that is for validation.
        test_fraction: Share of the lines that is for the final test.
        cache_dir: Where encoded text is kept; `None` is `$SEQMODELS_CACHE` or the user's cache folder.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole lines where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose vocabulary is used instead of a fitted one.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    def __init__(
        self,
        path: str | list[str],
        glob: str = "**/*.txt",
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.path, self.glob = path, glob
        corpus = CorpusConfig("lines", val_fraction, test_fraction, seed)
        self.config = TextConfig(corpus, tokenizer or CharTokenizer(), batch_size, cache_dir, tbptt, spec)

    def load(self) -> Loaded:
        """Reads the files."""
        return self.config.load(find_files(self.path, self.glob))

    def read_requests(self, path: str) -> list[Request]:
        """Reads the lines of a file, to tell how likely each is."""
        return self.config.requests(path)

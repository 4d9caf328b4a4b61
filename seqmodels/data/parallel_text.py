"""The user's pairs of texts, such as sentences with their translations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqmodels.data.examples import Example, load_examples
from seqmodels.data.formats.pairs import Empty, TextPair, aligned_files, has_column, read_pairs
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.pairs.encoding import PairTokenizers
from seqmodels.data.pairs.limits import LengthLimits, TooLong
from seqmodels.data.pairs.requests import encode_source, read_sources, source_request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.tokenizers import Tokenizer, WordTokenizer
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

_SAMPLE = 10000
"""So many pairs of training at most tell how many characters a token has; of what is measured on, all do."""


class ParallelText(DataModule):
    r"""Texts, each with what is to be made of it: translations, answers, spellings.

    Args:
        path: A folder with `train.de` and `train.en`, and `val` (or valid, validation, dev) and `test` likewise; two
            aligned files, the source first; a file with a source text, a tab and a target text in each line; or a
            table, which a file of tabs is too where its first line names "source" and "target", or these keys do.
        source: The ending of the source files in a folder, or the column of a table that has the source texts. Where
            left out: the first of two endings by alphabet, or the column "source".
        target: That of the target files or texts, likewise: the other ending, or the column "target".
        val_path: What is validated on, in any form but a folder; where left out that of the folder, or else a share of
            the training part.
        test_path: What is tested on, likewise.
        empty: What becomes of a pair that lacks a text on one side: "error", or "skip".
        val_fraction: Share of the pairs for validation, where nothing is given for it.
        test_fraction: Share of the pairs for the final test, likewise.
        tokenizer: Makes tokens of targets; words where left out.
        source_tokenizer: Makes tokens of sources; one like `tokenizer`, with a vocabulary of its own, where left out.
        joint: Whether both sides have one vocabulary.
        copy_unknown: Whether words of a source that the vocabulary lacks may be copied, for a model that copies; both
            sides need one vocabulary of words, whose `min_count` then counts both.
        max_source_length: Tokens of the longest source; any number where left out.
        max_target_length: Tokens of the longest target, likewise.
        too_long: What becomes of a longer one: "error"; or, in training, "skip" or "cut".
        batch_size: Pairs in a batch.
        batch_tokens: In place of it: as many pairs as have, padded, no more tokens than this on both sides together.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training, over targets; whole targets where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose vocabularies are used.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pairs.tsv"
        >>> _ = path.write_text("ein Hund\ta dog\nzwei Hunde\ttwo dogs\n" * 10)
        >>> module = ParallelText(str(path), batch_size=4)
        >>> module.setup()
        >>> window = next(iter(module.train_dataloader()))
        >>> window.context.shape, window.inputs.shape  # two words and <eos>; <bos> and two words
        (torch.Size([4, 3]), torch.Size([4, 3]))
    """

    def __init__(
        self,
        path: str | list[str],
        source: str | None = None,
        target: str | None = None,
        val_path: str | list[str] | None = None,
        test_path: str | list[str] | None = None,
        empty: Empty = "error",
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        tokenizer: Tokenizer | None = None,
        source_tokenizer: Tokenizer | None = None,
        joint: bool = False,
        copy_unknown: bool = False,
        max_source_length: int | None = None,
        max_target_length: int | None = None,
        too_long: TooLong = "error",
        batch_size: int = 64,
        batch_tokens: int | None = None,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        if joint and source_tokenizer is not None:
            raise UserError("data.joint=true: both sides have one tokenizer; leave out data.source_tokenizer")
        if copy_unknown and not (joint and isinstance(tokenizer or WordTokenizer(), WordTokenizer)):
            raise UserError("data.copy_unknown=true: copies words; expected data.joint=true and tokenizer=word")
        self.copy_unknown = copy_unknown
        self.path, self.given = path, {"val": val_path, "test": test_path}
        self.source, self.target, self.empty = source, target, empty
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self.tokenizer, self.source_tokenizer, self.joint = tokenizer or WordTokenizer(), source_tokenizer, joint
        self.limits = LengthLimits(max_source_length, max_target_length, too_long)
        self.batch_size, self.batch_tokens, self.tbptt, self.seed = batch_size, batch_tokens, tbptt, seed
        self.earlier = spec

    def load(self) -> Loaded:
        """Reads the files."""
        parts = self._parts()
        tokenizers = self._tokenizers(parts["train"])
        examples = {part: self.limits.encode(pairs, tokenizers, part == "train") for part, pairs in parts.items()}
        spec = tokenizers.spec({**parts, "train": parts["train"][:_SAMPLE]})
        return load_examples(spec, examples, self.batch_size, self.tbptt, self.seed, self.batch_tokens)

    def read_requests(self, path: str) -> list[Request]:
        """Reads source texts from a table, or from the lines of any other text file, where a tab ends them."""
        if self.earlier is None:
            raise UserError(f"input={path}: only a trained run can write")
        tokenizers = self._tokenizers([])
        return [source_request(row, path, tokenizers, self.limits) for row in read_sources(path, self._column(path))]

    def read_source(self, source: str) -> Example:
        """Makes an example of a source text."""
        return encode_source(source.strip(), f"source={source}", self._tokenizers([]), self.limits)

    def _column(self, path: str) -> str | None:
        """Returns the column of a table that the user named; the ending of files in a folder only if it is one."""
        table = not isinstance(self.path, list) and Path(self.path).expanduser().is_file()
        return self.source if table or has_column(Path(path).expanduser(), self.source) else None

    def _tokenizers(self, pairs: Sequence[TextPair]) -> PairTokenizers:
        if self.earlier is not None:
            known = PairTokenizers.from_spec(self.earlier)
            self._check_known(known)
            return known
        return PairTokenizers.fitted(pairs, self.tokenizer, self.source_tokenizer, self.joint, self.copy_unknown)

    def _check_known(self, known: PairTokenizers) -> None:
        """Refuses keys that ask for other vocabularies than those of the run."""
        told = {"joint": known.source is known.target, "copy_unknown": known.copy_unknown}
        for key, trained in told.items():
            given = getattr(self, key)
            if given != trained:
                raise UserError(
                    f"data.{key}={str(given).lower()}: this run was trained with data.{key}={str(trained).lower()}, "
                    "which its vocabulary depends on; leave it out"
                )

    def _parts(self) -> Mapping[str, list[TextPair]]:
        """Reads what is given and draws the rest from the training part."""
        files: dict[str, str | list[str]] = {"train": self.path}
        if not isinstance(self.path, list) and Path(self.path).expanduser().is_dir():
            files |= aligned_files(Path(self.path).expanduser(), self.source, self.target, self.given)
        files |= {part: path for part, path in self.given.items() if path}
        parts = {part: self._read(path, part) for part, path in files.items()}
        val, test = (0.0 if part in parts else self.fractions[part] for part in ("val", "test"))
        pairs = parts["train"]
        drawn = split_parts(len(pairs), val, test, self.seed)
        return parts | {part: [pairs[number] for number in numbers] for part, numbers in drawn.items() if numbers}

    def _read(self, path: str | list[str], part: str) -> list[TextPair]:
        key = "data.path" if part == "train" else f"data.{part}_path"
        return read_pairs(path, self.source, self.target, self.empty, key)

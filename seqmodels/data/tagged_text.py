"""Sentences with a tag for each word."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.examples import Example, load_examples
from seqmodels.data.formats.conll import read_conll_words
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.tagged.reading import TagColumns, Tagged, files_of
from seqmodels.data.tagged.words import WordEncoder
from seqmodels.data.tokenizers.base import check_at_least
from seqmodels.data.windows import IGNORE_INDEX, TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


class TaggedText(DataModule):
    r"""The user's sentences, each word with a tag and with its characters.

    Args:
        path: A file in CoNLL-U, by its suffix `.conllu`, or in plain CoNLL; or a folder of files whose names end in
            `train`, `dev` and `test`.
        word_column: The column of the words: a name of CoNLL-U such as "form", or a number, 0 the first and -1 the
            last; "form" or 0 where left out.
        tag_column: The column of the tags, likewise; "upos" or -1 where left out.
        val_path: The file to validate on; a share of `path` where there is none.
        test_path: The file to test on, likewise.
        val_fraction: Share of the sentences for validation, where nothing is given for it.
        test_fraction: Share of the sentences for the final test, likewise.
        min_count: Words that are rarer in the training part count as unseen.
        max_characters: Characters that are kept of a word: of a longer one its beginning and its end.
        batch_size: Sentences in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole sentences where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose words, characters and tags are used.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "names.conll"
        >>> _ = path.write_text("Emma B-PER\nleft O\n\n" * 10)
        >>> module = TaggedText(str(path))
        >>> module.setup()
        >>> module.splits, module.spec["targets"]["classes"]
        (('train', 'val', 'test'), ['B-PER', 'O'])
    """

    def __init__(
        self,
        path: str,
        word_column: str | int | None = None,
        tag_column: str | int | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        min_count: int = 1,
        max_characters: int = 20,
        batch_size: int = 32,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        check_at_least("data.min_count", min_count, 1)
        check_at_least("data.max_characters", max_characters, 1)
        self.path, self.given = path, {"val": val_path, "test": test_path}
        self.columns = TagColumns(word_column, tag_column)
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self.min_count, self.max_characters = min_count, max_characters
        self.batch_size, self.tbptt, self.seed = batch_size, tbptt, seed
        self.earlier = spec

    def load(self) -> Loaded:
        """Reads the files."""
        earlier = self._earlier_spec() if self.earlier else None
        parts = self._parts()
        spec = earlier or self._fit(parts)
        encoder = WordEncoder.from_spec(spec["words"])
        tags = {tag: number for number, tag in enumerate(spec["targets"]["classes"])}
        examples = {part: [_example(one, encoder, tags) for one in sentences] for part, sentences in parts.items()}
        return load_examples(spec, examples, self.batch_size, self.tbptt, self.seed)

    def read_requests(self, path: str) -> list[Request]:
        """Reads the words of a file; it needs no column of tags."""
        encoder = WordEncoder.from_spec(self._earlier_spec()["words"])
        requests = []
        for line, words, _, problem in read_conll_words(Path(path).expanduser(), self.columns.word):
            example = None if problem else Example(encoder.encode(words), np.zeros(len(words), np.int64))
            requests.append(Request(line, example, problem, items=words))
        return requests

    def _fit(self, parts: dict[str, list[Tagged]]) -> dict[str, Any]:
        encoder = WordEncoder.fitted((one.words for one in parts["train"]), self.min_count, self.max_characters)
        counts = Counter(tag for one in parts["train"] for tag in one.tags)
        # A rare tag may be missing from the training part: it counts as wrong then, as it should.
        tags = sorted({tag for sentences in parts.values() for one in sentences for tag in one.tags if tag is not None})
        if len(tags) < 2:
            told = f"all words have the tag {tags[0]!r}" if tags else "no word has a tag"
            raise UserError(f"data.tag_column={self.columns.tag}: {told}")
        return {
            "kind": "sequences",
            "shape": "many_to_many",
            "inputs": {"kind": "words", **encoder.sizes},
            "targets": {"kind": "classes", "classes": tags, "counts": [counts[tag] for tag in tags]},
            "words": encoder.to_spec(),
        }

    def _earlier_spec(self) -> dict[str, Any]:
        spec = self.earlier or {}
        if spec.get("inputs", {}).get("kind") != "words":
            raise UserError("data: these are tagged words, and the run was trained on something else")
        return spec

    def _parts(self) -> dict[str, list[Tagged]]:
        """Reads what is given and draws the rest from the training part."""
        files = files_of(self.path) | {part: path for part, path in self.given.items() if path}
        keys = {"train": "data.path", **{part: f"data.{part}_path" for part in self.given}}
        parts = {part: self.columns.read(file, keys[part]) for part, file in files.items()}
        val, test = (0.0 if part in parts else self.fractions[part] for part in ("val", "test"))
        sentences = parts["train"]
        drawn = split_parts(len(sentences), val, test, self.seed)
        return parts | {part: [sentences[number] for number in numbers] for part, numbers in drawn.items() if numbers}


def _example(sentence: Tagged, encoder: WordEncoder, tags: dict[str, int]) -> Example:
    for tag in sentence.tags:
        if tag is not None and tag not in tags:
            raise UserError(f"{sentence.place}: tag {tag!r} is not known; expected one of {', '.join(tags)}")
    targets = [IGNORE_INDEX if tag is None else tags[tag] for tag in sentence.tags]
    return Example(encoder.encode(sentence.words), np.array(targets, np.int64))

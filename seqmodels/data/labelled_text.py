"""Texts with a label each, to be classified or to have a number predicted of them."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqmodels.data.examples import Example, load_examples
from seqmodels.data.labelled.labels import LabelKind, Labels
from seqmodels.data.labelled.reading import LabelledRow, TextSource, folder_form, read_texts_to_label
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.tokenizers import Tokenizer, WordTokenizer, tokenizer_from_spec
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


@dataclass(frozen=True)
class Fractions:
    """Which share of the texts is for what, where no files are given for it."""

    val: float
    test: float

    def __post_init__(self) -> None:
        check_fractions(val_fraction=self.val, test_fraction=self.test)


class LabelledText(DataModule):
    r"""The user's texts, each with a class, with several labels, or with a number.

    Args:
        path: A `.csv`, `.tsv` or `.jsonl` file with named columns; a folder for each class with a text in each file; a
            folder of one file for each class with a text in each line; or `hub:NAME` of a data set of the hub.
        text_column: The column that has the text.
        label_column: The one that has the label.
        label_kind: "classes": one of several; "labels": any number of several; "numbers": a number.
        label_separator: What stands between several labels, where the file has no lists.
        glob: Which files of a folder.
        val_path: What to validate on, read as `path` is; a share of `path` where left out.
        test_path: What to test on, likewise.
        val_fraction: Share of the texts for validation, where nothing is given for it; of every class alike.
        test_fraction: Share of the texts for the final test, likewise.
        tokenizer: Makes tokens of text; words where left out. It is fitted to the training part alone.
        batch_size: Texts in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole texts where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose vocabulary and labels are used.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "reviews.csv"
        >>> _ = path.write_text("text,label\n" + "a fine film,good\na poor film,bad\n" * 5)
        >>> module = LabelledText(str(path))
        >>> module.setup()
        >>> module.splits, module.spec["targets"]["classes"], module.spec["inputs"]["vocab_size"]
        (('train', 'val', 'test'), ['bad', 'good'], 5)
    """

    def __init__(
        self,
        path: str,
        text_column: str = "text",
        label_column: str = "label",
        label_kind: LabelKind = "classes",
        label_separator: str = ",",
        glob: str = "*.txt",
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.source = TextSource(text_column, label_column, glob)
        self.labels = Labels(label_kind, label_column, label_separator)
        self.fractions = Fractions(val_fraction, test_fraction)
        self.tokenizer = tokenizer or WordTokenizer()
        self.batch_size, self.tbptt, self.seed = batch_size, tbptt, seed
        self.earlier = spec

    def load(self) -> Loaded:
        """Reads the files."""
        earlier = self._earlier_spec() if self.earlier else None
        parts, drawn = self._parts()
        spec = earlier or self._fit(parts["train"], [row for part in drawn for row in parts[part]])
        tokenizer = tokenizer_from_spec(spec["tokenizer"])
        examples = {
            part: [
                Example(encoded(row.text, tokenizer), self.labels.encode(row.label, spec["targets"], row.place))
                for row in rows
            ]
            for part, rows in parts.items()
        }
        return load_examples(spec, examples, self.batch_size, self.tbptt, self.seed)

    def read_requests(self, path: str) -> list[Request]:
        """Reads texts from a table, from a folder, or from the lines of any other text file, without labels."""
        spec = self._earlier_spec()
        tokenizer, target = tokenizer_from_spec(spec["tokenizer"]), self.labels.absent(spec["targets"])
        requests = []
        folder = spec.get("folder", "files")
        for row in read_texts_to_label(path, self.source.text_column, self.source.glob, folder):
            example = None if row.problem else Example(encoded(row.text, tokenizer), target)
            requests.append(Request(row.line, example, row.problem, file=row.file))
        return requests

    def _fit(self, rows: list[LabelledRow], held_out: list[LabelledRow]) -> dict[str, Any]:
        tokenizer = copy.deepcopy(self.tokenizer)
        if not tokenizer.fitted:
            tokenizer.fit(row.text for row in rows)
        return {
            "kind": "sequences",
            "shape": "many_to_one",
            "inputs": {"kind": "tokens", "vocab_size": tokenizer.vocab_size},
            "targets": self.labels.describe([row.label for row in rows], [row.label for row in held_out]),
            "tokenizer": tokenizer.to_spec(),
            "folder": folder_form(self.paths["train"] or ""),
        }

    def _earlier_spec(self) -> dict[str, Any]:
        spec = self.earlier or {}
        if spec.get("shape") != "many_to_one" or "tokenizer" not in spec:
            raise UserError("data: these are labelled texts, and the run was trained on something else")
        self.labels.check(spec["targets"])
        return spec

    def _parts(self) -> tuple[dict[str, list[LabelledRow]], list[str]]:
        """Reads what is given and draws the rest from the training part; returns too which were drawn."""
        parts = self._read("train")
        for part in ("val", "test"):
            if self.paths[part]:
                parts[part] = self._read(part)["train"]
        val = 0.0 if "val" in parts else self.fractions.val
        test = 0.0 if "test" in parts else self.fractions.test
        rows = parts["train"]
        classes = [str(row.label) for row in rows] if self.labels.kind == "classes" else None
        drawn = split_parts(len(rows), val, test, self.seed, classes, [row.place for row in rows])
        chosen = {part: [rows[number] for number in numbers] for part, numbers in drawn.items() if numbers}
        return parts | chosen, [part for part in chosen if part != "train"]

    def _read(self, part: str) -> dict[str, list[LabelledRow]]:
        """Reads what is given for a part; its labels are parsed."""
        key = "data.path" if part == "train" else f"data.{part}_path"
        found = self.source.read(self.paths[part] or "", key)
        return {
            name: [row._replace(label=self.labels.parse(row.label, row.place)) for row in rows]
            for name, rows in found.items()
        }


def encoded(text: str, tokenizer: Tokenizer) -> np.ndarray:
    """Returns the tokens of a text `(time,)`, int64."""
    return tokenizer.encode(text).astype(np.int64)

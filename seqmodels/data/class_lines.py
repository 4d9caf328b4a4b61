"""Lines of text conditioned on their class, such as names by language."""

from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.conditioned import ConditionedConfig, ConditionedData, Text, class_requests, class_spec
from seqmodels.data.formats.class_folders import read_class_folders
from seqmodels.data.module import Loaded, Request
from seqmodels.data.splits import split_parts
from seqmodels.data.tokenizers import CharTokenizer, Tokenizer
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


class ClassLines(ConditionedData):
    """Texts to be written given their class: one file for each class with a text in each line, or a folder for each.

    Args:
        path: The folder of these files, such as `names/Irish.txt`.
        glob: Which files.
        val_fraction: Share of the texts of each class, drawn with `seed`, that is for validation.
        test_fraction: Share of the texts of each class that is for the final test.
        tokenizer: Makes tokens of text; characters where left out.
        batch_size: Texts in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole texts where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose vocabulary and classes are used.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    def __init__(
        self,
        path: str,
        glob: str = "*.txt",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        made = tokenizer or CharTokenizer()
        config = ConditionedConfig(made, batch_size, tbptt, seed, spec, val_fraction, test_fraction)
        super().__init__(config, num_workers)
        self.path, self.glob = path, glob

    def load(self) -> Loaded:
        """Reads the files."""
        items = read_class_folders(Path(self.path).expanduser(), self.glob)
        context = (self.config.spec or {}).get("context") or class_spec(sorted({item.label for item in items}))
        classes = context["classes"]
        for item in items:
            if item.label not in classes:
                raise UserError(f"{item.place}: {item.label!r} is no class of this run; there are {', '.join(classes)}")
        texts = [Text(item.text, np.array(classes.index(item.label), np.int64)) for item in items]
        labels, places = [item.label for item in items], [item.place for item in items]
        config = self.config
        numbers = split_parts(len(items), config.val_fraction, config.test_fraction, config.seed, labels, places)
        return self.listed(texts, context, numbers)

    def read_requests(self, path: str) -> list[Request]:
        """Reads the class of a text to be written from each line of a file."""
        return class_requests(path, self.config.spec)

"""Generated text, to be classified or tagged."""

from typing import Any

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.data.generated import Generated
from seqmodels.data.labelled.reading import TextRow, read_texts_to_label
from seqmodels.data.module import Request
from seqmodels.data.synthetic.text_problem import TextProblem
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES


class GeneratedText(Generated):
    """A problem made of text, drawn as in `Generated`; predictions are for texts in a file.

    Args:
        problem: What is drawn.
        train_size: Texts of an epoch.
        val_size: Texts that are validated on, always the same.
        test_size: Texts of the test.
        text_column: The column of a table that has the texts to predict for.
        batch_size: Texts in a batch.
        num_workers: Processes that draw batches ahead.
        tbptt: Windows of training; whole texts where left out.
        seed: Of all draws.
        spec: Not used, as nothing is fitted.

    Raises:
        UserError: Where a size is out of range.

    Example:
        >>> from seqmodels.data import PrefixParity
        >>> module = GeneratedText(PrefixParity(), train_size=128)
        >>> module.setup()
        >>> module.spec["targets"], len(module.train_dataloader())
        ({'kind': 'classes', 'classes': ['even', 'odd']}, 2)
    """

    problem: TextProblem

    def __init__(
        self,
        problem: TextProblem,
        train_size: int = 10000,
        val_size: int = 1000,
        test_size: int = 2000,
        text_column: str = "text",
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(problem, train_size, val_size, test_size, batch_size, num_workers, tbptt, seed, spec)
        self.text_column = text_column

    def read_requests(self, path: str) -> list[Request]:
        """Reads texts from a table, or from the lines of any other text file."""
        return [self._request(row, path) for row in read_texts_to_label(path, self.text_column)]

    def _request(self, row: TextRow, path: str) -> Request:
        if row.problem:
            return Request(row.line, None, row.problem)
        tokenizer = self.problem.tokenizer
        if unknown := tokenizer.unknown(row.text):
            return Request(row.line, None, f"{path} line {row.line}: {unknown[0]!r} never occurs in these data")
        ids = tokenizer.encode(row.text).astype(np.int64)
        if self.problem.spec["shape"] == "many_to_one":
            return Request(row.line, Example(ids, np.array(0, np.int64)))
        return Request(row.line, Example(ids, np.zeros_like(ids)), items=[tokenizer.decode([token]) for token in ids])

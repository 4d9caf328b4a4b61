"""Data modules of problems whose examples are drawn."""

from typing import Any

import numpy as np

from seqmodels.data.arrays.requests import read_array_requests
from seqmodels.data.examples import GeneratedExamples, load_examples
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.synthetic.problem import GeneratedProblem
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

_SAMPLE = 1000
"""So many examples tell the mean of numbers, for the predictor that always answers with it."""


class Generated(DataModule):
    """A problem's examples, each a function of (seed, part, index): nothing is stored, and no two epochs are the same.

    Args:
        problem: What is drawn.
        train_size: Examples of an epoch.
        val_size: Examples that are validated on, always the same.
        test_size: Examples of the test.
        batch_size: Examples in a batch.
        num_workers: Processes that draw batches ahead.
        tbptt: Windows of training; whole sequences where left out.
        seed: Of all draws.
        spec: Not used, as nothing is fitted.

    Raises:
        UserError: Where a size is out of range.

    Example:
        >>> from seqmodels.data import Parity
        >>> data = Generated(Parity(length=4), batch_size=10)
        >>> data.setup("fit")
        >>> next(iter(data.test_dataloader())).inputs.shape  # tested on sequences four times as long
        torch.Size([10, 16])
    """

    def __init__(
        self,
        problem: GeneratedProblem,
        train_size: int = 6400,
        val_size: int = 500,
        test_size: int = 1000,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}
        for part, size in self.sizes.items():
            if size < (part == "train"):
                raise UserError(f"data.{part}_size={size}: expected an integer of at least {int(part == 'train')}")
        self.problem = problem
        self.batch_size, self.tbptt, self.seed = batch_size, tbptt, seed

    def load(self) -> Loaded:
        """Draws nothing yet but what tells the mean of numbers."""
        spec = {"kind": "sequences", **self.problem.spec}
        parts = {
            part: GeneratedExamples(self.problem.of_part(part), self.seed, part, size)
            for part, size in self.sizes.items()
        }
        if spec["targets"]["kind"] == "numbers":
            drawn = [parts["train"][index].targets for index in range(_SAMPLE)]
            spec["targets"] = {**spec["targets"], "means": np.mean(drawn, 0, np.float64).tolist()}
        return load_examples(spec, parts, self.batch_size, self.tbptt, self.seed)

    def read_requests(self, path: str) -> list[Request]:
        """Reads sequences like the problem's out of the array `x` of a `.npz` file; `lengths` may tell theirs."""
        return read_array_requests(path, {"kind": "sequences", **self.problem.spec})

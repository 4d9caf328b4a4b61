"""Groups of ids that must appear in what a beam writes, and how far each hypothesis has come with them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.decoding.constraints import NOTHING, for_each_row, pad_ids


class Progress(NamedTuple):
    """How far hypotheses have come.

    Attributes:
        met: Whether each group of ids has appeared `(rows, hypotheses, groups)`.
        begun: How many of a group's first ids the hypothesis ends with `(rows, hypotheses, groups)`.
    """

    met: Tensor
    begun: Tensor

    def take(self, hypotheses: Tensor) -> "Progress":
        """Returns that of the hypotheses `(rows, count)`."""
        index = hypotheses[..., None].expand(-1, -1, self.met.shape[2])
        return Progress(self.met.gather(1, index), self.begun.gather(1, index))


class Required:
    """Groups of ids that must appear, for each row of a batch.

    A beam is dealt out among hypotheses by how many of the ids they have met, so that those that are behind and
    likely do not push out those that are ahead (Post and Vilar 2018, "Fast lexically constrained decoding with dynamic
    beam allocation for neural machine translation").

    Args:
        required: For each row its groups; one list serves all rows.
        rows: How many rows there are.
        device: Where they are searched for.

    Example:
        >>> required = Required([[[1, 2]]], rows=1, device=torch.device("cpu"))
        >>> progress = required.after(torch.tensor([[[0, 1], [1, 2]]]), required.begin(2))
        >>> required.missing(progress)
        tensor([[1, 0]])
    """

    def __init__(self, required: Sequence[Sequence[Sequence[int]]], rows: int, device: torch.device):
        lists = for_each_row("required", required, rows)
        groups = max((len(row) for row in lists), default=0)
        flat = pad_ids([group for row in lists for group in [*row, *[[]] * (groups - len(row))]], device)
        self.longest = flat.shape[1]
        self.ids = flat.view(rows, groups, self.longest)
        self.sizes = (self.ids != NOTHING).sum(2)

    def begin(self, hypotheses: int) -> Progress:
        """Returns the progress of so many hypotheses a row that have written nothing."""
        begun = torch.zeros_like(self.sizes)[:, None].repeat(1, hypotheses, 1)
        return Progress((self.sizes == 0)[:, None].expand_as(begun), begun)

    def after(self, tails: Tensor, before: Progress) -> Progress:
        """Returns the progress after one more id.

        Args:
            tails: The last ids of each hypothesis, with the new one `(rows, hypotheses, longest)`; `NOTHING` before its
                first.
            before: Their progress without it.
        """
        begun = torch.zeros_like(before.begun)
        for size in range(1, self.longest + 1):
            ends = (tails[:, :, None, -size:] == self.ids[:, None, :, :size]).all(3)
            begun = begun.masked_fill(ends & (size <= self.sizes)[:, None], size)
        return Progress(before.met | (begun == self.sizes[:, None]), begun)

    def missing(self, progress: Progress) -> Tensor:
        """Counts the ids that hypotheses have yet to write `(rows, hypotheses)`."""
        return (self.sizes[:, None] - progress.begun).masked_fill(progress.met, 0).sum(2)

    def wanted(self, progress: Progress) -> Tensor:
        """Returns the ids that may take hypotheses further `(rows, hypotheses, count)`, with `NOTHING` among them.

        Those are all of a group's ids and not the next alone: its first may keep begun what another would lose.
        """
        return torch.where(progress.met[..., None], NOTHING, self.ids[:, None]).flatten(2)

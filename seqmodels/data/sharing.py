"""Batches of which one of several processes takes its rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from seqmodels.data.windows import WHOLE_SEQUENCES, Window, WindowPlan
from seqmodels.processes import Share


class SharedBatches(Dataset[Window]):
    """The same batches in the same order, with the rows of one process alone.

    Where a key says which examples a batch has and which steps of them, no others are read. Any other batch is made
    whole and then cut.

    Args:
        batches: A dataset of whole batches.
        share: What this process takes of each.

    Example:
        >>> from seqmodels.data.batches import StreamWindows
        >>> from seqmodels.data.windows import Chunks
        >>> windows = StreamWindows(np.arange(9), num_rows=2, windowing=Chunks(3))
        >>> SharedBatches(windows, Share(rank=1, count=2))[0].inputs.tolist()
        [[4, 5, 6]]
    """

    def __init__(self, batches: Dataset[Window], share: Share):
        self.batches = batches
        self.share = share

    def __getitem__(self, key: Any) -> Window:
        if self._names_examples(key):
            indices, plan = key
            window = self.batches[indices[self.share.rows(len(indices))], plan]
            return window._replace(stands_in=self.share.stands_in(len(indices)))
        return take_rows(self.batches[key], self.share)

    def _names_examples(self, key: Any) -> bool:
        """Whether a key says which examples a batch has, and what is made of one does not depend on the others."""
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], np.ndarray)):
            return False
        return isinstance(key[1], WindowPlan) or getattr(self.batches, "windowing", None) == WHOLE_SEQUENCES


def take_rows(window: Window, share: Share) -> Window:
    """Returns the rows of a batch that a process takes.

    Example:
        >>> window = Window(torch.eye(3), torch.arange(3), torch.ones(3), first=True, handoff=1, num_without_gradient=0)
        >>> take_rows(window, Share(1, 2)).targets, take_rows(window, Share(3, 4)).stands_in
        (tensor([1]), True)
    """
    num_rows = len(window.inputs)
    rows = share.rows(num_rows)
    taken: dict[str, Any] = {
        name: value[rows] for name, value in window._asdict().items() if isinstance(value, torch.Tensor | Sequence)
    }
    return window._replace(**taken, stands_in=share.stands_in(num_rows))

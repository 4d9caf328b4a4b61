"""Examples to look at a model with, out of a part of its data."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from seqmodels.data import Example, Window
from seqmodels.data.batches import StreamWindows

_BATCHES = 200
"""So many batches of a part are looked through at most."""


def examples_of(loader: DataLoader, spec: Mapping[str, Any], count: int, steps: int) -> list[Example]:
    """Takes examples out of a loader for evaluation.

    Args:
        loader: See `DataModule.evaluation_dataloader`.
        spec: What a model knows of the data.
        count: How many whole sequences at most, from all over the part, as its batches may go from short to long ones;
            the first is one from the middle.
        steps: How many steps they have together, about; of a stream of text, which is one long sequence, its beginning.
    """
    if isinstance(loader.dataset, StreamWindows):
        return [stream_example(loader.dataset.tokens.take(np.arange(min(steps + 1, len(loader.dataset.tokens)))))]
    whole = spec.get("shape") == "many_to_one"
    num_batches = min(len(loader), _BATCHES)
    chosen = np.linspace(0, num_batches - 1, min(count, num_batches)).round().astype(int)
    each = -(-count // len(chosen))
    found = []
    for number, window in enumerate(islice(loader, num_batches)):
        if number in chosen and window.first:
            rows = np.unique(np.linspace(0, len(window.inputs) - 1, each).round().astype(int))
            found += [_row(window, row, whole) for row in rows.tolist()]
    fitting = round(steps / np.mean([len(example.inputs) for example in found]))
    spread = np.linspace(0, len(found) - 1, min(max(fitting, 1), count, len(found))).round().astype(int).tolist()
    middle = len(spread) // 2
    return [found[place] for place in spread[middle:] + spread[:middle]]


def stream_example(ids: np.ndarray) -> Example:
    """Makes an example of a text's ids, each token the target of the one before."""
    ids = ids.astype(np.int64)
    return Example(ids[:-1], ids[1:])


def _row(window: Window, row: int, whole: bool) -> Example:
    length = int(window.lengths[row])
    targets = window.targets[row] if whole else window.targets[row, :length]
    context = None if window.context is None else window.context[row]
    if context is not None and window.context_lengths is not None:
        context = context[: int(window.context_lengths[row])]
    return Example(
        window.inputs[row, :length].numpy(),
        targets.numpy(),
        None if context is None else context.numpy(),
        None if window.references is None else window.references[row],
        None if window.words is None else window.words[row],
    )

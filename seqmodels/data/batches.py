"""Batches of windows: from one long stream, and from many lines of different lengths."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Dataset

from seqmodels.data.windows import TBPTT, Chunks, Tokens, Window, Windowing, WindowPlan, cut_window
from seqmodels.errors import UserError

EVALUATION = Chunks(256)
"""Validation and test run over their part in these, the state carried from one to the next."""


class StreamWindows(Dataset[Window]):
    """A stream as `num_rows` contiguous rows of equal length; item `i` is window `i` of all rows.

    The last rows end in padding where the targets do not divide by the rows, so that no target is lost. Only the window
    that is asked for is read.

    Args:
        tokens: The stream.
        num_rows: Rows, which is the batch size.
        windowing: How rows are cut into windows.

    Example:
        >>> windows = StreamWindows(np.arange(9), num_rows=2, windowing=Chunks(3))
        >>> [window.inputs.tolist() for window in (windows[0], windows[1])]
        [[[0, 1, 2], [4, 5, 6]], [[3], [7]]]
    """

    def __init__(self, tokens: Tokens, num_rows: int, windowing: Windowing):
        num_targets = len(tokens) - 1
        self.tokens = tokens
        self.windowing = windowing
        self.num_rows = num_rows
        self.row_length = -(-num_targets // num_rows)
        self.starts = np.minimum(np.arange(num_rows) * self.row_length, num_targets)
        self.lengths = np.minimum(num_targets - self.starts, self.row_length)

    def __len__(self) -> int:
        return self.windowing.count(self.row_length)

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return cut_window(self.tokens, self.starts, self.lengths, self.windowing.plan(self.row_length, index))


def training_stream(tokens: Tokens, batch_size: int, tbptt: TBPTT) -> StreamWindows:
    """Returns the windows of a training stream.

    Raises:
        UserError: Where the rows are shorter than one window, or than the gradient is to reach back.
    """
    windows = StreamWindows(tokens, batch_size, tbptt)
    length = windows.row_length
    if length < (tbptt.k1 or 1):
        raise UserError(
            f"tbptt.k1={tbptt.k1}: the training part has {len(tokens)} tokens, in data.batch_size={batch_size} rows of "
            f"{length} steps; expected rows of at least tbptt.k1: a longer text, or a lower data.batch_size or tbptt.k1"
        )
    tbptt.check_against(length)
    return windows


def evaluation_stream(tokens: Tokens, batch_size: int) -> StreamWindows:
    """Returns chunks of a stream for validation and test, in fewer rows where the stream is short."""
    num_rows = min(batch_size, max(1, (len(tokens) - 1) // EVALUATION.steps))
    return StreamWindows(tokens, num_rows, EVALUATION)


LineKey = tuple[np.ndarray, WindowPlan]
"""The numbers of a batch's lines `(batch,)`, and which steps of them."""


class LineWindows(Dataset[Window]):
    """Sequences of different lengths in one flat array; an item is one window of some of them, padded.

    Args:
        tokens: All sequences, one after the other.
        starts: Where each starts, and the end of the last `(lines + 1,)`.
    """

    def __init__(self, tokens: Tokens, starts: np.ndarray):
        self.tokens = tokens
        self.starts = starts

    @property
    def lengths(self) -> np.ndarray:
        """Targets of each line `(lines,)`."""
        return np.diff(self.starts) - 1

    def __getitem__(self, key: LineKey) -> Window:
        lines, plan = key
        starts = self.starts[lines]
        return cut_window(self.tokens, starts, self.starts[lines + 1] - starts - 1, plan)


class BucketedLines:
    """Batches of lines of about the same length: all lines sorted by length, cut into batches, these then shuffled.

    Where each line has a context that is a sequence too, lines of equal length are sorted by its length. Those equal in
    both are shuffled among each other. Both shuffles are functions of (seed, epoch). Each epoch has the same number of
    windows.

    Args:
        lengths: Targets of each line `(lines,)`.
        batch_size: Lines in a batch; the last one may have fewer.
        windowing: How lines are cut into windows, counted over the longest line of a batch.
        seed: Of the shuffles; `None` goes from the shortest lines to the longest.
        context_lengths: Steps of each line's context `(lines,)`, where that is a sequence.
        batch_tokens: In place of `batch_size`: as many lines as have, padded to the longest line and the longest
            context among them, no more steps of both than this; a line that has more is a batch by itself.

    Example:
        >>> order = BucketedLines(np.array([2, 3, 2]), 1, Chunks(9), None, np.array([5, 1, 2]), batch_tokens=14)
        >>> [lines.tolist() for lines, plan in order.keys(epoch=0, start=0)]
        [[2, 0], [1]]
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        windowing: Windowing,
        seed: int | None = None,
        context_lengths: np.ndarray | None = None,
        batch_tokens: int | None = None,
    ):
        self.lengths = lengths
        self.context_lengths = np.zeros_like(lengths) if context_lengths is None else context_lengths
        self.windowing = windowing
        self.seed = seed
        # Lines that change places in an epoch have the same lengths, so that the batches' sizes are those of every one.
        order = np.lexsort((self.context_lengths, lengths))
        if batch_tokens is None:
            self.bounds = np.append(np.arange(0, len(lengths), batch_size), len(lengths))
        else:
            self.bounds = _filled_batches(lengths[order], self.context_lengths[order], batch_tokens)
        self.num_batches = len(self.bounds) - 1
        self.longest = lengths[order][self.bounds[1:] - 1]
        self.num_windows = np.array([windowing.count(int(length)) for length in self.longest], np.int64)

    def __len__(self) -> int:
        return int(self.num_windows.sum())

    def keys(self, epoch: int, start: int) -> Iterator[LineKey]:
        """Yields which lines and steps make each batch of `epoch`, from number `start` on."""
        sorted_lines, batches = self._shuffle(epoch)
        ends = np.cumsum(self.num_windows[batches])
        for position in range(int(np.searchsorted(ends, start, side="right")), self.num_batches):
            batch = int(batches[position])
            lines = sorted_lines[self.bounds[batch] : self.bounds[batch + 1]]
            num_windows = int(self.num_windows[batch])
            skipped = max(0, start - (int(ends[position]) - num_windows))
            for index in range(skipped, num_windows):
                yield lines, self.windowing.plan(int(self.longest[batch]), index)

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lines by length, and the order of the batches that they are cut into."""
        if self.seed is None:
            return np.lexsort((self.context_lengths, self.lengths)), np.arange(self.num_batches)
        generator = np.random.default_rng([self.seed, epoch])
        by_length = np.lexsort((generator.random(len(self.lengths)), self.context_lengths, self.lengths))
        return by_length, generator.permutation(self.num_batches)


def _filled_batches(lengths: np.ndarray, context_lengths: np.ndarray, batch_tokens: int) -> np.ndarray:
    """Returns where batches of sorted lines begin, and the end of the last."""
    bounds, longest_context = [0], 0
    for place, (length, context_length) in enumerate(zip(lengths.tolist(), context_lengths.tolist(), strict=True)):
        longest_context = max(longest_context, context_length)
        if place > bounds[-1] and (place + 1 - bounds[-1]) * (length + longest_context) > batch_tokens:
            bounds.append(place)
            longest_context = context_length
    return np.array([*bounds, len(lengths)])

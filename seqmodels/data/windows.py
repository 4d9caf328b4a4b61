"""Truncated backpropagation through time: where each update's window lies, and how it is cut from the tokens."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from seqmodels.errors import UserError

IGNORE_INDEX = -100
"""The target of a padded step; `torch.nn.functional.cross_entropy` leaves it out by default."""


class WindowPlan(NamedTuple):
    """One update's place in a sequence.

    Attributes:
        start: First step read.
        stop: One past the last step read.
        num_targets: How many of the last steps are scored.
        handoff: Steps from `start` to where the next window starts, which is where the state is handed on.
        num_without_gradient: How many of the first steps are run without gradient (k1 > k2).
        first: Whether the sequence starts here, so that no state was handed on before.
    """

    start: int
    stop: int
    num_targets: int
    handoff: int
    num_without_gradient: int
    first: bool


@dataclass(frozen=True)
class TBPTT:
    """Update every `k1` steps, with the gradient of each update over its last `k2` steps; `None` is the whole sequence.

    Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories", where it is called BPTT(h; h').

    Args:
        k1: Steps from one update to the next.
        k2: Steps the gradient flows back. Where it is larger than `k1` windows overlap and each target is still scored
            once; where it is smaller only the last `k2` of every `k1` targets are scored. The last update of a sequence
            may have fewer than `k1` targets; its gradient still flows over `k2` steps.

    Raises:
        UserError: Where one of them is below 1.

    Example:
        >>> [(plan.start, plan.stop, plan.num_targets) for plan in plan_windows(6, TBPTT(k1=2, k2=3))]
        [(0, 2, 2), (1, 4, 2), (3, 6, 2)]
    """

    k1: int | None = 64
    k2: int | None = 64

    def __post_init__(self) -> None:
        for name, steps in (("k1", self.k1), ("k2", self.k2)):
            if steps is not None and steps < 1:
                raise UserError(f"tbptt.{name}={steps}: expected an integer of at least 1, or null for whole sequences")

    def check_against(self, longest: int) -> None:
        """Refuses a `k2` that reaches further back than the longest sequence does.

        Args:
            longest: Steps of the longest sequence there is.

        Raises:
            UserError: With the length and what would be valid.
        """
        if self.k2 is not None and self.k2 > longest:
            raise UserError(
                f"tbptt.k2={self.k2}: the longest sequence has {longest} steps; expected 1 to {longest}, "
                "or null for the whole"
            )

    def count(self, length: int) -> int:
        """Returns the number of updates over a sequence of `length` steps."""
        return -(-length // (self.k1 or length)) if length else 0

    def plan(self, length: int, index: int) -> WindowPlan:
        """Returns the plan of update `index`, from 0, over a sequence of `length` steps.

        Example:
            >>> TBPTT(k1=4, k2=1).plan(10, index=1)
            WindowPlan(start=4, stop=8, num_targets=1, handoff=4, num_without_gradient=3, first=False)
        """
        k1, k2 = self.k1 or length, self.k2 or length
        start, stop, num_targets = _place(length, k1, k2, index)
        is_last = stop == length
        handoff = stop - start if is_last else _place(length, k1, k2, index + 1)[0] - start
        without_gradient = max(0, stop - start - k2)
        return WindowPlan(start, stop, num_targets, handoff, without_gradient, first=index == 0)


def _place(length: int, k1: int, k2: int, index: int) -> tuple[int, int, int]:
    """Returns where a window starts, where it stops, and how many of its last steps are scored."""
    begin = index * k1
    stop = min(begin + k1, length)
    start = min(begin, max(0, stop - k2))
    return start, stop, min(k2, stop - begin)


DEFAULT_TBPTT = TBPTT()
WHOLE_SEQUENCES = TBPTT(None, None)


@dataclass(frozen=True)
class Chunks:
    """Windows side by side, all steps scored, the last one shorter: for evaluation, where no gradient flows.

    Args:
        steps: Length of a chunk.
    """

    steps: int = 256

    def count(self, length: int) -> int:
        """Returns the number of chunks of a sequence of `length` steps."""
        return -(-length // self.steps)

    def plan(self, length: int, index: int) -> WindowPlan:
        """Returns the plan of chunk `index`, from 0, of a sequence of `length` steps."""
        start = index * self.steps
        size = min(self.steps, length - start)
        return WindowPlan(start, start + size, size, handoff=size, num_without_gradient=0, first=index == 0)


class Windowing(Protocol):
    """A way to cut sequences into windows: `TBPTT` or `Chunks`."""

    def count(self, length: int) -> int:
        """Returns the number of windows of a sequence of `length` steps."""

    def plan(self, length: int, index: int) -> WindowPlan:
        """Returns the plan of window `index`, from 0."""


def plan_windows(length: int, windowing: Windowing) -> list[WindowPlan]:
    """Returns the plans of all windows of a sequence of `length` steps, in order."""
    return [windowing.plan(length, index) for index in range(windowing.count(length))]


class Window(NamedTuple):
    """A batch: one window of every row, for one update.

    Attributes:
        inputs: Token ids `(batch, time)`, int64; of other sequences `(batch, time, ...)`, see `Example`.
        targets: Of the last `num_targets` steps `(batch, num_targets, ...)`, or one of each row `(batch, ...)`; where
            nothing is scored, as in padding, `IGNORE_INDEX` for classes, which are int64, and NaN for numbers.
        lengths: Steps of each row that are not padding `(batch,)`, int64, 0 to time.
        first: Whether sequences start here: the state is reset before this window.
        handoff: Steps into this window at which the state is taken that the next window starts from, 0 to time.
        num_without_gradient: How many of the first steps only move the state on.
        context: What each row is conditioned on `(batch, ...)`; `None` where on nothing.
        context_lengths: Where that is a sequence, the steps of each that are not padding `(batch,)`; otherwise `None`.
        references: The text of each row's target as people wrote it; `None` where tokens are all there is.
        words: What the source of each row has beyond the vocabulary, see `Example`; `None` where that is not asked for.
        stands_in: Whether the rows are those of another process and count for nothing here, see `Share`.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor
    first: bool
    handoff: int
    num_without_gradient: int
    context: Tensor | None = None
    context_lengths: Tensor | None = None
    references: tuple[str, ...] | None = None
    words: tuple[tuple[str, ...], ...] | None = None
    stands_in: bool = False

    def on(self, device: torch.device) -> "Window":
        """Returns the window with its tensors on a device."""
        moved = {name: value.to(device) for name, value in self._asdict().items() if isinstance(value, Tensor)}
        return Window(**(self._asdict() | moved))


class Tokens(Protocol):
    """A flat array of token ids: an array, or a file of them that is read where it is asked."""

    def __len__(self) -> int:
        """Returns the number of tokens."""

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Returns the tokens at `indices`, in their shape."""


def cut_window(tokens: Tokens, starts: np.ndarray, lengths: np.ndarray, plan: WindowPlan) -> Window:
    """Cuts one window out of sequences that lie in a flat array. Reads nothing but that window.

    Args:
        tokens: All token ids.
        starts: Where each sequence starts in `tokens` `(batch,)`.
        lengths: Targets of each sequence `(batch,)`, one less than its tokens; 0 is padding throughout.
        plan: Which steps.

    Returns:
        The window; its padding repeats the sequence's last token as input.

    Example:
        >>> window = cut_window(np.arange(9), np.array([0, 4]), np.array([4, 3]), TBPTT(2, 2).plan(4, 1))
        >>> window.inputs.tolist(), window.targets.tolist(), window.lengths.tolist()
        ([[2, 3], [6, 7]], [[3, 4], [7, -100]], [2, 1])
    """
    steps = np.arange(plan.start, plan.stop + 1)
    places = np.minimum(starts[:, None] + steps, (starts + lengths)[:, None])
    ids = torch.from_numpy(tokens.take(places).astype(np.int64))
    is_padding = torch.from_numpy(steps[:-1] >= lengths[:, None])
    targets = ids[:, 1:].masked_fill(is_padding, IGNORE_INDEX)[:, plan.stop - plan.start - plan.num_targets :]
    return Window(
        inputs=ids[:, :-1].contiguous(),
        targets=targets.contiguous(),
        lengths=torch.from_numpy(np.clip(lengths - plan.start, 0, plan.stop - plan.start).astype(np.int64)),
        first=plan.first,
        handoff=plan.handoff,
        num_without_gradient=plan.num_without_gradient,
    )

"""What may come next: rules that sampling and beam search share, for all rows at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from seqmodels.errors import UserError

NOTHING = -1
"""Stands in padded lists of ids where there is none."""

T = TypeVar("T")


@dataclass(frozen=True)
class Constraints:
    """What may be written, whatever the model thinks.

    Logits of what may not come next become minus infinity. The n-gram rule and the minimum length give way in a step
    where they would leave nothing.

    Args:
        forbidden: Ids that are never written.
        min_length: Ids that are written before the stop id may come.
        no_repeat_ngram: Of how many ids a group is that never comes twice in a row's text, the prompt counted
            (Paulus, Xiong and Socher 2018, "A deep reinforced model for abstractive summarization"); 0 for no such
            rule.
        repetition_penalty: Divides positive logits of ids that the text has already, the prompt counted, and multiplies
            negative ones (Keskar et al. 2019, "CTRL: a conditional transformer language model"); 1 changes nothing.
        prefix: For each row, the ids that it begins with; one such list serves all rows, none leaves them free.
        required: For each row, the groups of ids that must appear, in any order; one such list serves all rows. Beam
            search alone can promise it.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> rules = Constraints(forbidden=[0], no_repeat_ngram=2)
        >>> rules.permit(torch.zeros(1, 4), torch.tensor([[1, 2, 3, 1]]), written=4, stop=None)  # after 1 came 2
        tensor([[-inf, 0., -inf, 0.]])
    """

    forbidden: Sequence[int] = ()
    min_length: int = 0
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    prefix: Sequence[Sequence[int]] = ()
    required: Sequence[Sequence[Sequence[int]]] = ()

    def __post_init__(self) -> None:
        if self.min_length < 0:
            raise ValueError(f"min_length={self.min_length}: expected at least 0")
        if self.no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram={self.no_repeat_ngram}: expected at least 1, or 0 for no such rule")
        if not 0 < self.repetition_penalty < float("inf"):
            raise ValueError(f"repetition_penalty={self.repetition_penalty}: expected a number above 0 (1 is none)")
        if any(len(group) == 0 for groups in self.required for group in groups):
            raise ValueError("required: expected at least one id in each group that must appear")

    @property
    def reads_text(self) -> bool:
        """Whether what may come next depends on what the text has already."""
        return self.no_repeat_ngram > 0 or self.repetition_penalty != 1

    def penalise(self, logits: Tensor, text: Tensor) -> Tensor:
        """Lowers the logits `(rows, vocab_size)` of the ids of each row's text `(rows, time)`."""
        if self.repetition_penalty == 1:
            return logits
        found = logits.gather(1, text)
        lowered = torch.where(found > 0, found / self.repetition_penalty, found * self.repetition_penalty)
        return logits.scatter(1, text, lowered)

    def permit(self, logits: Tensor, text: Tensor, written: int, stop: int | None) -> Tensor:
        """Sets the logits of what may not come next to minus infinity.

        Args:
            logits: Scores of what comes next `(rows, vocab_size)`.
            text: The ids of each row so far, the prompt with them `(rows, time)`.
            written: How many of them were written.
            stop: The id that ends a row.

        Returns:
            The logits `(rows, vocab_size)`.
        """
        if self.forbidden:
            logits = logits.index_fill(1, torch.tensor(list(self.forbidden), device=logits.device), -torch.inf)
        allowed = logits
        if self.no_repeat_ngram and text.shape[1] >= self.no_repeat_ngram:
            allowed = without_repeats(logits, text, self.no_repeat_ngram)
        if stop is not None and written < self.min_length:
            allowed = allowed.index_fill(1, torch.tensor([stop], device=logits.device), -torch.inf)
        if allowed is logits:
            return logits
        stuck = allowed.amax(1, keepdim=True) == -torch.inf
        return torch.where(stuck, logits, allowed) if bool(stuck.any()) else allowed

    def forced(self, rows: int, device: torch.device) -> Tensor:
        """Returns the ids that each row begins with `(rows, time)`, `NOTHING` where a row is free.

        Raises:
            ValueError: Where they are not of so many rows.
        """
        return pad_ids(for_each_row("prefix", self.prefix, rows), device)


def without_repeats(logits: Tensor, text: Tensor, n: int) -> Tensor:
    """Sets logits of ids that would end a group of `n` ids which the row has already to minus infinity.

    Args:
        logits: Scores of what comes next `(rows, vocab_size)`.
        text: Ids `(rows, time)`, at least `n` of them.
        n: Ids in a group.

    Returns:
        The logits `(rows, vocab_size)`.

    Example:
        >>> without_repeats(torch.zeros(1, 3), torch.tensor([[0, 1, 0]]), 2)
        tensor([[0., -inf, 0.]])
    """
    groups = text.unfold(1, n, 1)  # (rows, groups, n)
    begun = (groups[..., :-1] == text[:, None, text.shape[1] - n + 1 :]).all(2)
    bounds = torch.where(begun, -torch.inf, torch.inf).to(logits.dtype)
    return logits.scatter_reduce(1, groups[..., -1], bounds, "amin")


def for_each_row(name: str, given: Sequence[Sequence[T]], rows: int) -> list[Sequence[T]]:
    """Returns a list for each row, of one for all or one for each.

    Raises:
        ValueError: Where there is another number of them.
    """
    if len(given) not in (0, 1, rows):
        raise ValueError(f"{name}: expected a list for each of {rows} rows, or one for all, got {len(given)}")
    return list(given) if len(given) == rows else list(given or [[]]) * rows


def pad_ids(lists: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Returns lists of ids as one tensor `(lists, longest)`, filled with `NOTHING`.

    Example:
        >>> pad_ids([[5], [6, 7]], torch.device("cpu"))
        tensor([[ 5, -1],
                [ 6,  7]])
    """
    longest = max((len(ids) for ids in lists), default=0)
    padded = [[*ids, *[NOTHING] * (longest - len(ids))] for ids in lists]
    return torch.tensor(padded, dtype=torch.long, device=device).reshape(len(padded), longest)


def force(logits: Tensor, forced: Tensor, permitted: Tensor) -> Tensor:
    """Leaves nothing but the forced id to rows that have one.

    Args:
        logits: Scores before any rule `(rows, vocab_size)`, which a forced id keeps.
        forced: The id of each row `(rows,)`, `NOTHING` where it is free.
        permitted: Scores of what may come next `(rows, vocab_size)`.

    Returns:
        Scores `(rows, vocab_size)`.
    """
    ids = forced.clamp(min=0)[:, None]
    alone = torch.full_like(logits, -torch.inf).scatter(1, ids, logits.gather(1, ids))
    return torch.where((forced == NOTHING)[:, None], permitted, alone)


def check_logits(largest: Tensor) -> None:
    """Refuses logits that say nothing.

    Args:
        largest: The largest logit of each row, or their log-sum-exp.

    Raises:
        UserError: Where it is not finite.
    """
    if bool(largest.isfinite().all()):
        return
    if bool((largest.isnan() | (largest == torch.inf)).any()):
        raise UserError("the model's logits are NaN or infinite: its weights or its inputs are not finite")
    raise UserError("nothing may come next: the model or the constraints rule out every id")

"""Labels out of a model that scores them, or a blank, at every step: connectionist temporal classification.

Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data with recurrent neural
networks". A path says one label or the blank at each step; repeats of a label that no blank parts are one label.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

NONE = -1
"""Stands where a labelling has ended."""


class Labelling(NamedTuple):
    """Labels that a sequence may have.

    Attributes:
        labels: Their ids, without blanks.
        log_probability: In nats, of all paths that say so and that the search has kept.
    """

    labels: list[int]
    log_probability: float


def collapse(path: Iterable[int], blank: int) -> list[int]:
    """Returns the labels that a path stands for.

    Example:
        >>> collapse([0, 3, 3, 0, 3, 1], blank=0)
        [3, 3, 1]
    """
    return [label for label, _ in groupby(path) if label != blank]


def likeliest_path(logits: Tensor, lengths: Tensor | None, blank: int) -> list[list[int]]:
    """Returns what the likeliest path of each row stands for, which may not be its likeliest labels.

    Args:
        logits: `(batch, steps, labels)`, the blank among them.
        lengths: Steps of each row `(batch,)`; all where left out.
        blank: Id of the blank.
    """
    ends = [logits.shape[1]] * len(logits) if lengths is None else lengths.tolist()
    return [collapse(row[:end], blank) for row, end in zip(logits.argmax(-1).tolist(), ends, strict=True)]


class _Beam(NamedTuple):
    """The labellings that a search keeps.

    Attributes:
        labels: Ids, `NONE` behind the end `(batch, beam, longest)`.
        counts: Labels of each `(batch, beam)`.
        ending_blank: Log probability of the paths so far that end in a blank `(batch, beam)`.
        ending_label: Of those that end in the last label; where both are minus infinity nothing is kept.
    """

    labels: Tensor
    counts: Tensor
    ending_blank: Tensor
    ending_label: Tensor

    @property
    def total(self) -> Tensor:
        return torch.logaddexp(self.ending_blank, self.ending_label)


def prefix_beam_search(
    logits: Tensor, lengths: Tensor | None, blank: int, beam_size: int = 10
) -> list[list[Labelling]]:
    """Finds the likeliest labels of each row, where the paths that say the same are summed.

    Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs",
    algorithm 1, without a language model. All rows, and all labellings of a beam, take a step at once.

    Args:
        logits: `(batch, steps, labels)`, the blank among them.
        lengths: Steps of each row `(batch,)`; all where left out.
        blank: Id of the blank.
        beam_size: Labellings that are kept at each step.

    Returns:
        For each row the labellings that are left, `beam_size` at most, the likeliest first.

    Raises:
        ValueError: Where the beam is below 1.

    Example:
        >>> logits = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()[None]
        >>> likeliest_path(logits, None, blank=0)
        [[]]
        >>> [(labels, round(p, 2)) for labels, p in prefix_beam_search(logits.exp().log(), None, blank=0)[0]]
        [([1], -0.45), ([], -1.02)]
    """
    if beam_size < 1:
        raise ValueError(f"beam_size={beam_size}: expected at least 1")
    scores = (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)
    batch, steps, _ = scores.shape
    ends = torch.full((batch,), steps, device=scores.device) if lengths is None else lengths.to(scores.device)
    nothing = scores.new_full((batch, beam_size), -torch.inf)
    begun = nothing.clone()
    begun[:, 0] = 0.0
    no_labels = torch.full((batch, beam_size, 1), NONE, device=scores.device)
    beam = _Beam(no_labels, torch.zeros_like(no_labels[..., 0]), begun, nothing)
    for step in range(steps):
        beam = _step(beam, scores[:, step], blank, step < ends)
    return _read(beam)


def _step(beam: _Beam, scores: Tensor, blank: int, running: Tensor) -> _Beam:
    """Takes a step of `(batch, labels)` log probabilities; rows that are not `running` `(batch,)` stay as they are."""
    size, vocab = beam.counts.shape[1], scores.shape[-1]
    last = beam.labels.gather(-1, (beam.counts - 1).clamp(min=0)[..., None])[..., 0]  # NONE where there is none
    repeated = torch.where(last >= 0, scores.gather(1, last.clamp(min=0)), -torch.inf)
    stay_blank = beam.total + scores[:, blank, None]
    stay_label = beam.ending_label + repeated

    extended = beam.total[..., None] + scores[:, None]
    same = last.clamp(min=0)[..., None]  # a label again is another one only behind a blank
    again = torch.where(last >= 0, beam.ending_blank + repeated, extended.gather(-1, same)[..., 0])
    extended = extended.scatter(-1, same, again[..., None])
    extended[..., blank] = -torch.inf
    stay_label, extended = _merge(beam, last, stay_label, extended)

    stay = torch.logaddexp(stay_blank, stay_label)
    _, chosen = torch.cat([stay, extended.flatten(1)], 1).topk(size, dim=1)
    grown = chosen >= size
    source = torch.where(grown, (chosen - size) // vocab, chosen)
    label = (chosen - size) % vocab
    after = _Beam(
        _appended(beam, source, label, grown),
        beam.counts.gather(1, source) + grown,
        stay_blank.gather(1, source).masked_fill(grown, -torch.inf),
        torch.where(grown, extended.flatten(1).gather(1, (chosen - size).clamp(min=0)), stay_label.gather(1, source)),
    )
    longer = torch.nn.functional.pad(beam.labels, (0, after.labels.shape[-1] - beam.labels.shape[-1]), value=NONE)
    kept = running[:, None]
    return _Beam(
        torch.where(kept[..., None], after.labels, longer),
        *(torch.where(kept, new, old) for new, old in zip(after[1:], beam[1:], strict=True)),
    )


def _merge(beam: _Beam, last: Tensor, stay_label: Tensor, extended: Tensor) -> tuple[Tensor, Tensor]:
    """Moves what makes a labelling that the beam has already to that one.

    Args:
        beam: The beam.
        last: The last label of each `(batch, beam)`.
        stay_label: Log probability of what each has by staying `(batch, beam)`.
        extended: Of each with one more label `(batch, beam, labels)`.
    """
    places = (beam.counts - 1).clamp(min=0)[..., None]
    shorter = beam.labels.scatter(-1, places, NONE)  # each without its last label
    alive = beam.total > -torch.inf
    is_parent = (shorter[:, :, None] == beam.labels[:, None]).all(-1)  # (batch, child, parent)
    is_parent &= alive[:, None] & (alive & (last >= 0))[..., None]
    labels = last.clamp(min=0)[:, None].expand(-1, last.shape[1], -1)  # (batch, parent, child)
    passed = extended.gather(-1, labels).transpose(1, 2).masked_fill(~is_parent, -torch.inf)
    stay_label = torch.logaddexp(stay_label, passed.amax(-1))  # none has more than one parent
    taken = torch.zeros_like(extended).scatter_add(-1, labels, is_parent.transpose(1, 2).to(extended.dtype))
    return stay_label, extended.masked_fill(taken > 0, -torch.inf)


def _appended(beam: _Beam, source: Tensor, label: Tensor, grown: Tensor) -> Tensor:
    """Returns the labels of what was chosen, with room for one more in each."""
    labels = beam.labels.gather(1, source[..., None].expand(-1, -1, beam.labels.shape[-1]))
    counts = beam.counts.gather(1, source)[..., None]
    if int(counts.max()) >= labels.shape[-1]:
        labels = torch.nn.functional.pad(labels, (0, labels.shape[-1]), value=NONE)
    written = torch.where(grown, label, labels.gather(-1, counts)[..., 0])
    return labels.scatter(-1, counts, written[..., None])


def _read(beam: _Beam) -> list[list[Labelling]]:
    totals, order = beam.total.sort(dim=1, descending=True)
    labels = beam.labels.gather(1, order[..., None].expand_as(beam.labels))
    return [
        [
            Labelling([label for label in found if label != NONE], total)
            for found, total in zip(row, chances, strict=True)
            if total > -torch.inf
        ]
        for row, chances in zip(labels.tolist(), totals.tolist(), strict=True)
    ]

"""Spans in tags such as B-PER I-PER O: precision, recall and F1, as seqeval has them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.tasks.measures.measure import Measure

_PREFIXES = "BIES"
OUTSIDE = "O"


class Span(NamedTuple):
    """A run of tags that names one thing.

    Attributes:
        type: What it is, such as "PER"; "_" where tags say nothing but B, I, E or S.
        first: Its first place.
        last: Its last place.
    """

    type: str
    first: int
    last: int


class SpanScores(NamedTuple):
    """Counts over all spans, and what follows from them.

    Attributes:
        found: Spans that the predicted tags have.
        true: Spans that the true tags have.
        correct: Those of both, in type, first and last place.
    """

    found: int
    true: int
    correct: int

    @property
    def precision(self) -> float:
        """Share of the found spans that are correct; 0 where there are none."""
        return self.correct / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the true spans that are found; 0 where there are none."""
        return self.correct / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, over all types together (micro); 0 where there are no spans."""
        spans = self.found + self.true
        return 2 * self.correct / spans if spans else 0.0


def are_span_tags(tags: Sequence[str]) -> bool:
    """Tells whether tags mark spans: each is O, or B, I, E, S alone or before a hyphen and a type, and one is not O.

    Example:
        >>> are_span_tags(["O", "B-PER", "I-PER"]), are_span_tags(["NOUN", "VERB"])
        (True, False)
    """
    marked = [tag for tag in tags if tag != OUTSIDE]
    return bool(marked) and all(tag[:1] in _PREFIXES and tag[1:2] in ("", "-") and tag != "" for tag in marked)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Returns the spans of a sentence's tags, whichever of IOB, IOB2, IOE or IOBES they are written in.

    A span goes on as long as the type stays and nothing says otherwise: B and S begin one, E and S end one, a change of
    type or O ends one. A span need not begin with B: after O, or after another type, I or E begins one too. This is the
    definition of the CoNLL-2000 evaluation script (Tjong Kim Sang and Buchholz 2000) and of seqeval's default mode.

    Args:
        tags: The tags of one sentence.

    Example:
        >>> spans_of(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
        [Span(type='PER', first=0, last=1), Span(type='LOC', first=3, last=3), Span(type='LOC', first=4, last=4)]
    """
    spans: list[Span] = []
    first: int | None = None
    previous, previous_type = OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, type_ = tag[:1], tag[1:].removeprefix("-") or "_"
        new_type = type_ != previous_type
        begins = prefix in "BS" or previous in "ESO" or new_type
        if first is not None and (begins or prefix == OUTSIDE):
            spans.append(Span(previous_type, first, place - 1))
            first = None
        if begins and prefix != OUTSIDE:
            first = place
        previous, previous_type = prefix, type_
    return spans


def score_spans(predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> SpanScores:
    """Counts spans over sentences; a predicted one is correct where type, first and last place are.

    Args:
        predicted: The predicted tags of each sentence.
        true: The true tags of each sentence, as many.

    Raises:
        ValueError: Where the lengths differ.

    Example:
        >>> scores = score_spans([["B-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "B-LOC"]])
        >>> scores.precision, scores.recall, scores.f1
        (0.5, 0.5, 0.5)
    """
    found = correct = expected = 0
    for own, other in zip(predicted, true, strict=True):
        if len(own) != len(other):
            raise ValueError(f"predicted={len(own)} tags: expected {len(other)}, as there are true ones")
        spans, truth = set(spans_of(own)), set(spans_of(other))
        found, expected, correct = found + len(spans), expected + len(truth), correct + len(spans & truth)
    return SpanScores(found, expected, correct)


class SpanF1(Measure):
    """Precision, recall and F1 of the spans that tags mark, over all sentences; see `spans_of`.

    Args:
        classes: The tags.

    Example:
        >>> import numpy as np, torch
        >>> from seqmodels.data import Example, collate
        >>> measure = SpanF1(["O", "B-PER", "I-PER"])
        >>> window = collate([Example(np.zeros(3), np.array([1, 2, 0])), Example(np.zeros(1), np.array([1]))])
        >>> measure.update({"class": torch.tensor([[1, 0, 0], [1, 2, 2]])}, window)
        >>> measure.compute()
        {'span_precision': 0.5, 'span_recall': 0.5, 'span_f1': 0.5}
    """

    def __init__(self, classes: Sequence[str]):
        self.classes = classes
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.scores = SpanScores(0, 0, 0)

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Counts the spans of each sentence; steps that are not scored are no part of it."""
        predicted, true = [], []
        for found, targets in zip(described["class"].tolist(), window.targets.tolist(), strict=True):
            scored = [place for place, target in enumerate(targets) if target != IGNORE_INDEX]
            predicted.append([self.classes[found[place]] for place in scored])
            true.append([self.classes[targets[place]] for place in scored])
        scores = score_spans(predicted, true)
        self.scores = SpanScores(*(before + new for before, new in zip(self.scores, scores, strict=True)))

    def compute(self) -> dict[str, float]:
        """Returns the three figures."""
        scores = self.scores
        return {"span_precision": scores.precision, "span_recall": scores.recall, "span_f1": scores.f1}

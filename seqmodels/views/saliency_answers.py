"""What the methods say to a question, and what of it can be believed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.analysis import (
    SALIENCY_METHODS,
    Attribution,
    Completeness,
    Score,
    agreement,
    completeness,
    gradients,
    integrated_gradients,
    occluded,
    smooth_gradient,
)
from seqmodels.data import Example
from seqmodels.models import Forecaster
from seqmodels.views.saliency_question import Question
from seqmodels.views.subject import Subject

WORK = 1e11
"""Multiplications and additions that one question may take, about: seconds on a core."""

_FEWEST_POINTS, _MOST_POINTS = 128, 512


class Answer(NamedTuple):
    """What the methods say to a question.

    Attributes:
        question: The question.
        found: Of each score, what each method says, in the order of `SALIENCY_METHODS`; all of them of those that are
            looked at closely, "gradient x input" and "occlusion" of the others.
        scores: Each score.
        complete: Of those that are looked at closely, by their places: whether integrated gradients add up.
    """

    question: Question
    found: list[dict[str, Attribution]]
    scores: list[float]
    complete: dict[int, Completeness]

    def agreed(self, place: int) -> dict[str, float]:
        """Returns how each method ranks the steps beside occlusion, of one score."""
        found = self.found[place]
        return {
            name: agreement(attribution, found["occlusion"])
            for name, attribution in found.items()
            if name != "occlusion"
        }


def answer(question: Question, model: nn.Module) -> Answer:
    """Asks all methods.

    Args:
        question: The question.
        model: What is asked; it tells how much can be afforded.
    """
    vectors, count = question.vectors, len(question.outputs)
    with torch.no_grad():
        reached = question.scores(vectors[None])[0].tolist()
    slopes = gradients(question.scores, vectors, count)
    lost = occluded(question.scores, vectors)
    found = [
        {
            "gradient x input": Attribution(slopes[place] * vectors, shares=True),
            "occlusion": Attribution(lost[:, place : place + 1], shares=True),
        }
        for place in range(count)
    ]
    complete = {}
    points = _affordable_points(model, len(vectors))
    for place in question.close:
        score = _one(question.scores, place)
        found[place] |= {
            "gradient": Attribution(slopes[place], shares=False),
            "integrated gradients": integrated_gradients(score, vectors, max_points=points),
            "SmoothGrad": smooth_gradient(score, vectors),
        }
        complete[place] = completeness(score, vectors, found[place]["integrated gradients"])
    ordered = [{name: one[name] for name in SALIENCY_METHODS if name in one} for one in found]
    return Answer(question, ordered, reached, complete)


def _one(scores: Score, place: int) -> Score:
    def score(rows: Tensor) -> Tensor:
        return scores(rows)[:, place]

    return score


def numbers(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Returns everything that was found, as plain JSON."""
    return [
        {
            "title": one.question.title,
            "part": one.question.part,
            "steps": _named(one.question),
            "prompt": one.question.prompt,
            "scores": [_scored(one, place) for place in range(len(one.found))],
        }
        for one in answers
    ]


def _named(question: Question) -> list[str] | int:
    """Returns the names of the steps that are read, or how many there are."""
    count = len(question.vectors)
    return count if question.labels is None else question.labels[:count]


def _scored(one: Answer, place: int) -> dict[str, Any]:
    agreed = {name: _plain(value) for name, value in one.agreed(place).items()}
    told: dict[str, Any] = {
        "score": one.question.outputs[place],
        "value": _plain(one.scores[place]),
        "agreement": agreed,
    }
    if place in one.complete:
        whole = one.complete[place]
        told["completeness"] = {"sum": _plain(whole.total), "gain": _plain(whole.gain), "error": _plain(whole.error)}
    told["methods"] = {
        name: {"signed": plain(found.signed), "norm": plain(found.norm)} for name, found in one.found[place].items()
    }
    if one.question.labels is None and place in one.complete:  # features of tokens mean nothing
        parts = one.found[place]["integrated gradients"].values.flatten(1)
        told["integrated gradients of each feature"] = [plain(feature) for feature in parts.T]
    return told


def plain(values: Tensor) -> list[float | None]:
    """Returns numbers as JSON has them, with four digits."""
    return [_plain(value) for value in values.tolist()]


def _plain(value: float) -> float | None:
    return float(f"{value:.4g}") if abs(value) < float("inf") else None


# What can be afforded


def shortened(subject: Subject, count: int, steps: int, prompt: int) -> tuple[Subject, bool]:
    """Returns a subject with so many of its examples, none longer than can be looked at, and whether any was cut.

    Those that are short enough come first. Of a text that goes on and of a window of a forecast the end is kept, of
    anything else the beginning.

    Args:
        subject: The subject.
        count: Examples.
        steps: Steps of one, and of its source.
        prompt: Steps of a text that goes on.
    """
    from_end = subject.spec.get("form") == "stream" or isinstance(subject.model, Forecaster)
    if subject.spec.get("form") == "stream":
        steps = min(steps, prompt)
    if isinstance(subject.model, Forecaster):
        steps = max(steps, subject.model.horizon + 1)
    order = sorted(range(len(subject.examples)), key=lambda place: _length(subject.examples[place]) > steps)
    chosen = [subject.examples[place] for place in order[:count]]
    cut = any(_length(example) > steps for example in chosen)
    kept = [_cut(example, steps, from_end) for example in chosen]
    return replace(subject, examples=kept, _ran={}), cut and not from_end


def _length(example: Example) -> int:
    context = example.context
    return max(len(example.inputs), 0 if context is None or context.ndim > 2 or context.ndim < 1 else len(context))


def _cut(example: Example, steps: int, from_end: bool) -> Example:
    if from_end:
        return example._replace(inputs=example.inputs[-steps:], targets=example.targets[-steps:])
    return example._replace(inputs=example.inputs[:steps])


def _weight(model: nn.Module) -> int:
    """Returns how many multiplications and additions a step takes, about: two for each weight that is no table."""
    tables = sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Embedding))
    return 2 * max(1, sum(parameter.numel() for parameter in model.parameters()) - tables)


def _affordable_points(model: nn.Module, steps: int) -> int:
    """Returns how many points integrated gradients may take; a gradient takes about three times as long as a run."""
    return int(min(_MOST_POINTS, max(_FEWEST_POINTS, WORK / (3 * steps * _weight(model)))))

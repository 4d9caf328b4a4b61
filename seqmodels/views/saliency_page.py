"""Texts coloured by what their steps have to do with a score."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from seqmodels.analysis import SALIENCY_METHODS, Attribution
from seqmodels.views.saliency_answers import Answer, plain

FIRST = "integrated gradients"
"""The method that is shown first."""

_STRONGEST = 0.65
"""How opaque the strongest colour is: text on it can still be read, dark or light."""


_KEYS = (
    'tabindex="0" role="group" aria-label="Steps coloured by what they have to do with the score; the left and right '
    "arrow keys go through them, Home and End to the first and the last, and Enter chooses one that was written"
    '"'
)


def values_of(attribution: Attribution) -> list[float | None]:
    """Returns what each step is coloured by: its part of the score, or where there are no parts the norm."""
    return plain(attribution.signed if attribution.shares else attribution.norm)


def style() -> str:
    """Returns the CSS."""
    return _part("saliency.css")


def script(answers: Sequence[Answer]) -> str:
    """Returns the JavaScript, with the numbers in it."""
    data = [
        [{name: values_of(attribution) for name, attribution in found.items()} for found in answer.found]
        for answer in answers
    ]
    return _part("saliency.js").replace("@@data@@", json.dumps(data, separators=(",", ":")))


def _part(name: str) -> str:
    return files("seqmodels.views").joinpath(name).read_text("utf-8")


def markup(answers: Sequence[Answer]) -> str:
    """Returns the HTML of answers about texts, coloured as they are shown first."""
    return "".join(_box(place, answer) for place, answer in enumerate(answers))


def _box(place: int, answer: Answer) -> str:
    question = answer.question
    close = question.close[0]
    outputs = "".join(
        f'<option value="{number}"{" selected" * (number == close)}>{escape(output)}</option>'
        for number, output in enumerate(question.outputs)
    )
    methods = "".join(f"<option{' selected' * (name == FIRST)}>{name}</option>" for name in SALIENCY_METHODS)
    labels = question.labels or []
    words = "" if all(len(label) == 1 or label.startswith("<") for label in labels) else " words"
    return (
        f'<div class="saliency" data-place="{place}"><h3>{escape(question.title)} ({escape(question.part)})</h3>'
        f'<label>What is explained: <select class="output">{outputs}</select></label>'
        f'<label>By: <select class="method">{methods}</select></label>'
        '<p class="legend">A step <i class="more">raises</i> or <i class="less">lowers</i> the score; gradient and '
        "SmoothGrad have sizes alone. Tap a step for its number, or go through them with the arrow keys.</p>"
        f'<p class="steps{words}" {_KEYS}>{"".join(_steps(answer, close))}</p><output></output></div>'
    )


def _colour(share: float) -> str:
    return f"rgba(var(--{'negative' if share < 0 else 'positive'}), {_STRONGEST * abs(share):.3f})"


def _steps(answer: Answer, close: int) -> Iterator[str]:
    question = answer.question
    values = values_of(answer.found[close][FIRST])
    largest = max((abs(value) for value in values if value is not None), default=0.0) or 1.0
    for step, label in enumerate(question.labels or []):
        value = values[step] if step < len(values) else 0.0  # the last that was written is not read
        name = f"step {step + 1} {label!r}"
        colour = "transparent" if value is None else _colour(value / largest)
        told = "no finite number" if value is None else f"{value:.3g}"
        kinds, chooses = ["no-number"] * (value is None), ""
        if question.prompt is not None and step >= question.prompt:
            number = step - question.prompt
            kinds += ["written", *["asked"] * (number == close)]
            chooses = f' data-output="{number}"'
        written = f' class="{" ".join(kinds)}"{chooses}' if kinds else ""
        seen = escape(label.replace("\n", "↵\n").replace("\t", "⇥\t"))
        yield (
            f'<span{written} data-name="{escape(name)}" title="{escape(name)}: {told}" '
            f'style="background-color: {colour}">{seen}</span>'
        )

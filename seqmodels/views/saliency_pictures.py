"""Pictures of what the steps of a sequence have to do with a score."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from seqmodels.analysis import Attribution
from seqmodels.views.saliency_answers import Answer
from seqmodels.views.subject import shown
from seqmodels.views.view import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

_MOST_LINES = 6
_MOST_NAMED = 60
_TITLE = 80
"""Characters of a title, which name what is explained and a class or a token."""


def draw_close(answer: Answer, place: int) -> Picture:
    """Draws one score: the series with the parts of its steps, and what each method says.

    Args:
        answer: The answer.
        place: Which of its scores.
    """
    from matplotlib.figure import Figure

    question, found = answer.question, answer.found[place]
    wide = question.labels is None and question.vectors[0].numel() > _MOST_LINES
    heights = [2] if question.labels is not None else [2, 2, 2] if wide else [3, 2]
    figure = Figure(figsize=(7, 1 + 0.75 * sum(heights)), layout="constrained")
    *above, below = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    if wide:
        _draw_features(above, question.vectors, found["integrated gradients"])
    elif above:
        _draw_lines(above[0], question.vectors, found["integrated gradients"])
    # Of a text that goes on, what is behind the token that is explained has nothing to do with it.
    last = len(question.vectors) if question.prompt is None else question.prompt + place
    first = 0 if question.prompt is None else max(0, last - _MOST_NAMED)
    _draw_methods(below, found, first, last)
    _name_steps(below, question.labels, first, last)
    figure.suptitle(shown(question.outputs[place], _TITLE), fontsize=10, parse_math=False)
    return Picture(
        figure,
        f"{question.title} ({question.part}). Blue steps raise the {question.outputs[place]}, red ones lower it; each "
        "method is drawn relative to its own largest step, gradient and SmoothGrad by size alone.",
    )


def _numbers(vectors: Tensor) -> np.ndarray:
    return vectors.detach().flatten(1).float().cpu().numpy()


def _draw_lines(axes: "Axes", vectors: Tensor, attribution: Attribution) -> None:
    """Draws a few features as lines before the parts of the steps."""
    values = _numbers(vectors)
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 1.0
    extent = (0.5, len(values) + 0.5, low - room, high + room)
    parts = _scaled(attribution.signed)[None]
    axes.imshow(parts, cmap=_colours(), vmin=-1, vmax=1, aspect="auto", extent=extent, alpha=0.7)
    for feature, line in enumerate(values.T):
        axes.plot(
            np.arange(1, len(values) + 1), line, linewidth=1.2, color=f"C{feature}" if values.shape[1] > 1 else "black"
        )
    axes.set_ylabel("value read")


def _draw_features(above: "Sequence[Axes]", vectors: Tensor, attribution: Attribution) -> None:
    """Draws many features as a picture, and their parts as another below."""
    values = _numbers(vectors).T
    extent = (0.5, values.shape[1] + 0.5, 0.5, len(values) + 0.5)
    above[0].imshow(values, cmap="Greys", aspect="auto", origin="lower", extent=extent)
    above[0].set_ylabel("feature\n(what was read)")
    parts = _scaled(attribution.values.flatten(1)).T
    above[1].imshow(parts, cmap=_colours(), vmin=-1, vmax=1, aspect="auto", origin="lower", extent=extent)
    above[1].set_ylabel("feature\n(integrated grad.)")


def _draw_methods(axes: "Axes", found: dict[str, Attribution], first: int, last: int) -> None:
    rows = np.stack([_scaled((one.signed if one.shares else one.norm)[first:last]) for one in found.values()])
    extent = (first + 0.5, last + 0.5, len(rows) + 0.5, 0.5)
    axes.imshow(rows, cmap=_colours(), vmin=-1, vmax=1, aspect="auto", extent=extent)
    axes.set_yticks(range(1, len(rows) + 1), list(found))


def _name_steps(axes: "Axes", labels: Sequence[str] | None, first: int, last: int) -> None:
    axes.set_xlabel("step read")
    if labels is not None and last - first <= 2 * _MOST_NAMED:
        named = [shown(label) for label in labels[first:last]]
        axes.set_xticks(range(first + 1, last + 1), named, rotation=90, fontsize=7, parse_math=False)


def _scaled(values: Tensor) -> np.ndarray:
    """Returns values relative to the largest; what is no finite number is not a number."""
    array = values.detach().float().cpu().numpy()
    array = np.where(np.isfinite(array), array, np.nan)
    return array / (float(np.abs(array[np.isfinite(array)]).max(initial=0)) or 1.0)


def _colours() -> "Colormap":
    """Makes red, which lowers, to blue, which raises, as on the page; grey is no finite number."""
    from matplotlib import colormaps

    return colormaps["RdBu"].with_extremes(bad="0.6")


def draw_map(answer: Answer) -> Picture:
    """Draws several scores of one example: a row for each, a column for each step that it may come from.

    Args:
        answer: The answer to a question whose scores make a map.
    """
    from matplotlib.figure import Figure

    question = answer.question
    assert question.drawn is not None
    last = len(question.vectors)
    first = max(0, last - _MOST_NAMED - len(question.drawn)) if question.prompt is not None else 0
    figure: Figure = Figure(figsize=(7, 5.5), layout="constrained")
    for axes, name in zip(figure.subplots(2, 1, sharex=True), ("gradient x input", "occlusion"), strict=True):
        rows = np.stack([_scaled(found[name].signed)[first:] for found in answer.found])
        extent = (first + 0.5, last + 0.5, len(rows) + 0.5, 0.5)
        axes.imshow(rows, cmap=_colours(), vmin=-1, vmax=1, aspect="auto", extent=extent)
        axes.set_yticks(range(1, len(rows) + 1), [shown(name) for name in question.drawn], fontsize=7, parse_math=False)
        axes.set_ylabel(f"token that is explained\n({name})")
        if question.prompt is not None:
            axes.axvline(question.prompt + 0.5, color="black", linewidth=0.8)
    _name_steps(axes, question.labels, first, last)
    if question.prompt is not None:
        axes.set_xlabel("step read, behind the line what was written")
    return Picture(
        figure,
        f"{question.title} ({question.part}). Each row is a token that is explained; blue steps raise its probability, "
        "red ones lower it, relative to the row's largest.",
    )

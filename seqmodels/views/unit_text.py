"""A picture of a text coloured by single units, for where no page is read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from seqmodels.views.subject import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 80
LINES = 4
"""Of each text."""


class Coloured(NamedTuple):
    """A text and the unit that colours it.

    Attributes:
        title: What the unit is.
        names: Of the steps.
        values: The unit's activations `(time,)`.
    """

    title: str
    names: Sequence[str]
    values: Tensor


class _Place(NamedTuple):
    step: int
    line: int
    column: int
    text: str


def draw_texts(texts: Sequence[Coloured]) -> "Figure":
    """Draws the beginnings of texts, blue where the unit is positive and red where it is negative.

    Args:
        texts: One under the other.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 1.0 * len(texts)), layout="constrained")
    for axes, text in zip(figure.subplots(len(texts), squeeze=False)[:, 0], texts, strict=True):
        _draw(axes, text)
    return figure


def _draw(axes: "Axes", text: Coloured) -> None:
    from matplotlib import colormaps
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    places = _places(text.names)
    values = text.values[[place.step for place in places]]
    most = max(float(values.nan_to_num(0.0, 0.0, 0.0).abs().max()), 1e-30)
    boxes = [Rectangle((place.column, place.line), len(place.text), 1) for place in places]
    array = np.ma.masked_invalid(values.numpy())
    colours = colormaps["RdBu"].with_extremes(bad="0.6")  # grey is no finite number
    axes.add_collection(PatchCollection(boxes, cmap=colours, array=array, clim=(-1.6 * most, 1.6 * most)))
    for place in places:
        for offset, character in enumerate(place.text):
            if not character.isspace():
                middle = place.column + offset + 0.5, place.line + 0.55
                axes.text(
                    *middle, character, family="monospace", fontsize=7, ha="center", va="center", parse_math=False
                )
    axes.set(xlim=(0, COLUMNS), ylim=(LINES, 0))
    axes.axis("off")
    axes.set_title(shown(text.title, COLUMNS), fontsize="small", loc="left", parse_math=False)


def _places(names: Sequence[str]) -> list[_Place]:
    """Sets steps in lines that are no longer than the picture is wide; empty lines take no place."""
    places: list[_Place] = []
    line = column = 0
    apart = any(len(name) > 1 for name in names if not name.startswith("<"))
    for step, name in enumerate(names):
        shown = name.replace("\n", "").replace("\t", " ") + " " * apart
        if column and column + len(shown) > COLUMNS:
            line, column = line + 1, 0
        if line == LINES:
            break
        if shown:
            places.append(_Place(step, line, column, shown[:COLUMNS]))
            column += len(shown)
        if "\n" in name and column:
            line, column = line + 1, 0
    return [place for place in places if place.line < LINES]

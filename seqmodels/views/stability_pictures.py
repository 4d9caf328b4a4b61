"""Pictures of stability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seqmodels.analysis import CellStability, DrawnResponse
from seqmodels.views.view import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOOR = 1e-8  # what is smaller is drawn so, on logarithmic axes
_COLUMNS = 3


def draw_eigenvalues(cells: Sequence[CellStability]) -> Picture:
    """Draws the eigenvalues of the recurrent matrices on the unit circle, a panel a cell.

    Args:
        cells: What was found of cells that have matrices.

    Returns:
        The picture.
    """
    figure, panels = _grid([cell.name for cell in cells])
    for panel, cell in zip(panels, cells, strict=True):
        for matrix in cell.matrices:
            _dots(panel, matrix.eigenvalues, _short(matrix.name))
        _unit_circle(panel)
        _legend(panel)
    return Picture(figure, "Eigenvalues of the recurrent matrices in the complex plane; the line is the unit circle.")


def draw_singular_values(cells: Sequence[CellStability]) -> Picture:
    """Draws the singular values of the recurrent matrices by rank, a panel a cell.

    Args:
        cells: What was found of cells that have matrices.

    Returns:
        The picture.
    """
    figure, panels = _grid([cell.name for cell in cells])
    for panel, cell in zip(panels, cells, strict=True):
        for matrix in cell.matrices:
            ranks = range(1, len(matrix.singular_values) + 1)
            marker = "." if len(ranks) < 30 else ""
            panel.plot(ranks, matrix.singular_values.tolist(), label=_short(matrix.name), marker=marker)
        panel.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        panel.set(xlabel="rank", ylabel="singular value", ylim=(0, None))
        _legend(panel)
    return Picture(figure, "Singular values of the recurrent matrices, the largest first.")


def draw_jacobians(cells: Sequence[CellStability]) -> Picture:
    """Draws the largest and the mean singular value of the step Jacobian along the data, a panel a cell.

    Args:
        cells: What was found of cells that have spectra.

    Returns:
        The picture.
    """
    figure, panels = _grid([cell.name for cell in cells])
    for panel, cell in zip(panels, cells, strict=True):
        assert cell.spectra is not None
        steps = cell.spectra.steps.tolist()
        lines = {"largest": cell.spectra.largest, "mean": cell.spectra.mean}
        for name, values in lines.items():
            panel.plot(steps, values.clamp(min=_FLOOR).tolist(), marker=".", label=name)
        panel.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        wide = float(cell.spectra.largest.max()) > 20 * float(cell.spectra.mean.min())
        panel.set(xlabel="step", ylabel="singular value", yscale="log" if wide else "linear")
        if not wide:
            panel.set_ylim(bottom=0)
        _legend(panel)
    return Picture(figure, "Singular values of the step Jacobian along the data; above 1 a step stretches.")


def draw_responses(cells: Sequence[CellStability]) -> Picture:
    """Draws what is left of a push by the steps since, a line a cell.

    Args:
        cells: What was found of cells.

    Returns:
        The picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    panel = figure.subplots()
    for cell in cells:
        lags = range(len(cell.response.median))
        (line,) = panel.plot(lags, _floored(cell.response.median), label=cell.name)
        low, high = (_floored(cell.response.quantile(share)) for share in (0.25, 0.75))
        panel.fill_between(lags, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    panel.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
    panel.set(xlabel="steps since the push", ylabel="length of the difference", yscale="log")
    _legend(panel)
    return Picture(figure, "What is left of a small push against the state: median and quartiles; the line is half.")


def draw_drawn_responses(responses: Sequence[DrawnResponse]) -> Picture:
    """Draws the responses of random recurrences to an impulse, a column an activation, a line a radius.

    Args:
        responses: As `drawn_responses` gives them.

    Returns:
        The picture.
    """
    from matplotlib.figure import Figure

    activations = list(dict.fromkeys(response.activation for response in responses))
    radii = list(dict.fromkeys(response.radius for response in responses))
    colors = _viridis(len(radii))
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    panels = figure.subplots(2, len(activations), sharex=True, sharey="row")
    for response in responses:
        column = activations.index(response.activation)
        color = colors[radii.index(response.radius)]
        for panel, values in zip(panels[:, column], (response.norms, response.differences), strict=True):
            panel.plot(values.clamp(min=_FLOOR).tolist(), color=color, label=f"{response.radius:g}")
    for column, activation in enumerate(activations):
        panels[0, column].set(title=activation, yscale="log", ylim=(1e-4, 1e4))
        panels[1, column].set(xlabel="steps", yscale="log", ylim=(1e-4, 1e4))
    panels[0, 0].set(ylabel="state")
    panels[1, 0].set(ylabel="difference")
    # Beside the curves of the sigmoid, which end soon, there is room.
    panels[1, 0].legend(title="radius", fontsize="xx-small", title_fontsize="xx-small", loc="upper right")
    return Picture(
        figure,
        "Random recurrences after an impulse: length of the state, and of what the impulse still makes out of it.",
    )


def draw_fixed_points(cells: Sequence[CellStability]) -> Picture:
    """Draws the eigenvalues of the step Jacobian at the fixed points, a panel a cell.

    Args:
        cells: What was found of cells that have fixed points.

    Returns:
        The picture.
    """
    figure, panels = _grid([cell.name for cell in cells])
    for panel, cell in zip(panels, cells, strict=True):
        assert cell.points is not None
        for number, point in enumerate(cell.points.found):
            _dots(panel, point.eigenvalues, f"{number + 1}: {point.kind}")
        _unit_circle(panel)
        _legend(panel)
    return Picture(figure, "Eigenvalues at the fixed points; outside the unit circle states leave the point.")


def _grid(titles: Sequence[str]) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(titles))
    rows = -(-len(titles) // columns)
    figure = Figure(figsize=(max(3.6, 3 * columns), 2.9 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[len(titles) :]:
        panel.remove()
    for panel, title in zip(panels, titles, strict=False):
        panel.set_title(title, fontsize="medium")
    return figure, panels[: len(titles)]


def _dots(panel: "Axes", values: Tensor, label: str) -> None:
    size = 12 if len(values) <= 64 else 3
    panel.scatter(values.real.tolist(), values.imag.tolist(), s=size, alpha=0.7, linewidths=0, label=label)


def _unit_circle(panel: "Axes") -> None:
    angles = torch.linspace(0, 2 * torch.pi, 200)
    panel.plot(angles.cos().tolist(), angles.sin().tolist(), color="0.5", linewidth=0.8, zorder=0)
    panel.set(aspect="equal", xlabel="real", ylabel="imaginary")
    panel.set_adjustable("datalim")


def _legend(panel: "Axes") -> None:
    panel.legend(fontsize="x-small", markerscale=2)


def _short(name: str) -> str:
    return name.removeprefix("W_hh of ").removeprefix("W_hh, ")


def _floored(curve: Tensor) -> list[float]:
    return curve.clamp(min=_FLOOR, max=1 / _FLOOR).tolist()


def _viridis(count: int) -> list[tuple[float, float, float, float]]:
    from matplotlib import colormaps

    return [colormaps["viridis"](0.9 * number / max(count - 1, 1)) for number in range(count)]

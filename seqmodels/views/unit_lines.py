"""Units over time, as lines: for sequences whose steps are numbers."""

from typing import TYPE_CHECKING

from torch import Tensor

from seqmodels.analysis import CellRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LAYERS = 4
MOST_STEPS = 1000
MOST_INPUTS = 8


def liveliest_units(states: Tensor, count: int) -> list[int]:
    """Returns the units that vary the most over time, in their order; those that are not finite are left out.

    Args:
        states: `(time, units)`.
        count: How many at most.

    Example:
        >>> import torch
        >>> liveliest_units(torch.tensor([[0.0, 1.0, 2.0], [0.0, 9.0, 3.0]]), 2)
        [1, 2]
    """
    spread = states.float().var(0, correction=0)
    spread = spread.masked_fill(~spread.isfinite(), -1.0)
    chosen = spread.topk(min(count, len(spread))).indices.tolist()
    return sorted(unit for unit in chosen if spread[unit] >= 0)


def draw_lines(inputs: Tensor | None, records: list[CellRecord], count: int) -> "Figure":
    """Draws the inputs, and under them some units of each layer.

    Args:
        inputs: What was read `(time, features)`; `None` where it is not made of numbers.
        records: What ran; the first few are drawn.
        count: Units of each.
    """
    from matplotlib.figure import Figure

    records = records[:MOST_LAYERS]
    figure = Figure(figsize=(7, 1.7 * (len(records) + 1)), layout="constrained")
    rows = list(figure.subplots(len(records) + (inputs is not None), squeeze=False)[:, 0])
    if inputs is not None:
        _draw_inputs(rows.pop(0), inputs[:MOST_STEPS])
    for axes, record in zip(rows, records, strict=True):
        states = record.states[0][:MOST_STEPS, 0].float().cpu()
        for unit in liveliest_units(states, count):
            axes.plot(states[:, unit].numpy(), label=f"unit {unit}", linewidth=1)
        axes.set_ylabel("hidden state")
        axes.set_title(record.name, fontsize="medium", loc="left")
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axes.set_xlabel("step")
        axes.set_xlim(0, max(1, len(states) - 1))
    return figure


def _draw_inputs(axes: "Axes", inputs: Tensor) -> None:
    if inputs.shape[1] <= MOST_INPUTS:
        axes.plot(inputs.numpy(), linewidth=1)
        axes.set_xlim(0, max(1, len(inputs) - 1))
        axes.set_ylabel("value")
    else:
        axes.imshow(inputs.T.numpy(), aspect="auto", origin="lower", cmap="viridis", interpolation="nearest")
        axes.set_ylabel("feature")
    axes.set_title("inputs", fontsize="medium", loc="left")

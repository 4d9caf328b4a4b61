"""The norm of each parameter's gradient over training, as the run wrote it."""

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRADIENT_NORMS = "gradient_norms.csv"
LINES = 12


class ParameterNorms(NamedTuple):
    """Gradient norms.

    Attributes:
        steps: The updates at which they were measured.
        by_name: Of each parameter, at each of them; `None` where there was no finite one.
    """

    steps: list[int]
    by_name: dict[str, list[float | None]]


def read_parameter_norms(run: Path) -> ParameterNorms | None:
    """Reads `gradient_norms.csv` of a run directory; `None` where there is none, or nothing in it yet.

    Args:
        run: The run directory. Training may still be writing.
    """
    path = run / GRADIENT_NORMS
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values() and str(row.get("step")).isdigit()]
    if not rows:
        return None
    names = [name for name in rows[0] if name != "step"]
    return ParameterNorms([int(row["step"]) for row in rows], {n: [_finite(row[n]) for row in rows] for n in names})


def _finite(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def draw_parameter_norms(norms: ParameterNorms) -> "tuple[Figure, int]":
    """Draws those of the largest gradients, and tells how many others there are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 4), layout="constrained")
    axes = figure.subplots()

    def largest(name: str) -> float:
        return max((value for value in norms.by_name[name] if value is not None), default=0.0)

    chosen = set(sorted(norms.by_name, key=largest, reverse=True)[:LINES])
    for number, name in enumerate(name for name in norms.by_name if name in chosen):
        values = [value if value else math.nan for value in norms.by_name[name]]  # 0 has no place on the axis
        dash, marker = "-" if number < 10 else "--", "." if len(values) < 20 else ""
        axes.plot(
            norms.steps, values, label=name, color=f"C{number % 10}", linestyle=dash, marker=marker, linewidth=1.2
        )
    axes.set(yscale="log", xlabel="update", ylabel="norm of the gradient")
    figure.legend(loc="outside right upper", fontsize="x-small")
    return figure, len(norms.by_name) - len(chosen)

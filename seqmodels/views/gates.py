"""Gates: how often they are saturated, and how long units remember."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from seqmodels.analysis import CellRecord, Saturation, read_gates, saturation, time_constants
from seqmodels.views.subject import Subject, shown, state_name
from seqmodels.views.view import Picture, Section, Table, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS, LONGEST = 6, 10_000.0


class _Cell(NamedTuple):
    """The gates of one cell over all steps that were looked at.

    Attributes:
        name: Of its record.
        gates: Values of each gate `(steps, units)`.
        retention: Of each tensor of the state that keeps anything `(steps, hidden_size)`.
    """

    name: str
    gates: dict[str, Tensor]
    retention: dict[str, Tensor]


class GatesView(View):
    """Shows where gates are saturated (Karpathy et al., 2015, arXiv:1506.02078), and the time constants of units.

    Args:
        steps: How many steps to look at, of as many examples as it takes.

    Raises:
        ValueError: It is below 1.

    Example:
        >>> GatesView(steps=500).name
        'gates'
    """

    name: ClassVar[str] = "gates"
    title: ClassVar[str] = "Gates"

    def __init__(self, steps: int = 2000):
        if steps < 1:
            raise ValueError(f"steps={steps}: expected at least 1")
        self.steps = steps

    def misfit(self, subject: Subject) -> str | None:
        """Refuses models whose cells all have neither gates nor units that keep a part of their state."""
        cells = (_joined([record], 50) for record in subject.ran(0).recording.cells)
        if any(cell.gates or cell.retention for cell in cells):
            return None
        kinds = sorted({type(record.cell).__name__ for record in subject.ran(0).recording.cells})
        return f"{', '.join(kinds)} has no gates: no sigmoid in its step, and no unit that keeps a part of its state"

    def show(self, subject: Subject) -> Section:
        """Looks."""
        cells, steps = self._read(subject)
        section = Section(self.title, _told(cells, steps, subject))
        if any(cell.gates for cell in cells):
            section.pictures["saturation"] = Picture(
                _draw_saturation(cells),
                "Each point is a unit: how often its gate is as good as shut, and as good as open.",
            )
            section.tables.append(_gate_table(cells))
        if any(cell.retention for cell in cells):
            section.pictures["time_constants"] = Picture(
                _draw_time_constants(cells), "After how many steps a unit, left alone, is down to 1/e of what it held."
            )
            section.tables.append(_memory_table(cells))
        section.numbers = {"steps": steps, **{cell.name: _numbers(cell) for cell in cells}}
        return section

    def _read(self, subject: Subject) -> tuple[list[_Cell], int]:
        """Reads the gates of all cells over as many examples as it takes, and how many steps these had."""
        records: list[list[CellRecord]] = []
        taken = 0
        for place in range(len(subject.examples)):
            if taken >= self.steps:
                break
            records.append(subject.ran(place).recording.cells)
            taken += max(len(record.steps) for record in records[-1])
        return [_joined(list(same), self.steps) for same in zip(*records, strict=True)], min(taken, self.steps)


def _joined(records: list[CellRecord], steps: int) -> _Cell:
    """Puts what one cell did in several examples, up to so many steps, one after another."""
    gates: dict[str, list[Tensor]] = {}
    retention: dict[str, list[Tensor]] = {}
    for record in records:
        if steps < 1:
            break
        read = read_gates(record, steps)
        steps -= len(record.steps)
        for name, values in read.values.items():
            gates.setdefault(name, []).append(values.flatten(0, 1).cpu())
        for number, values in enumerate(read.retention):
            retention.setdefault(state_name(record, number), []).append(values.flatten(0, 1).cpu())
    kept = {name: torch.cat(parts) for name, parts in retention.items()}
    return _Cell(
        records[0].name,
        {name: torch.cat(parts) for name, parts in gates.items()},
        {name: values for name, values in kept.items() if bool((values != 0).any())},
    )


def _told(cells: list[_Cell], steps: int, subject: Subject) -> list[str]:
    told = [
        f"Read from {steps:,} steps of the {subject.origin}. A gate is what a sigmoid inside a cell's step gives, by "
        "its name in the source of the cell; below 0.1 it counts as saturated to the left (shut), above 0.9 to the "
        "right (open). Units in the lower right corner are hardly ever open, those in the upper left corner hardly "
        "ever shut.",
    ]
    if any(cell.retention for cell in cells):
        told.append(
            "Retention is how much of a unit's old value is in its new one while what enters by the recurrent weights "
            "is held fixed: the forget gate f of an LSTM's c, the gate z of a GRU's h. A unit's time constant is "
            "-1 / ln(mean retention)."
        )
    without = [cell.name for cell in cells if not cell.gates]
    if without:
        told.append(f"Without gates: {', '.join(without)}.")
    return told


def _saturations(cell: _Cell) -> Iterator[tuple[str, Tensor, Saturation]]:
    for name, values in cell.gates.items():
        yield name, values, saturation(values)


def _draw_saturation(cells: list[_Cell]) -> "Figure":
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for cell in cells for name in cell.gates))[:PANELS]
    figure = Figure(figsize=(max(4.0, 2.6 * len(names)), 3.2), layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for number, cell in enumerate(cells):
            if name in cell.gates:
                found = saturation(cell.gates[name])
                panel.scatter(found.left, found.right, s=9, alpha=0.6, color=f"C{number % 10}", label=cell.name)
        panel.plot([0, 1], [1, 0], color="0.7", linewidth=0.8, zorder=0)
        panel.set_title(shown(f"gate {name}".replace("gate gate", "gate")), parse_math=False)
        panel.set(xlabel="share below 0.1", aspect="equal")
        panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    panels[0].set_ylabel("share above 0.9")
    if len(cells) > 1:
        handles = [panels[0].scatter([], [], s=9, color=f"C{number % 10}") for number in range(len(cells))]
        figure.legend(handles, [cell.name for cell in cells], loc="outside lower center", ncols=min(4, len(cells)))
    return figure


def _draw_time_constants(cells: list[_Cell]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    edges = torch.logspace(-1, 4, 41).tolist()
    drawn = [(cell.name, state, values) for cell in cells for state, values in cell.retention.items()]
    for number, (name, state, values) in enumerate(drawn):
        constants = time_constants(values).clamp(edges[0], LONGEST)
        style = "--" if number >= 10 else "-"
        axes.hist(
            constants[constants.isfinite()].tolist(),
            edges,
            histtype="step",
            linewidth=1.6,
            color=f"C{number % 10}",
            linestyle=style,
            label=f"{name}, {state}",
        )
    axes.set(xscale="log", xlabel="time constant (steps; what lies outside is at the edges)", ylabel="units")
    axes.legend(fontsize="small")
    return figure


def _gate_table(cells: list[_Cell]) -> Table:
    rows = [
        [cell.name, name, f"{float(values.mean()):.2f}", *(f"{float(share.mean()):.1%}" for share in found)]
        for cell in cells
        for name, values, found in _saturations(cell)
    ]
    return Table("Gates, means over units and steps.", ["layer", "gate", "mean", "below 0.1", "above 0.9"], rows)


def _memory_table(cells: list[_Cell]) -> Table:
    rows = []
    for cell in cells:
        for state, values in cell.retention.items():
            constants = time_constants(values)
            shown = [f"{float(value):.3g}" for value in (constants.median(), constants.quantile(0.9), constants.max())]
            rows.append([cell.name, state, f"{float(values.mean()):.2f}", *shown])
    columns = ["layer", "state", "mean retention", "median (steps)", "90% below (steps)", "longest (steps)"]
    return Table("Time constants of units.", columns, rows)


def _numbers(cell: _Cell) -> dict[str, Any]:
    gates = {
        name: {"mean": _mean(values), "below_0.1": rounded(found.left), "above_0.9": rounded(found.right)}
        for name, values, found in _saturations(cell)
    }
    memory = {
        state: {"mean": _mean(values), "time_constants": rounded(time_constants(values))}
        for state, values in cell.retention.items()
    }
    return {"gates": gates, "retention": memory}


def _mean(values: Tensor) -> float | None:
    mean = float(values.mean())
    return mean if math.isfinite(mean) else None


def rounded(values: Tensor) -> list[float | None]:
    """Returns numbers with four digits; JSON has no infinity and the like, so that these are null."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]

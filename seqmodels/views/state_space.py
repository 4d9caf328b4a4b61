"""Hidden states along sequences, seen from where they differ most."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from seqmodels.analysis import CellRecord, principal_components
from seqmodels.views.subject import Subject, named
from seqmodels.views.view import Picture, Section, Table, View

NUM_STEPS = 800
NUM_CLASSES = 10


class StateSpace(View):
    """The first two principal components of the hidden states of each layer, coloured by time and by class."""

    name: ClassVar[str] = "state_space"
    title: ClassVar[str] = "State space"

    def misfit(self, subject: Subject) -> str | None:
        """Tells why there is nothing to show."""
        return None if sum(len(example.inputs) for example in subject.examples) > 1 else "there is one state alone"

    def show(self, subject: Subject) -> Section:
        """Draws each layer of the sequences."""
        section = Section(
            self.title,
            [
                "Each point is the hidden state of a layer after one step, seen along the two directions in which all "
                "these states differ most. A line that goes in circles repeats itself; clouds of one colour mean that "
                "the layer tells these classes apart; a line that comes to rest has forgotten what is new."
            ],
        )
        layers = [subject.ran(place).recording.cells for place in range(len(subject.examples))]
        rows = []
        for records in zip(*layers, strict=True):
            rows.append(self._add(section, subject, records))
        columns = ["layer", "states", "first component", "second", "components for 90 %"]
        section.tables.append(Table("Share of the variance", columns, rows))
        return section

    def _add(self, section: Section, subject: Subject, records: tuple[CellRecord, ...]) -> list[object]:
        from matplotlib.figure import Figure

        name = records[0].name
        states = [record.states[0][:NUM_STEPS, 0].float().cpu() for record in records]
        everything = torch.cat(states)
        found = principal_components(everything, everything.shape[1])
        lines = [found.project(line)[:, :2] for line in states]
        classes = _classes(subject, [len(line) for line in lines])
        figure = Figure(figsize=(9 if classes else 6, 4.2), layout="constrained")
        grid = figure.subplots(1, 2 if classes else 1, squeeze=False)[0]
        longest = max(lines, key=len)
        _draw_time(grid[0], longest)
        if classes:
            _draw_classes(grid[1], lines, classes)
        for axes in grid:
            axes.set_xlabel(f"first component, {float(found.shares[0]):.0%} of the variance")
            axes.set_ylabel(f"second component, {float(found.shares[1:2].sum()):.0%}")
        what = "by time, the longest sequence" + (f"; by {classes[0]}, all {len(lines)}" if classes else "")
        section.pictures[name.replace(" ", "_")] = Picture(figure, f"{name}: {what}{named(subject.origin)}")
        enough = int((found.shares.cumsum(0) < 0.9).sum()) + 1
        section.numbers[name] = {"shares": found.shares[:10].tolist(), "components_for_90_percent": enough}
        return [name, len(everything), float(found.shares[0]), float(found.shares[1:2].sum()), enough]


def _draw_time(axes, line: Tensor) -> None:  # type: ignore[no-untyped-def]
    """Draws one sequence, from dark to light."""
    x, y = _plane(line)
    axes.plot(x, y, color="0.8", linewidth=0.6, zorder=1)
    points = axes.scatter(x, y, c=np.arange(len(x)), cmap="viridis", s=8, zorder=2)
    axes.figure.colorbar(points, ax=axes, label="step")


def _draw_classes(axes, lines: list[Tensor], classes: tuple[str, list[list[str]]]) -> None:  # type: ignore[no-untyped-def]
    """Draws the steps of all sequences, coloured by their classes, the most frequent apart."""
    names = [name for line in classes[1] for name in line]
    x, y = _plane(torch.cat([line[-len(given) :] for line, given in zip(lines, classes[1], strict=True)]))
    frequent = sorted(set(names), key=lambda name: (-names.count(name), name))[:NUM_CLASSES]
    for number, name in enumerate(frequent):
        here = np.array([other == name for other in names])
        axes.scatter(x[here], y[here], s=8, color=f"C{number}", label=repr(name)[1:-1] if name.strip() else repr(name))
    axes.legend(fontsize=7, title=classes[0])


def _plane(line: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return line[:, 0].numpy(), line[:, -1].numpy()


def _classes(subject: Subject, steps: list[int]) -> tuple[str, list[list[str]]] | None:
    """Returns what the steps of each sequence are coloured by; `None` where they have no classes."""
    if subject.spec.get("shape") == "many_to_one":
        known = (subject.spec.get("targets") or {}).get("classes")
        if known is None:
            return None
        # What a state is when all is read is what the model answers from.
        return "class, last state", [[str(known[int(example.targets)])] for example in subject.examples]
    labels = [subject.labels(place).targets for place in range(len(subject.examples))]
    found = [given[:count] for given, count in zip(labels, steps, strict=True) if given is not None]
    if len(found) < len(labels) or any(len(given) != count for given, count in zip(found, steps, strict=True)):
        return None
    return ("class" if "targets" in subject.spec else "next token"), found

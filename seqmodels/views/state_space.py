"""Hidden states along sequences, seen from where they differ most."""

from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqmodels.analysis import CellRecord, principal_components
from seqmodels.views.subject import Subject, named
from seqmodels.views.view import Picture, Section, Table, View

NUM_STEPS = 800
NUM_CLASSES = 10


class _Coloured(NamedTuple):
    """Points of the plane and what they are coloured by."""

    title: str
    points: Tensor
    names: list[str]


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
        states = [record.states[0][:, 0].float().cpu() for record in records]
        everything = torch.cat(states)
        found = principal_components(everything, everything.shape[1])
        lines = [found.project(line)[:, :2] for line in states]
        # Where one thing is said of a sequence, a state is of interest when all is read: one that reads backward has
        # read all at the first step.
        ends = [line[:1] if record.backward else line[-1:] for line, record in zip(lines, records, strict=True)]
        classes = _classes(subject, lines, ends)
        figure = Figure(figsize=(9 if classes else 6, 4.2), layout="constrained")
        grid = figure.subplots(1, 2 if classes else 1, squeeze=False)[0]
        longest = max(lines, key=len)
        _draw_time(grid[0], longest[:NUM_STEPS])
        if classes is not None:
            _draw_classes(grid[1], classes)
        for axes in grid:
            axes.set_xlabel(f"first component, {float(found.shares[0]):.0%} of the variance")
            axes.set_ylabel(f"second component, {float(found.shares[1:2].sum()):.0%}")
        shown = f", its first {NUM_STEPS} of {len(longest):,} steps" if len(longest) > NUM_STEPS else ""
        what = f"by time, the longest sequence{shown}" + (f"; by {classes.title}, all {len(lines)}" if classes else "")
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


def _draw_classes(axes, classes: _Coloured) -> None:  # type: ignore[no-untyped-def]
    """Draws points coloured by their classes, the most frequent apart."""
    names = classes.names
    x, y = _plane(classes.points)
    frequent = sorted(set(names), key=lambda name: (-names.count(name), name))[:NUM_CLASSES]
    for number, name in enumerate(frequent):
        here = np.array([other == name for other in names])
        # Matplotlib leaves out names that begin with an underscore, unless something stands before it.
        label = "\u200b" + (repr(name)[1:-1] if name.strip() else repr(name))
        axes.scatter(x[here], y[here], s=8, color=f"C{number}", label=label)
    for text in axes.legend(fontsize=7, title=classes.title).get_texts():
        text.set_parse_math(False)


def _plane(line: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return line[:, 0].numpy(), line[:, -1].numpy()


def _classes(subject: Subject, lines: list[Tensor], ends: list[Tensor]) -> _Coloured | None:
    """Returns which states are coloured, and by what; `None` where there are no classes."""
    if subject.spec.get("shape") == "many_to_one":
        known = (subject.spec.get("targets") or {}).get("classes")
        if known is None or any(example.targets.ndim for example in subject.examples):
            return None
        names = [
            str(known[int(example.targets)]) if example.targets >= 0 else "not known" for example in subject.examples
        ]
        return _Coloured("class, when all is read", torch.cat(ends), names)
    labels = [subject.labels(place).targets for place in range(len(subject.examples))]
    if any(given is None or len(given) != len(line) for given, line in zip(labels, lines, strict=True)):
        return None
    names = [name for given in labels if given is not None for name in given[:NUM_STEPS]]
    title = "class" if "targets" in subject.spec else "next token"
    return _Coloured(title, torch.cat([line[:NUM_STEPS] for line in lines]), names)

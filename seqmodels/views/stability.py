"""Whether what a cell remembers dies out, stays or explodes."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqmodels.analysis import (
    CellRecord,
    CellStability,
    DrawnResponse,
    Effort,
    Trajectory,
    cell_stability,
    drawn_responses,
)
from seqmodels.nn import Recurrent
from seqmodels.views.stability_pictures import (
    draw_drawn_responses,
    draw_eigenvalues,
    draw_fixed_points,
    draw_jacobians,
    draw_responses,
    draw_singular_values,
)
from seqmodels.views.subject import Subject
from seqmodels.views.view import Picture, Section, Table, View

_MATRICES = (
    "Recurrent matrices: at every step the state is multiplied by these, one for each gate. An eigenvalue inside the "
    "unit circle makes its direction fade, one outside makes it grow, and an angle makes it turn. The spectral radius "
    "is the largest eigenvalue: what growth a step comes to in the long run. The spectral norm is the largest singular "
    "value: what one step can do at most. Activations and gates come on top, so read these as tendencies."
)
_JACOBIANS = (
    "Step Jacobian: what one step really does to a small difference in the state, with the activations and gates as "
    "they are on these data. A gradient on its way back is multiplied by the same numbers: where the largest stays "
    "below 1 it must vanish; where the mean is close to 1 it lasts; where the largest is far above 1 it can explode."
)
_RESPONSES = (
    "Impulse response: the state is pushed a little in a random direction, and the difference is followed while the "
    "data go on. The memory half-life is the number of steps until half of it is left. A line that falls straight "
    "forgets at a steady rate; one that bends and stays up has units that remember for long."
)
_DRAWN = (
    "As the lecture draws it: random recurrences h = f(radius * W h) after an impulse. The linear one dies, stays or "
    "explodes with the radius; tanh cannot explode, and above radius 1 keeps on moving; the sigmoid soon rests at the "
    "same place wherever it started, so that it forgets; the ReLU does either. Compare your layers with these."
)
_EXPONENTS = (
    "Lyapunov exponent: the mean growth a step, as a logarithm, of the difference between two runs that hardly differ. "
    "Below 0 they meet again: the state depends on the recent inputs alone; at -0.1 a difference falls by a tenth a "
    "step. At 0 they keep their distance. Above 0 they part: the cell is chaotic, and so are its gradients."
)
_POINTS = (
    "Fixed points: states that the cell does not leave while the input stays at its mean. At a stable one all "
    "eigenvalues lie inside the unit circle: an attractor, which can hold one memory. A saddle is left in a few "
    "directions: a point of decision between attractors. Eigenvalues close to the circle are slow: a lasting memory. "
    "Starts that reached no point ended where the state only moves slowly, or in a cycle."
)


class Stability(View):
    """Eigenvalues, Jacobians, impulse responses, Lyapunov exponents and fixed points of every recurrent cell.

    Args:
        cells: How many cells are looked at, spread over the layers; of states with over 512 numbers half as many.
        radii: Spectral radii of the random recurrences that are drawn for comparison.
    """

    name: ClassVar[str] = "stability"
    title: ClassVar[str] = "Stability"

    def __init__(self, cells: int = 6, radii: Sequence[float] = (0.5, 0.9, 1.0, 1.1, 1.5)) -> None:
        self.cells, self.radii = cells, radii

    def misfit(self, subject: Subject) -> str | None:
        """Tells in one line why a subject cannot be shown so; `None` where it can."""
        if not any(isinstance(module, Recurrent) for module in subject.model.modules()):
            return "the model has no recurrent layers"
        return None

    def show(self, subject: Subject) -> Section:
        """Looks at every cell along the longest of the examples."""
        records = subject.ran(subject.longest).recording.cells
        chosen = _spread(records, self.cells if _largest(records) <= 512 else self.cells // 2)
        with _one_thread():
            found, notes = _measure(chosen)
        if len(chosen) < len(records):
            notes.insert(0, f"Of {len(records)} cells {len(chosen)} are shown, to bound the time.")
        drawn = drawn_responses(self.radii)
        section = Section(self.title, [f"Data: {subject.origin}. {_extent(found)}", *notes])
        section.paragraphs += [_MATRICES, _JACOBIANS, _RESPONSES, _DRAWN, _EXPONENTS, _POINTS]
        section.pictures = _pictures(found, drawn)
        if found:
            section.tables = [_summary(found), _matrices(found), _points(found)]
        section.numbers = {"cells": [_cell_numbers(cell) for cell in found], "drawn": _drawn_numbers(drawn)}
        return section


@contextmanager
def _one_thread() -> Iterator[None]:
    """Computes with one thread: of matrices as small as these others wait more than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _largest(records: Sequence[CellRecord]) -> int:
    return max((record.cell.hidden_size * record.cell.num_states for record in records), default=0)


def _spread(records: Sequence[CellRecord], count: int) -> list[CellRecord]:
    places = np.linspace(0, len(records) - 1, min(max(count, 1), len(records))).round().astype(int)
    return [records[place] for place in places]


def _measure(records: Sequence[CellRecord]) -> tuple[list[CellStability], list[str]]:
    """Looks at cells; what cannot be differentiated is told in a line."""
    found, notes = [], []
    for record in records:
        effort = Effort.of_size(record.cell.hidden_size * record.cell.num_states)
        try:
            cell = cell_stability(record.name, Trajectory.of(record, steps=effort.steps), effort)
        except RuntimeError as error:
            notes.append(f"{record.name}: its step cannot be differentiated: {str(error).splitlines()[0]}")
            continue
        found.append(cell)
        notes += cell.left_out
    return found, notes


def _extent(found: Sequence[CellStability]) -> str:
    steps = max((cell.steps for cell in found), default=0)
    places = min((len(cell.spectra.steps) for cell in found if cell.spectra is not None), default=0)
    text = f"The first {steps} steps were followed, and the step Jacobian taken at {places} of them or more."
    return text + " Over so few steps all figures but those of the matrices are rough." * (steps < 50)


def _pictures(found: Sequence[CellStability], drawn: Sequence[DrawnResponse]) -> dict[str, Picture]:
    pictures = {}
    if with_matrices := [cell for cell in found if cell.matrices]:
        pictures["eigenvalues"] = draw_eigenvalues(with_matrices)
        pictures["singular_values"] = draw_singular_values(with_matrices)
    if with_spectra := [cell for cell in found if cell.spectra is not None]:
        pictures["jacobians"] = draw_jacobians(with_spectra)
    if found:
        pictures["responses"] = draw_responses(found)
    pictures["lecture"] = draw_drawn_responses(drawn)
    if with_points := [cell for cell in found if cell.points is not None and cell.points.found]:
        pictures["fixed_points"] = draw_fixed_points(with_points)
    return pictures


def _summary(found: Sequence[CellStability]) -> Table:
    columns = ["cell", "numbers in the state", "spectral radius", "spectral norm", "largest Lyapunov exponent"]
    columns += ["memory half-life, steps", "fixed points", "starts that reached one"]
    rows = []
    for cell in found:
        radius = max((matrix.spectral_radius for matrix in cell.matrices), default="")
        norm = max((matrix.spectral_norm for matrix in cell.matrices), default="")
        half_life = cell.response.half_life
        lags = len(cell.response.median) - 1
        points = ("", "")
        if cell.points is not None:
            points = (_kinds(cell), f"{cell.points.converged} of {cell.points.starts}")
        exponent = float(cell.exponents.exponents[0])
        lasting = f"over {lags}" if half_life is None else half_life
        rows.append([cell.name, cell.size, radius, norm, exponent, lasting, *points])
    return Table("Stability of each cell; radius and norm are those of its largest matrix", columns, rows)


def _kinds(cell: CellStability) -> str:
    assert cell.points is not None
    kinds = [point.kind for point in cell.points.found]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("stable", "saddle", "unstable") if kind in kinds]
    return ", ".join(counts) or "none found"


def _matrices(found: Sequence[CellStability]) -> Table:
    columns = ["cell", "matrix", "spectral radius", "spectral norm"]
    rows = [
        [cell.name, matrix.name, matrix.spectral_radius, matrix.spectral_norm]
        for cell in found
        for matrix in cell.matrices
    ]
    return Table("Recurrent matrices", columns, rows)


def _points(found: Sequence[CellStability]) -> Table:
    columns = ["cell", "point", "kind", "directions that leave it", "largest eigenvalue", "starts", "residual"]
    rows = []
    for cell in found:
        for number, point in enumerate(cell.points.found if cell.points is not None else []):
            largest = float(point.eigenvalues[0].abs())
            leaving = point.unstable_directions
            rows.append([cell.name, number + 1, point.kind, leaving, largest, point.starts, point.residual])
    return Table("Fixed points under the mean input", columns, rows)


def _cell_numbers(cell: CellStability) -> dict[str, Any]:
    numbers: dict[str, Any] = {"name": cell.name, "size": cell.size, "steps": cell.steps}
    numbers["matrices"] = [
        {
            "name": matrix.name,
            "spectral_radius": matrix.spectral_radius,
            "spectral_norm": matrix.spectral_norm,
            "eigenvalues": _pairs(matrix.eigenvalues),
            "singular_values": _plain(matrix.singular_values),
        }
        for matrix in cell.matrices
    ]
    if cell.spectra is not None:
        steps, largest, mean = cell.spectra.steps.tolist(), _plain(cell.spectra.largest), _plain(cell.spectra.mean)
        numbers["step_jacobian"] = {"steps": steps, "largest": largest, "mean": mean}
    numbers["lyapunov_exponents"] = _plain(cell.exponents.exponents)
    numbers["impulse_response"] = {"median": _plain(cell.response.median), "half_life": cell.response.half_life}
    if cell.points is not None:
        numbers["fixed_points"] = {"starts": cell.points.starts, "converged": cell.points.converged}
        numbers["fixed_points"]["found"] = [
            {
                "kind": point.kind,
                "starts": point.starts,
                "residual": point.residual,
                "unstable_directions": point.unstable_directions,
                "eigenvalues": _pairs(point.eigenvalues),
            }
            for point in cell.points.found
        ]
    return numbers


def _drawn_numbers(drawn: Sequence[DrawnResponse]) -> list[dict[str, Any]]:
    return [
        {
            "activation": response.activation,
            "radius": response.radius,
            "norms": _plain(response.norms),
            "differences": _plain(response.differences),
        }
        for response in drawn
    ]


def _plain(values: Tensor) -> list[float | None]:
    """Gives numbers as JSON has them: to 6 digits, and nothing for what is infinite."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]


def _pairs(values: Tensor) -> list[list[float | None]]:
    return [[real, imaginary] for real, imaginary in zip(_plain(values.real), _plain(values.imag), strict=True)]

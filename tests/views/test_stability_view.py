import json
import math

import pytest
import torch
from torch import nn

from seqmodels.data import Example
from seqmodels.nn import Cell
from seqmodels.views.stability import Stability
from seqmodels.views.subject import Subject
from seqmodels.views.view import png


def words(section):
    return " ".join(section.paragraphs)


def test_every_task_is_shown(subjects, kind):
    subject = subjects[kind]
    assert Stability().misfit(subject) is None
    section = Stability(cells=1).show(subject)
    (numbers,) = section.numbers["cells"]
    assert numbers["name"] == subject.ran().recording.cells[0].name
    assert set(section.pictures) >= {"eigenvalues", "singular_values", "jacobians", "responses", "lecture"}
    assert section.tables[0].rows[0][0] == numbers["name"]
    json.dumps(section.numbers, allow_nan=False)


def test_every_cell_is_drawn(make_subject):
    subject = make_subject("classifier", "model.num_layers=2", "model.bidirectional=true")
    section = Stability().show(subject)
    names = ["layer 1", "layer 1 backward", "layer 2", "layer 2 backward"]
    assert [cell["name"] for cell in section.numbers["cells"]] == names
    assert [row[0] for row in section.tables[0].rows] == names
    sizes = {name: len(png(picture)) for name, picture in section.pictures.items()}
    assert len(sizes) == 6
    assert max(sizes.values()) < 80_000, sizes
    for picture in section.pictures.values():
        for panel in picture.figure.axes:
            assert panel.get_xlabel() or panel.get_title() in ("sigmoid", "tanh", "relu", "linear")
            assert panel.has_data()


def test_figures_are_those_of_the_weights(make_subject):
    subject = make_subject("language_model", "cell=elman", "model.num_layers=1")
    cell = subject.ran().recording.cells[0].cell
    with torch.no_grad():
        cell.weight_hh.copy_(1.5 * torch.eye(8))
        for other in (cell.weight_ih, cell.bias_ih, cell.bias_hh):
            other.zero_()
    section = Stability().show(Subject(subject.task, subject.spec, subject.examples, "my.txt"))
    (numbers,) = section.numbers["cells"]
    assert "Data: my.txt." in words(section)
    assert numbers["matrices"][0]["spectral_radius"] == pytest.approx(1.5)
    # From zero, where nothing drives it, the state never moves, and differences grow by half a step.
    assert numbers["lyapunov_exponents"] == pytest.approx([math.log(1.5)] * 4, abs=1e-4)
    assert numbers["step_jacobian"]["largest"] == pytest.approx([1.5] * 24)
    assert numbers["impulse_response"]["half_life"] is None
    assert numbers["fixed_points"]["found"][0]["kind"] == "unstable"
    (row,) = section.tables[0].rows
    assert row[5] == f"over {numbers['steps']}"
    assert row[6].endswith("unstable")


def test_directions_that_die_at_once_are_no_number_in_json(make_subject):
    subject = make_subject("language_model", "cell=elman", "model.num_layers=1")
    subject.ran().recording.cells[0].cell.weight_hh.data.zero_()
    section = Stability().show(Subject(subject.task, subject.spec, subject.examples, "test part"))
    assert section.numbers["cells"][0]["lyapunov_exponents"] == [None] * 4
    assert section.numbers["cells"][0]["fixed_points"]["found"][0]["kind"] == "stable"
    json.dumps(section.numbers, allow_nan=False)


class Twice(torch.autograd.Function):
    """Has a backward derivative, and no forward one."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


class OwnDerivativeCell(Cell):
    num_states = 2  # as the cell has it that it stands in for

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.input = nn.Linear(input_size, hidden_size)

    def project(self, inputs):
        return self.input(inputs)

    def step(self, projected, state):
        h = torch.tanh(projected + 0.3 * Twice.apply(state[0]))
        return h, (h, state[1])


def test_a_cell_that_cannot_be_differentiated_is_told_in_a_line(make_subject):
    subject = make_subject("language_model", "model.num_layers=2")
    recurrent = subject.model.recurrent
    size = recurrent.cells[0].input_size
    recurrent.cells[0] = OwnDerivativeCell(size, recurrent.cells[0].hidden_size)
    section = Stability().show(Subject(subject.task, subject.spec, subject.examples, "test part"))
    (line,) = [text for text in section.paragraphs if text.startswith("layer 1: its step cannot be differentiated")]
    assert "\n" not in line
    assert [cell["name"] for cell in section.numbers["cells"]] == ["layer 2"]


def test_a_large_state_is_looked_at_less(make_subject, monkeypatch):
    monkeypatch.setattr("seqmodels.analysis.stability._LARGEST_STATE", 15)
    monkeypatch.setattr("seqmodels.analysis.stability._LARGEST_MATRIX", 7)
    section = Stability(cells=1).show(make_subject("language_model", "model.num_layers=2"))
    assert "Of 2 cells 1 are shown" in words(section)
    assert (
        "layer 1: no step Jacobians and fixed points, as its state has 16 numbers, more than 15" in section.paragraphs
    )
    assert "layer 1: no spectra of matrices with more than 7 rows" in section.paragraphs
    assert set(section.pictures) == {"responses", "lecture"}


def test_the_longest_example_is_followed(subjects):
    subject = subjects["tagger"]
    short, long = subject.examples[0], max(subject.examples, key=lambda example: len(example.inputs))
    cut = Example(short.inputs[:2], short.targets[:2])
    section = Stability().show(Subject(subject.task, subject.spec, [cut, long], "test part"))
    assert section.numbers["cells"][0]["steps"] == len(long.inputs)


def test_what_has_no_recurrent_layers_does_not_fit(subjects):
    class Flat:
        model = nn.Linear(2, 2)

    assert Stability().misfit(Flat()) == "the model has no recurrent layers"

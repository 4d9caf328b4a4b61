"""Gates of every kind of model: pictures, tables, numbers, or a line that says why not."""

import json

import pytest
import torch

from seqmodels.analysis import read_gates
from seqmodels.views import GatesView
from seqmodels.views.view import png

DRAWN = ["language_model", "transcriber"]  # drawing takes longer than all else


def test_every_kind_of_model_shows_its_gates(subjects, kind):
    view, subject = GatesView(), subjects[kind]
    assert view.misfit(subject) is None
    section = view.show(subject)
    assert set(section.pictures) == {"saturation", "time_constants"}
    names = {record.name for record in subject.ran(0).recording.cells}
    assert set(section.numbers) == {"steps", *names}
    assert {row[0] for row in section.tables[0].rows} == names
    json.dumps(section.numbers, allow_nan=False)
    if kind in DRAWN:
        assert all(1000 < len(png(picture)) < 80_000 for picture in section.pictures.values())


def test_numbers_are_those_of_the_gates(subjects):
    subject = subjects["language_model"]
    numbers = GatesView().show(subject).numbers
    record = subject.ran(0).recording.cells[1]
    cell, (h, _) = record.cell, record.previous
    sums = cell.project(record.inputs) + h @ cell.weight_hh.T + cell.bias_hh
    i, f, _, _ = torch.sigmoid(sums.detach()).squeeze(1).chunk(4, -1)
    assert numbers["layer 2"]["gates"]["i"]["mean"] == pytest.approx(float(i.mean()), rel=1e-4)
    shares = (f > 0.9).float().mean(0).tolist()
    assert numbers["layer 2"]["gates"]["f"]["above_0.9"] == pytest.approx(shares, rel=1e-3)
    constants = (-1 / f.mean(0).log()).tolist()
    assert numbers["layer 2"]["retention"]["c"]["time_constants"] == pytest.approx(constants, rel=1e-3)
    assert set(numbers["layer 2"]["retention"]) == {"c"}  # h keeps nothing of itself


def test_short_examples_are_taken_together_up_to_the_steps_asked_for(subjects):
    subject = subjects["classifier"]
    assert GatesView().show(subject).numbers["steps"] == 8 * len(subject.examples)
    numbers = GatesView(steps=10).show(subject).numbers
    assert numbers["steps"] == 10
    first, second = (read_gates(subject.ran(place).recording.cells[0]).values["z"].mean(-1) for place in (0, 1))
    mean = (first.sum() + second[:2].sum()) / 10  # each example has eight steps
    assert numbers["layer 1"]["gates"]["z"]["mean"] == pytest.approx(float(mean), rel=1e-5)
    with pytest.raises(ValueError, match="steps=0"):
        GatesView(steps=0)


def test_a_cell_without_gates_says_so_in_a_line(make_subject):
    reason = GatesView().misfit(make_subject("language_model", "cell=elman"))
    assert "ElmanCell has no gates" in reason
    assert "\n" not in reason


def test_a_cell_that_only_leaks_shows_its_time_constants(make_subject):
    subject = make_subject("language_model", "cell=leaky", "model.num_layers=1")
    assert GatesView().misfit(subject) is None
    section = GatesView().show(subject)
    assert set(section.pictures) == {"time_constants"}
    assert "Without gates: layer 1." in section.paragraphs


def test_what_is_not_finite_is_null(make_subject):
    subject = make_subject("language_model", "model.num_layers=1")
    with torch.no_grad():
        subject.model.recurrent.cells[0].bias_hh.fill_(float("nan"))
    numbers = GatesView().show(subject).numbers
    assert numbers["layer 1"]["gates"]["f"]["mean"] is None
    assert numbers["layer 1"]["retention"]["c"]["mean"] is None
    json.dumps(numbers, allow_nan=False)

"""Gradient flow of every kind of model, before and after training."""

import dataclasses
import json

import pytest
import torch

from seqmodels.views import GradientFlow
from seqmodels.views.gradient_flow import first_steps
from seqmodels.views.parameter_norms import read_parameter_norms
from seqmodels.views.view import png

DRAWN = ["language_model", "encoder_decoder"]  # drawing takes longer than all else


def test_every_kind_of_model_shows_its_gradient_flow(subjects, kind):
    view, subject = GradientFlow(steps=20), subjects[kind]
    assert view.misfit(subject) is None
    section = view.show(subject)
    one_loss = kind in ("classifier", "text_classifier", "transcriber")
    assert set(section.pictures) == ({"profile"} if one_loss else {"profile", "heat_map"})
    assert set(section.numbers) == {"before training", "after training"}
    names = {record.name for record in subject.ran(0).recording.cells}
    assert {row[0] for row in section.tables[0].rows} == names
    assert all(flow["norm_by_lag"][0] > 0 for flow in section.numbers["after training"].values())
    json.dumps(section.numbers, allow_nan=False)
    if kind in DRAWN:
        assert all(1000 < len(png(picture)) < 100_000 for picture in section.pictures.values())
    assert all(parameter.grad is None for parameter in subject.model.parameters())


def test_numbers_are_the_gradients_of_the_losses(subjects):
    subject = subjects["language_model"]
    ran = subject.run(subject.model, subject.window(0))
    losses = subject.losses(ran.window, ran.outputs)
    states = [step[0] for step in ran.recording.cells[0].steps]
    norms = [torch.autograd.grad(losses[t], states[t - 3], retain_graph=True)[0].norm() for t in range(3, 20)]
    found = GradientFlow(steps=20).show(subject).numbers["after training"]["layer 1 h"]["norm_by_lag"]
    assert found[3] == pytest.approx(float(torch.stack(norms).mean()), rel=1e-3)


def test_before_training_is_the_untrained_model(subjects):
    subject = subjects["native_language_model"]
    view = GradientFlow(steps=20)
    numbers = view.show(subject).numbers
    assert numbers["before training"] != numbers["after training"]
    swapped = dataclasses.replace(subject, untrained=subject.model, _ran={})
    numbers_swapped = view.show(swapped).numbers
    assert numbers_swapped["before training"] == numbers["after training"]
    alone = view.show(dataclasses.replace(subject, untrained=None, _ran={}))
    assert set(alone.numbers) == {"after training"}
    assert any("cannot be made again" in text for text in alone.paragraphs)


def test_only_the_first_steps_of_a_long_sequence_are_looked_at(subjects):
    subject = subjects["language_model"]
    window = first_steps(subject.window(0), 20, subject)
    assert window.inputs.shape == window.targets.shape == (1, 20)
    numbers = GradientFlow(steps=20).show(subject).numbers["after training"]
    assert len(numbers["layer 1 h"]["norm_by_lag"]) == 19  # two losses of twenty reach back over 18 steps
    whole = subjects["classifier"].window(0)
    assert first_steps(whole, 3, subjects["classifier"]) is whole
    with pytest.raises(ValueError, match="steps=1"):
        GradientFlow(steps=1)


def test_a_users_cell_flows_too(make_subject):
    subject = make_subject("language_model", "cell=deep_transition", "model.num_layers=1", steps=12)
    numbers = GradientFlow().show(subject).numbers["after training"]
    assert set(numbers) == {"layer 1 h"}


def test_gradients_of_parameters_are_drawn_where_training_wrote_them(subjects, tmp_path):
    subject = dataclasses.replace(subjects["classifier"], run_path=tmp_path, _ran={})
    assert any("gradient_norms.csv" in text for text in GradientFlow().show(subject).paragraphs)
    rows = ["step," + ",".join(f"p{n}" for n in range(14)), "1" + ",0.5" * 13 + ",nan", "100" + ",0.25" * 14, "200,0.1"]
    (tmp_path / "gradient_norms.csv").write_text("\n".join(rows))  # a row that is still being written
    section = GradientFlow().show(subject)
    assert section.numbers["parameters"]["step"] == [1, 100]
    assert section.numbers["parameters"]["p0"] == [0.5, 0.25]
    assert section.numbers["parameters"]["p13"] == [None, 0.25]
    assert "2 with smaller gradients are left out" in section.pictures["parameters"].caption
    (tmp_path / "gradient_norms.csv").write_text("step,p0\n")
    assert read_parameter_norms(tmp_path) is None


def test_it_is_the_longest_example_that_is_looked_at(subjects):
    subject = subjects["classifier"]
    first, *rest = subject.examples
    short = first._replace(inputs=first.inputs[:1])
    turned = dataclasses.replace(subject, examples=[short, *rest], _ran={})
    assert GradientFlow().misfit(turned) is None
    section = GradientFlow().show(turned)
    assert len(section.numbers["after training"]["layer 1 h"]["norm_by_lag"]) == len(first.inputs)
    assert section.paragraphs[0].startswith(f"The longest example of the test part, {len(first.inputs)} steps")

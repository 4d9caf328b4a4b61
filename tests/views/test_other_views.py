import json

import pytest
import torch

from seqmodels.analysis import entropy, nearest_neighbours, principal_components
from seqmodels.views import AttentionView, EmbeddingsView, StateSpace


def test_attention_is_that_of_the_model_with_tokens_on_the_axes(subjects):
    subject = subjects["encoder_decoder"]
    section = AttentionView().show(subject)
    told = section.numbers["examples"][0]
    labels = subject.labels(0)
    assert told["target"] == labels.targets
    assert told["source"] == labels.source
    weights = torch.tensor(told["weights"])
    assert weights.shape == (len(labels.targets), len(labels.source))
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)), atol=5e-3, rtol=0)
    axes = section.pictures["example_1"].figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == labels.source
    json.dumps(section.numbers)


def test_a_readout_that_attends_is_shown_and_other_models_say_why_not(make_subject, subjects):
    subject = make_subject("text_classifier", "readout=attention", count=2)
    told = AttentionView().show(subject).numbers["examples"][0]
    assert len(told["weights"]) == 1
    assert len(told["weights"][0]) == len(told["source"]) == len(subject.labels(0).inputs)
    assert "readout=attention" in AttentionView().misfit(subjects["classifier"])
    assert "attention=none" in AttentionView().misfit(make_subject("encoder_decoder", "attention=none"))


def test_embeddings_of_both_sides_have_neighbours(subjects):
    section = EmbeddingsView().show(subjects["encoder_decoder"])
    assert set(section.numbers) == {"source tokens", "tokens"}
    vectors = section.vectors["tokens"]
    assert len(vectors.labels) == len(vectors.values) == subjects["encoder_decoder"].spec["vocab_size"]
    assert "<bos>" in vectors.labels
    assert "numbers" in EmbeddingsView().misfit(subjects["classifier"])


def test_the_tokens_that_share_a_vector_are_each_other_s_neighbours(make_subject):
    subject = make_subject("language_model")
    table = subject.model.frontend.table.weight
    with torch.no_grad():
        table[3] = 2 * table[5]
    neighbours = EmbeddingsView().show(subject).numbers["tokens"]["neighbours"]
    assert neighbours[3][1].startswith(f"{neighbours[5][0]} 1.00")


@pytest.mark.parametrize(
    "kind", ["language_model", "classifier", "tagger", "encoder_decoder", "transcriber", "forecaster"]
)
def test_states_of_every_layer_are_drawn(subjects, kind):
    subject = subjects[kind]
    assert StateSpace().misfit(subject) is None
    section = StateSpace().show(subject)
    names = [record.name for record in subject.ran().recording.cells]
    assert list(section.numbers) == names
    assert len(section.pictures) == len(names)
    by_class = kind in ("language_model", "classifier", "tagger")
    drawn = section.pictures[names[-1].replace(" ", "_")].figure
    assert len([axes for axes in drawn.axes if axes.get_legend()]) == (
        1 if by_class or kind == "encoder_decoder" else 0
    )


def test_principal_components_find_a_plane_and_entropy_is_that_of_a_choice():
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 6, generator=generator)
    vectors = torch.randn(50, 2, generator=generator) @ plane + 3
    found = principal_components(vectors, 2)
    torch.testing.assert_close(found.shares.sum(), torch.tensor(1.0))
    back = found.project(vectors) @ found.directions + found.mean
    torch.testing.assert_close(back, vectors)
    torch.testing.assert_close(entropy(torch.full((4,), 0.25)), torch.tensor(4.0).log())
    assert nearest_neighbours(torch.eye(3)[[0, 1, 0]]).places[0, 0] == 2
    with pytest.raises(ValueError, match="at least 2"):
        principal_components(vectors[:1])

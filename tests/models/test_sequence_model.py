"""The sequence model: padding changes nothing, directions are read where they end, contexts reach the output."""

import sys
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from seqmodels.models import (
    AttentionPooling,
    ClassEmbedding,
    Embedding,
    Identity,
    LanguageModel,
    LastState,
    Linear,
    MaxPooling,
    MeanPooling,
    OneHot,
    SequenceModel,
    SmallCNN,
    TorchVision,
)
from seqmodels.nn import GRUCell, LSTMCell, Stacking

READOUTS = [LastState, MeanPooling, MaxPooling, AttentionPooling]
LENGTHS = torch.tensor([6, 2, 4])


def make(readout=None, cell=GRUCell, **options):
    torch.manual_seed(0)
    return SequenceModel(Identity(3), cell, 2, readout, hidden_size=5, **options).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", [GRUCell, LSTMCell, torch.nn.LSTM])
@pytest.mark.parametrize("readout", [None, *READOUTS])
def test_a_row_is_scored_as_if_it_were_alone(readout, cell, bidirectional):
    model = make(readout, cell, bidirectional=bidirectional, num_layers=2)
    inputs = torch.randn(3, 6, 3)
    together, _ = model(inputs, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = model(inputs[row : row + 1, :length])
        expected = together[row, :length] if readout is None else together[row]
        torch.testing.assert_close(alone[0], expected)


@pytest.mark.parametrize("outputs", ["last", "sum", "concat"])
def test_the_last_state_of_the_backward_direction_is_the_one_at_the_first_step(outputs):
    model = make(LastState, bidirectional=True, num_layers=2, stacking=Stacking(outputs=outputs))
    inputs = torch.randn(3, 6, 3)
    hidden, (state,) = model.hidden(inputs, lengths=LENGTHS)
    forward, backward = state.unflatten(0, (2, 2)).unbind(1)  # (layers, batch, hidden_size) each
    both = torch.cat([forward, backward], -1)
    expected = {"last": both[-1], "sum": both.sum(0), "concat": torch.cat([both[0], both[1]], -1)}[outputs]
    torch.testing.assert_close(model.readout(hidden, LENGTHS), expected)


@pytest.mark.parametrize("readout", READOUTS)
def test_padding_is_never_read_out(readout):
    pooled = readout(torch.tensor([False] * 4))
    outputs = torch.randn(3, 6, 4)
    changed = outputs.clone()
    changed[1, 2:], changed[2, 4:] = 1e6, float("-inf") if readout is LastState else 1e6
    torch.testing.assert_close(pooled(outputs, LENGTHS), pooled(changed, LENGTHS))
    assert not pooled(outputs, torch.tensor([6, 0, 4])).isnan().any()


def test_attention_weights_sum_to_one_and_are_zero_in_padding():
    weights = AttentionPooling(torch.zeros(4, dtype=torch.bool)).weights(torch.randn(3, 6, 4), LENGTHS)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert weights[1, 2:].eq(0).all()


@pytest.mark.parametrize("use", ["state", "inputs", "both"])
@pytest.mark.parametrize("cell", [LSTMCell, torch.nn.GRU])
def test_a_context_reaches_every_output_and_learns(use, cell):
    torch.manual_seed(0)
    model = LanguageModel(5, cell, hidden_size=6, context=ClassEmbedding(num_classes=3, size=4), context_use=use)
    ids = torch.randint(5, (2, 4))
    one, _ = model(ids, context=torch.tensor([0, 1]))
    other, _ = model(ids, context=torch.tensor([2, 1]))
    assert (one[0] - other[0]).abs().amax(-1).gt(1e-4).all()
    torch.testing.assert_close(one[1], other[1])
    one.sum().backward()
    assert model.context.table.weight.grad[0].abs().sum() > 0


def test_a_text_may_be_continued_from_its_state_with_its_context():
    model = LanguageModel(5, LSTMCell, hidden_size=6, context=ClassEmbedding(num_classes=3), context_use="both")
    ids, context = torch.randint(5, (2, 7)), torch.tensor([2, 0])
    whole, _ = model(ids, context=context)
    first, state = model(ids[:, :3], context=context)
    rest, _ = model(ids[:, 3:], state, context=context)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)


@pytest.mark.parametrize(
    "frontend,inputs",
    [
        (Embedding(9, 4), torch.randint(9, (2, 5))),
        (OneHot(9), torch.randint(9, (2, 5))),
        (Identity(3), torch.randn(2, 5, 3)),
        (Linear(3, 7), torch.randn(2, 5, 3)),
        (SmallCNN(1, size=6), torch.randn(2, 5, 1, 9, 7)),
        (SmallCNN(3, channels=[4, 4, 4], grid=1, size=6), torch.randn(2, 5, 3, 32, 20)),
    ],
)
def test_a_front_end_makes_its_features_of_each_step_alone(frontend, inputs):
    made = frontend(inputs)
    assert made.shape == (2, 5, frontend.features)
    torch.testing.assert_close(frontend(inputs[:, 3:4]), made[:, 3:4])


def test_a_small_cnn_takes_images_without_time():
    assert SmallCNN(1, size=6)(torch.randn(3, 1, 8, 8)).shape == (3, 6)


def test_torchvisions_networks_read_grey_and_colour_frames(monkeypatch):
    """With a stand-in for torchvision, which is an optional extra."""

    def get_model(name, weights, num_classes):
        assert (name, weights) == ("resnet18", None)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, num_classes))

    models = SimpleNamespace(list_models=lambda module: ["resnet18"], get_model=get_model)
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    grey, colour = TorchVision(1, size=6), TorchVision(3, size=6)
    assert grey(torch.randn(2, 5, 1, 8, 8)).shape == (2, 5, 6)
    assert colour(torch.randn(2, 3, 8, 8)).shape == (2, 6)
    with pytest.raises(ValueError, match="name=resnt: no such network"):
        TorchVision(1, "resnt")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ValueError, match=r"needs torchvision: pip install 'seqmodels\[vision\]'"):
        TorchVision(1)


@pytest.mark.parametrize(
    "make_it,message",
    [
        (partial(Linear, 0), "num_features=0"),
        (partial(SmallCNN, 1, channels=[8, 0]), "channels=0"),
        (partial(make, output_dropout=1.0), "output_dropout=1.0"),
        (partial(AttentionPooling, torch.tensor([False]), 0), "size=0"),
    ],
)
def test_values_out_of_range_are_named(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()

from functools import partial

import pytest
import torch
from torch import nn
from twins import TWINS, assert_close, gradients, pairs, random_state

from seqmodels.nn import Context, LSTMCell, NativeRecurrent, Recurrent, Stacking, make_recurrent

LENGTHS = torch.tensor([5, 0, 7, 1, 5])
B, T, D, H = 5, 7, 3, 4


@pytest.mark.parametrize("initial_state", ["zero", "learned"])
@pytest.mark.parametrize("with_reset", [False, True], ids=["", "reset"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("name", TWINS)
def test_same_seed_makes_twins(name, bidirectional, lengths, with_reset, initial_state):
    options = {"num_layers": 2, "bidirectional": bidirectional, "initial_state": initial_state}
    results = []
    for cell in TWINS[name]:
        torch.manual_seed(3)
        layer = make_recurrent(cell, D, H, **options).double()
        inputs = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
        reset = torch.rand(B, T) < 0.3 if with_reset else None
        state = None if initial_state == "learned" else random_state(layer, B)
        outputs, final = layer(inputs, state, lengths, reset)
        if isinstance(layer, Recurrent):
            reference = layer
            weights = [p for cell in layer.cells for p in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)]
        else:
            weights = [theirs for _, _, theirs in pairs(reference, layer.layers)]
        grads = gradients(outputs, final, [inputs, *(state or ()), *weights, *layer.learned_state])
        results.append([outputs, *final, *weights, *grads])
    assert_close(*results)


@pytest.mark.parametrize("use", ["state", "inputs", "both"])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("name", TWINS)
def test_context_and_noise_are_the_same_as_ours(name, ragged, use):
    results = []
    for cell in TWINS[name]:
        torch.manual_seed(3)
        options = {"num_layers": 2, "bidirectional": True, "initial_state": "noisy", "context": Context(2, use)}
        layer = make_recurrent(cell, D, H, **options).double()
        inputs, context = (
            torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in [(B, T, D), (B, 2)]
        )
        lengths, reset = (LENGTHS, torch.rand(B, T) < 0.3) if ragged else (None, None)
        outputs, final = layer(inputs, None, lengths, reset, context)
        made = layer.context_to_state.parameters() if use != "inputs" else []
        results.append([outputs, *final, *gradients(outputs, final, [inputs, context, *made])])
    assert_close(*results)


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, 2.5])
def test_forget_bias_is_a_total(forget_bias):
    ours = LSTMCell(D, H, forget_bias=forget_bias)
    theirs = NativeRecurrent(nn.LSTM, D, H, num_layers=2, forget_bias=forget_bias).layers
    expected = torch.tensor([0.0, forget_bias, 0.0, 0.0]).repeat_interleave(H)
    assert torch.equal(ours.bias_ih + ours.bias_hh, expected)
    assert torch.equal(theirs.bias_ih_l1 + theirs.bias_hh_l1, expected)


@pytest.mark.parametrize("cell", [LSTMCell, nn.LSTM])
def test_recurrent_weights_start_orthogonal_in_each_gate(cell):
    layer = make_recurrent(cell, D, 8)
    weight = layer.cells[0].weight_hh if isinstance(layer, Recurrent) else layer.layers.weight_hh_l0
    for gate in weight.split(8):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(8), rtol=0, atol=1e-5)
    weight = layer.cells[0].weight_ih if isinstance(layer, Recurrent) else layer.layers.weight_ih_l0
    bound = (6 / (D + 8)) ** 0.5  # Glorot, each gate by itself
    assert 0.8 * bound < weight.abs().max().item() <= bound


def test_options_of_torch_layers():
    layer = make_recurrent(partial(nn.RNN, nonlinearity="relu", bias=False), D, H, dropout=0.5)
    assert isinstance(layer, NativeRecurrent)
    assert layer.layers.mode == "RNN_RELU"
    assert not layer.layers.bias
    assert isinstance(make_recurrent(partial(LSTMCell, forget_bias=0.0), D, H), Recurrent)


def test_options_that_would_change_the_interface_are_refused():
    with pytest.raises(ValueError, match=r"cell: expected a partial that sets bias or nonlinearity alone, got \['proj"):
        make_recurrent(partial(nn.LSTM, proj_size=2), D, H)
    with pytest.raises(ValueError, match=r"cell: expected torch.nn.RNN, LSTM or GRU"):
        NativeRecurrent(LSTMCell, D, H)


def test_what_torch_layers_cannot_do_is_refused():
    for options, message in [
        ({"hidden_size": [4, 5]}, r"hidden_size: expected one for all of torch's own layers, got \[4, 5\]"),
        ({"hidden_size": 4, "stacking": Stacking("dense")}, r"stacking: expected none for torch's own layers"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_recurrent(nn.LSTM, D, num_layers=2, **options)
    with pytest.raises(ValueError, match="stacking: expected none"):
        make_recurrent(nn.LSTM, D, H, stacking=Stacking("residual"))


def test_options_that_change_nothing_are_taken():
    assert make_recurrent(nn.LSTM, D, [4, 4], num_layers=2, stacking=Stacking()).output_size == 4
    assert make_recurrent(nn.LSTM, D, H, stacking=Stacking("dense", "sum", variational_dropout=True)).output_size == 4

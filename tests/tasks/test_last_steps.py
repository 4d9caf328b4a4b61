"""The gradient over the last k2 steps of a whole sequence, against a graph that is cut by hand."""

from functools import partial

import pytest
import torch

from seqmodels.models import Identity, LastState, MeanPooling, SequenceModel
from seqmodels.nn import GRUCell, LSTMCell
from seqmodels.tasks.truncation import run_last_steps

T = 7


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def cut_by_hand(model, inputs, length, k2):
    """One row, one step at a time, the state detached k2 steps before its end."""
    state, outputs = model.initial_state(1), []
    for step in range(length):
        if step and step == length - k2:
            state = tuple(tensor.detach() for tensor in state)
            outputs = [output.detach() for output in outputs]
        output, state = model.hidden(inputs[:, step : step + 1], state)
        outputs.append(output)
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("readout", [LastState, MeanPooling])
@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, torch.nn.LSTM])
@pytest.mark.parametrize("k2", [1, 3, 6])
@pytest.mark.parametrize("lengths", [None, [7, 2, 3, 5]])
def test_only_the_last_steps_of_each_row_carry_gradient(lengths, k2, cell, readout):
    torch.manual_seed(0)
    model = SequenceModel(Identity(2), cell, 1, readout, hidden_size=3, num_layers=2, initial_state="learned")
    inputs = torch.randn(4, T, 2)
    ragged = None if lengths is None else torch.tensor(lengths)
    hidden = run_last_steps(model.hidden, inputs, ragged, T - k2, partial(model.initial_state, 4))
    outputs = model.outputs(hidden, ragged)
    outputs.square().sum().backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    rows = []
    for row, length in enumerate(lengths or [T] * 4):
        rows.append(model.outputs(cut_by_hand(model, inputs[row : row + 1], length, k2)))
    expected = torch.cat(rows)
    torch.testing.assert_close(outputs, expected)
    expected.square().sum().backward()
    for name, parameter in model.named_parameters():
        zero = torch.zeros_like(parameter)
        torch.testing.assert_close(
            ours[name] if ours[name] is not None else zero, parameter.grad if parameter.grad is not None else zero
        )

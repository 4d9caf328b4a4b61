"""What a researcher writes: a cell of fifteen lines in either contract, which must then work everywhere."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from twins import assert_close, random_state, randomize

from seqmodels.nn import Cell, GatedCell, LSTMCell, Recurrent, State


class DeepTransitionCell(Cell):
    """A network inside the step: only the wide contract can hold it."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.input = nn.Linear(input_size, hidden_size)
        self.transition = nn.Sequential(nn.Linear(hidden_size, 6), nn.Tanh(), nn.Linear(6, hidden_size))

    def project(self, inputs: Tensor) -> Tensor:
        return self.input(inputs)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        h = torch.tanh(projected + self.transition(h))
        return h, (h,)


class HandmadeLSTMCell(GatedCell):
    """An LSTM by the narrow contract, written by hand."""

    num_gates = 4
    num_states = 2

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, (h, c)


class OnesCell(DeepTransitionCell):
    """A cell with an initial state and an output of its own."""

    def initial_state(self, batch_size: int) -> State:
        return tuple(torch.ones_like(s) for s in super().initial_state(batch_size))

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        h, state = super().step(projected, state)
        return -h, state


cells = pytest.mark.parametrize("cell", [DeepTransitionCell, HandmadeLSTMCell, OnesCell])


@cells
def test_depth_directions_lengths_and_resets(cell):
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 4, num_layers=2, bidirectional=True).double()
    randomize(layer)
    inputs = torch.randn(4, 6, 3, dtype=torch.float64)
    lengths, reset = torch.tensor([6, 0, 2, 5]), torch.zeros(4, 6, dtype=torch.bool)
    reset[0, 3] = True
    outputs, final = layer(inputs, lengths=lengths, reset=reset)
    assert outputs.shape == (4, 6, 8)
    assert_close(outputs[:1, :3], layer(inputs[:1, :3])[0])
    assert_close(outputs[:1, 3:], layer(inputs[:1, 3:])[0])
    assert_close(outputs[2:3, :2], layer(inputs[2:3, :2])[0])
    assert_close([s[:, 3:] for s in final], list(layer(inputs[3:, :5])[1]))
    assert_close([s[:, 1] for s in final], [s[:, 1] for s in layer.initial_state(4)])
    outputs.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())


@cells
def test_gradcheck(cell):
    torch.manual_seed(0)
    layer = Recurrent(cell, 2, 3).double()
    inputs = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    state = random_state(layer, 2)

    def function(inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs, final = layer(inputs, state, torch.tensor([3, 1]))
        return outputs, *final

    assert gradcheck(function, (inputs, *state))


@pytest.mark.parametrize(
    ("made", "got"), [(lambda h: h, "a tensor alone"), (lambda h: (h, h), "a state that is no tuple")]
)
def test_a_forgotten_tuple_is_told(made, got):
    class ForgetfulCell(GatedCell):
        def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
            return made(torch.tanh(projected + recurrent))

    with pytest.raises(ValueError, match=rf"ForgetfulCell.update: expected \(output, state\), .* got {got}"):
        Recurrent(ForgetfulCell, 3, 4)(torch.randn(2, 5, 3))


def test_a_hand_written_lstm_equals_ours():
    torch.manual_seed(0)
    ours, theirs = (Recurrent(cell, 3, 4, num_layers=2).double() for cell in (LSTMCell, HandmadeLSTMCell))
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    assert_close(ours(inputs)[0], theirs(inputs)[0])

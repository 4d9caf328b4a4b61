import pytest
import torch

from seqmodels.nn import Cell, ElmanCell, GRUCell, LSTMCell, Recurrent, make_recurrent

B, T, D, H = 5, 7, 3, 4


def test_wrong_arguments_say_what_is_expected():
    layer = Recurrent(LSTMCell, D, H)
    inputs = torch.zeros(B, T, D)
    zeros = torch.zeros(1, B, H)
    for arguments, message in [
        ((torch.zeros(B, D),), r"inputs: expected shape \(batch, time, 3\), got \(5, 3\)"),
        ((torch.zeros(B, T, 2),), r"expected shape \(batch, time, 3\), got \(5, 7, 2\)"),
        ((torch.zeros(B, 0, D),), r"got \(5, 0, 3\)"),
        ((inputs.double(),), r"inputs: expected torch.float32, got torch.float64"),
        ((inputs.long(),), r"inputs: expected torch.float32, got torch.int64"),
        ((inputs, zeros), r"state: expected a tuple of 2 tensors, got Tensor"),
        ((inputs, (zeros,)), r"state: expected 2 tensors of shape \(1, 5, 4\), got \[\(1, 5, 4\)\]"),
        ((inputs, (zeros, zeros[:, :2])), r"got \[\(1, 5, 4\), \(1, 2, 4\)\]"),
        ((inputs, (zeros, zeros.double())), r"state: expected torch.float32, got torch.float64"),
        ((inputs, None, torch.ones(4, dtype=torch.int64)), r"lengths: expected shape \(5,\), got \(4,\)"),
        ((inputs, None, torch.ones(B)), r"lengths: expected integers, got torch.float32"),
        ((inputs, None, torch.full((B,), 8)), r"lengths: expected 0 to 7, got 8 to 8"),
        ((inputs, None, torch.full((B,), -1)), r"lengths: expected 0 to 7, got -1 to -1"),
        ((inputs, None, None, torch.zeros(B, 1, dtype=torch.bool)), r"reset: expected shape \(5, 7\), got \(5, 1\)"),
        ((inputs, None, None, torch.zeros(B, T)), r"reset: expected torch.bool, got torch.float32"),
    ]:
        for twin in (layer, make_recurrent(torch.nn.LSTM, D, H)):
            with pytest.raises(ValueError, match=message):
                twin(*arguments)


@pytest.mark.parametrize("cell", [GRUCell, torch.nn.GRU])
@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_layers": 0}, "num_layers: expected an integer of at least 1, got 0"),
        ({"dropout": 1.0}, "dropout: expected a probability"),
        ({"initial_state": "random"}, "initial_state: expected one of zero, learned, got 'random'"),
        ({"backend": "fast"}, "backend: expected .*auto.*, got 'fast'"),
    ],
)
def test_wrong_options_say_what_is_valid(cell, options, message):
    with pytest.raises(ValueError, match=message):
        make_recurrent(cell, D, H, **options)


def test_only_a_cell_will_do():
    with pytest.raises(ValueError, match=r"cell: expected something that makes a seqmodels.nn.Cell"):
        Recurrent(torch.nn.Linear, D, H)
    with pytest.raises(ValueError, match="activation: expected one of tanh, relu, sigmoid, identity, got 'gelu'"):
        ElmanCell(D, H, "gelu")
    with pytest.raises(ValueError, match="hidden_size: expected an integer of at least 1, got 0"):
        GRUCell(D, 0)


def test_a_cell_alone_checks_its_arguments():
    cell = LSTMCell(D, H)
    with pytest.raises(ValueError, match=r"inputs: expected shape \(batch, 3\), got \(2, 7, 3\)"):
        cell(torch.zeros(2, T, D))
    with pytest.raises(ValueError, match=r"state: expected 2 tensors of shape \(2, 4\), got \[\(2, 4\)\]"):
        cell(torch.zeros(2, D), (torch.zeros(2, H),))


class NarrowCell(Cell):
    """Gives an output of one column, which would broadcast."""

    def step(self, projected, state):
        return projected[:, :1], state


class ForgetfulCell(Cell):
    """Gives no state."""

    def step(self, projected, state):
        return state[0], ()


@pytest.mark.parametrize("cell, got", [(NarrowCell, r"\[\(5, 1\), \(5, 4\)\]"), (ForgetfulCell, r"\[\(5, 4\)\]")])
def test_a_step_of_the_wrong_shape_is_refused(cell, got):
    with pytest.raises(
        ValueError, match=rf"{cell.__name__}.step: expected an output and 1 state .* \(5, 4\), got {got}"
    ):
        Recurrent(cell, D, H)(torch.zeros(B, T, D))


def test_a_cell_without_step_says_so():
    with pytest.raises(NotImplementedError, match=r"Cell must define step\(projected, state\)"):
        Recurrent(Cell, D, H)(torch.zeros(B, T, D))

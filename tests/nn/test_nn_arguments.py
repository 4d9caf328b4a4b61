import pytest
import torch

from seqmodels.nn import (
    Cell,
    Context,
    ElmanCell,
    FeedForward,
    GRUCell,
    LSTMCell,
    Recurrent,
    Stacking,
    VariationalDropout,
    make_recurrent,
)

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
        ((inputs.to("meta"),), r"inputs: expected a tensor on cpu, got one on meta"),
        ((inputs, (zeros, zeros.to("meta"))), r"state: expected a tensor on cpu, got one on meta"),
        ((inputs, None, None, None, torch.zeros(B, 2)), r"context: expected none, as the layer was made without"),
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
        ({"initial_state": "random"}, "initial_state: expected one of zero, learned, noisy, got 'random'"),
        ({"initial_state": "learned", "context": Context(2)}, "initial_state: expected zero or noisy where a context"),
        ({"noise": -0.1}, "noise: expected a standard deviation of at least 0, got -0.1"),
        ({"hidden_size": 0}, "hidden_size: expected an integer of at least 1, got 0"),
        ({"hidden_size": [4, 0], "num_layers": 2}, "hidden_size: expected an integer of at least 1, got 0"),
        ({"hidden_size": [4, 5, 6], "num_layers": 2}, r"hidden_size: expected an integer or 2 .*, got \[4, 5, 6\]"),
        ({"backend": "fast"}, "backend: expected .*auto.*, got 'fast'"),
    ],
)
def test_wrong_options_say_what_is_valid(cell, options, message):
    with pytest.raises(ValueError, match=message):
        make_recurrent(cell, **{"input_size": D, "hidden_size": H, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hidden_size": [4, 5], "num_layers": 2, "stacking": Stacking("residual")},
            "stacking.connections: expected layers as wide as what they read .* layer 1 with 4 inputs and 5 outputs",
        ),
        (
            {"num_layers": 2, "stacking": Stacking("residual", between=lambda size: FeedForward(size, 7))},
            "layer 1 with 7 inputs and 4 outputs",
        ),
        (
            {"hidden_size": [4, 5], "num_layers": 2, "bidirectional": True, "stacking": Stacking(outputs="sum")},
            r"stacking.outputs: expected layers of one width for sum, got \[8, 10\]",
        ),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(GRUCell, **{"input_size": D, "hidden_size": H, **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stacking("skip"), "stacking.connections: expected one of plain, residual, dense, got 'skip'"),
        (lambda: Stacking(outputs="mean"), "stacking.outputs: expected one of last, sum, concat, got 'mean'"),
        (lambda: Context(0), "context.size: expected an integer of at least 1, got 0"),
        (lambda: Context(2, "all"), "context.use: expected one of state, inputs, both, got 'all'"),
        (lambda: VariationalDropout(1.0), r"probability: expected a probability in \[0, 1\), got 1.0"),
        (lambda: FeedForward(3, 0), "output_size: expected an integer of at least 1, got 0"),
        (lambda: FeedForward(3, activation="gelu"), "activation: expected one of relu, tanh, sigmoid, got 'gelu'"),
    ],
)
def test_unknown_choices_say_what_is_valid(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("use", ["state", "inputs", "both"])
@pytest.mark.parametrize("cell", [GRUCell, torch.nn.GRU])
def test_a_wrong_context_says_what_is_expected(cell, use):
    layer = make_recurrent(cell, D, H, context=Context(2, use))
    for context, message in [
        (torch.zeros(B, 3), r"context: expected shape \(5, 2\), got \(5, 3\)"),
        (torch.zeros(1, 2), r"context: expected shape \(5, 2\), got \(1, 2\)"),
        (torch.zeros(B, 2).double(), "context: expected torch.float32, got torch.float64"),
        (torch.zeros(B, 2, device="meta"), "context: expected a tensor on cpu, got one on meta"),
        (None, r"context: expected shape \(5, 2\), got None"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer(torch.zeros(B, T, D), context=context)


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

"""Widths, connections, layers between, outputs, initial states and context: each against the loop written by hand."""

import copy
import pickle
from functools import partial

import pytest
import torch
from by_hand import run_by_hand
from torch import Tensor, nn
from twins import assert_close, random_state, randomize

from seqmodels.nn import Cell, Context, ElmanCell, FeedForward, GRUCell, LSTMCell, Recurrent, Stacking, State

B, T, D, H, C = 4, 5, 3, 4, 2
LENGTHS = torch.tensor([3, 0, 5, 1])
RESET = torch.zeros(B, T, dtype=torch.bool)
RESET[0, [0, 2, 4]] = RESET[2, [1, 4]] = RESET[3, 0] = True


class OnesCell(ElmanCell):
    """Has an initial state of its own."""

    def initial_state(self, batch_size: int) -> State:
        return tuple(torch.ones_like(s) for s in super().initial_state(batch_size))


class CopyCell(Cell):
    """Puts out its inputs, so that what a layer reads can be seen."""

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        return projected, state


class KeepCell(Cell):
    """Puts out the state it started from."""

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        return state[0], state


widths = {"hidden_size": [4, 2, 3]}
between = partial(FeedForward, output_size=5, activation="tanh")
OPTIONS = {
    "widths": widths,
    "own state": {"cell": OnesCell, **widths},
    "learned": {"initial_state": "learned", **widths},
    "residual": {"stacking": Stacking("residual")},
    "residual everywhere": {"stacking": Stacking("residual"), "input_size": 4, "hidden_size": {1: 4, 2: 2}},
    "dense": {"cell": GRUCell, "stacking": Stacking("dense"), **widths},
    "between": {"stacking": Stacking(between=between), **widths},
    "residual between": {"stacking": Stacking("residual", "sum", between=nn.LayerNorm)},
    "dense between": {"stacking": Stacking("dense", "concat", between=between), **widths},
    "sum": {"stacking": Stacking(outputs="sum")},
    "concat": {"stacking": Stacking(outputs="concat"), **widths},
    "context as state": {"context": Context(C), **widths},
    "context as inputs": {"context": Context(C, "inputs"), "initial_state": "learned"},
    "context as both": {"context": Context(C, "both"), "stacking": Stacking("dense"), **widths},
}
every_option = pytest.mark.parametrize("name", OPTIONS)
both_directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])


def make(name, bidirectional=False, **changes):
    torch.manual_seed(0)
    options = {"cell": LSTMCell, "input_size": D, "hidden_size": H, "num_layers": 3, **OPTIONS[name], **changes}
    if isinstance(options["hidden_size"], dict):
        options["hidden_size"] = options["hidden_size"][2 if bidirectional else 1]
    layer = Recurrent(bidirectional=bidirectional, **options).double().eval()
    randomize(layer)
    return layer


def make_inputs(layer):
    inputs = torch.randn(B, T, layer.input_size, dtype=torch.float64, requires_grad=True)
    context = torch.randn(B, C, dtype=torch.float64, requires_grad=True) if layer.context else None
    return inputs, context


def results(layer, run, inputs, state, lengths, reset, context):
    """Outputs, final state, and the gradients of a sum that weighs each number differently."""
    outputs, final = run(inputs, state, lengths, reset, context)
    weighed = [(torch.sin(torch.arange(x.numel()).double()).view(x.shape) * x).sum() for x in (outputs[:, :T], *final)]
    wanted = [inputs, *(state or ()), *([context] if layer.context else []), *layer.parameters()]
    grads = torch.autograd.grad(sum(weighed), wanted, allow_unused=True, materialize_grads=True)
    return [outputs, *final, *grads]


@pytest.mark.parametrize(
    ("lengths", "reset", "with_state"),
    [(None, None, True), (LENGTHS, None, False), (None, RESET, False), (LENGTHS, RESET, True)],
    ids=["full", "ragged", "reset", "ragged-reset"],
)
@both_directions
@every_option
def test_equals_the_loop_by_hand(name, bidirectional, lengths, reset, with_state):
    layer = make(name, bidirectional)
    inputs, context = make_inputs(layer)
    state = random_state(layer, B) if with_state else None
    arguments = (inputs, state, lengths, reset, context)
    assert_close(results(layer, layer, *arguments), results(layer, partial(run_by_hand, layer), *arguments))


@both_directions
@every_option
def test_padding_changes_nothing(name, bidirectional):
    layer = make(name, bidirectional)
    inputs, context = make_inputs(layer)
    padding = torch.arange(T) >= LENGTHS[:, None]
    dirty = inputs.detach().masked_fill(padding[..., None], float("nan"))
    dirty = nn.functional.pad(dirty, (0, 0, 0, 3), value=float("nan")).requires_grad_()
    clean, unclean = (results(layer, layer, x, None, LENGTHS, None, context) for x in (inputs, dirty))
    place = 1 + layer.num_states  # of the gradient of the inputs
    assert bool((unclean[0][:, T:] == 0).all())
    assert bool((unclean[place][:, T:] == 0).all())
    unclean[0], unclean[place] = unclean[0][:, :T], unclean[place][:, :T]
    assert_close(unclean, clean)


@both_directions
@every_option
def test_a_nan_stays_in_its_row(name, bidirectional):
    layer = make(name, bidirectional)
    inputs, context = make_inputs(layer)
    inputs = inputs.detach()
    expected, expected_final = layer(inputs, None, LENGTHS, RESET, context)
    inputs[2, 1] = float("nan")
    outputs, final = layer(inputs, None, LENGTHS, RESET, context)
    others = torch.arange(B) != 2
    assert_close(outputs[others], expected[others])
    assert_close([s[:, others] for s in final], [s[:, others] for s in expected_final])
    assert bool(outputs[2].isnan().any())


@every_option
def test_step_by_step_equals_the_whole(name):
    layer = make(name).float()
    inputs, context = (None if x is None else x.float() for x in make_inputs(layer))
    outputs, final = layer(inputs, context=context)
    state = None
    for t in range(T):
        output, state = layer(inputs[:, t : t + 1], state, context=context)
        torch.testing.assert_close(output, outputs[:, t : t + 1], rtol=0, atol=1e-6)
    torch.testing.assert_close(state, final, rtol=0, atol=1e-6)


@every_option
def test_saved_and_loaded_it_is_the_same(name):
    layer, other = make(name), make(name)
    randomize(other)
    inputs, context = make_inputs(layer)
    expected, _ = layer(inputs, context=context)
    assert not torch.equal(other(inputs, context=context)[0], expected)
    other.load_state_dict(layer.state_dict())
    for same in (other, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(same(inputs, context=context)[0], expected)


@both_directions
@every_option
def test_autocast_keeps_outputs_and_state_in_full_precision(name, bidirectional):
    layer = make(name, bidirectional).float()
    inputs, context = (None if x is None else x.float() for x in make_inputs(layer))
    expected, _ = layer(inputs, None, LENGTHS, RESET, context)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = layer(inputs.bfloat16(), None, LENGTHS, RESET, None if context is None else context.bfloat16())
    assert {x.dtype for x in (outputs, *state)} == {torch.float32}
    torch.testing.assert_close(outputs, expected, rtol=0.1, atol=0.1)


@both_directions
def test_state_is_zero_beyond_a_layers_own_width(bidirectional):
    layer = make("widths", bidirectional)
    inputs, _ = make_inputs(layer)
    junk = tuple(torch.full_like(s, float("nan")) for s in random_state(layer, B))
    for k, cell in enumerate(layer.cells):
        for s in junk:
            s[k, :, : cell.hidden_size] = 0.5
    _, final = layer(inputs, junk, LENGTHS)
    for k, cell in enumerate(layer.cells):
        for s in final:
            assert bool((s[k, :, cell.hidden_size :] == 0).all())
            assert bool((s[k, :, : cell.hidden_size] != 0).all())


def test_context_is_needed_only_where_it_is_used():
    layer = make("context as state")
    inputs, context = make_inputs(layer)
    state = random_state(layer, B)
    assert torch.equal(layer(inputs, state)[0], layer(inputs, state, context=context)[0])
    for arguments in [(inputs,), (inputs, state, None, RESET)]:
        with pytest.raises(ValueError, match=r"context: expected shape \(4, 2\), got None"):
            layer(*arguments)
    with pytest.raises(ValueError, match=r"context: expected shape \(3, 2\), got None"):
        layer.initial_state(3)
    with pytest.raises(ValueError, match=r"context: expected shape \(4, 2\), got None"):
        make("context as inputs")(inputs, state)


@both_directions
def test_noise_is_drawn_for_each_row_while_training(bidirectional):
    layer = make("widths", bidirectional, initial_state="noisy", noise=0.3).train()
    many = layer.initial_state(2000)
    for k, cell in enumerate(layer.cells):
        for s in many:
            assert s[k, :, : cell.hidden_size].std().item() == pytest.approx(0.3, rel=0.1)
            assert abs(s[k, :, : cell.hidden_size].mean().item()) < 0.03
            assert bool((s[k, :, cell.hidden_size :] == 0).all())
    assert all(bool((s == 0).all()) for s in layer.eval().initial_state(2000))


@pytest.mark.parametrize("reset", [None, RESET], ids=["", "reset"])
def test_noise_acts_where_a_sequence_starts(reset):
    layer = make("sum", initial_state="noisy", context=Context(C)).train()
    inputs, context = make_inputs(layer)
    state = random_state(layer, B)
    first, second = (layer(inputs, state, None, reset, context)[0] for _ in range(2))
    after_reset = torch.zeros(B, T, dtype=torch.bool) if reset is None else reset.cumsum(1) > 0
    assert torch.equal((first == second).all(-1), ~after_reset)
    assert bool((layer(inputs, context=context)[0] != layer(inputs, context=context)[0]).all())
    layer.eval()
    assert torch.equal(layer(inputs, context=context)[0], layer(inputs, context=context)[0])


def test_noise_is_drawn_anew_at_each_reset():
    layer = Recurrent(KeepCell, D, H, initial_state="noisy")
    reset = torch.tensor([[False, False, True, False, True, False], [False] * 6])
    outputs, _ = layer(torch.zeros(2, 6, D), reset=reset)
    assert torch.equal(outputs[0], outputs[0, [0, 0, 2, 2, 4, 4]])
    assert torch.equal(outputs[1], outputs[1, [0]].expand(6, -1))
    assert len(torch.cat([outputs[0, ::2], outputs[1, :1]]).unique(dim=0)) == 4


def test_an_initial_state_from_context_keeps_its_precision_under_autocast():
    layer = Recurrent(LSTMCell, D, H, context=Context(C))
    with torch.autocast("cpu", torch.bfloat16):
        assert {s.dtype for s in layer.initial_state(B, torch.randn(B, C))} == {torch.float32}


@pytest.mark.parametrize("training", [True, False])
def test_measuring_what_stands_between_leaves_no_trace(training):
    def make_between(size):
        return nn.Sequential(nn.Dropout(0.5), nn.Linear(size, 6)).train(training)

    torch.manual_seed(0)
    nn.Linear(D, 6)
    drawn = torch.get_rng_state()
    torch.manual_seed(0)
    layer = Recurrent(CopyCell, D, [D, 6], num_layers=2, stacking=Stacking(between=make_between))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert layer.between[0].training == training


@pytest.mark.parametrize("reset", [None, RESET], ids=["", "reset"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("variational", [False, True])
def test_variational_dropout_holds_its_mask_over_a_sequence(variational, lengths, reset):
    torch.manual_seed(0)
    stacking = Stacking(variational_dropout=variational)
    layer = Recurrent(CopyCell, 30, 30, num_layers=2, dropout=0.5, stacking=stacking)
    outputs, _ = layer(torch.ones(B, T, 30), lengths=lengths, reset=reset)
    valid = torch.arange(T) < (torch.full((B,), T) if lengths is None else lengths)[:, None]
    assert bool((outputs[~valid] == 0).all())
    assert set(outputs[valid].unique().tolist()) == {0.0, 2.0}
    part = (torch.zeros(B, T) if reset is None else reset.cumsum(1)) + 10 * torch.arange(B)[:, None]
    means = torch.stack([outputs[(part == p) & valid].mean(0) for p in part[valid].unique()])
    several = torch.tensor([int(((part == p) & valid).sum()) > 1 for p in part[valid].unique()])
    held = ((means == 0) | (means == 2)).all(1)
    assert torch.equal(held, torch.ones_like(held) if variational else ~several)
    assert len(means.unique(dim=0)) == len(means)  # a mask for each row, and each part of it
    assert bool((layer.eval()(torch.ones(B, T, 30))[0] == 1).all())


@pytest.mark.parametrize("connections", ["plain", "residual", "dense"])
@pytest.mark.parametrize("variational", [False, True])
def test_padding_does_not_move_dropout(connections, variational):
    layer = make("sum", dropout=0.5, stacking=Stacking(connections, variational_dropout=variational)).train()
    inputs, _ = make_inputs(layer)
    outputs = []
    for time in (T, T + 3):
        torch.manual_seed(1)
        outputs.append(layer(nn.functional.pad(inputs, (0, 0, 0, time - T)), lengths=LENGTHS)[0][:, :T])
    assert torch.equal(*outputs)


def test_dropout_spares_residual_connections_and_raw_inputs():
    dense = Recurrent(CopyCell, 2, [2, 4], num_layers=2, dropout=0.9, stacking=Stacking("dense"))
    torch.manual_seed(0)
    outputs, _ = dense(torch.ones(50, T, 2))
    assert bool((outputs[..., :2] == 1).all())
    assert bool((outputs[..., 2:] == 0).any())
    residual = Recurrent(CopyCell, 2, 2, num_layers=2, dropout=0.9, stacking=Stacking("residual"))
    outputs, _ = residual(torch.ones(50, T, 2))
    torch.testing.assert_close(outputs.unique(), torch.tensor([2.0, 22.0]))  # twice the input, and 0 or 20 of it

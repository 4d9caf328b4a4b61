import contextlib
import copy
import itertools
from functools import partial

import pytest
import torch
from twins import CELLS, TWINS, assert_close, copy_weights, gradients, pairs, random_state, randomize, run_native

from seqmodels.nn import GRUCell, LSTMCell, Recurrent, backends, make_recurrent, map_state

LENGTHS = torch.tensor([5, 0, 7, 1, 5])
B, T, D, H = 5, 7, 3, 4


def make(cell="lstm", **options):
    torch.manual_seed(0)
    layer = make_recurrent(CELLS.get(cell, cell), D, H, **options).double()
    randomize(layer)
    return layer


def fitting(name):
    """The kernels that can run a cell."""
    found = []
    for backend in backends():
        with contextlib.suppress(ValueError):
            make(name, backend=backend)
            found.append(backend)
    assert "reference" in found
    return found


def layers():
    """One of ours on each backend, and one of torch's, deep and in both directions."""
    options = {"num_layers": 2, "bidirectional": True}
    for name in TWINS:
        for backend in fitting(name):
            yield pytest.param(lambda n=name, b=backend: make(n, backend=b, **options), id=f"{name}-{backend}")
        yield pytest.param(lambda n=name: make(TWINS[n][1], **options), id=f"{name}-native")


every_layer = pytest.mark.parametrize("make_layer", list(layers()))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize(("name", "backend"), [(name, backend) for name in TWINS for backend in fitting(name)])
def test_equals_torch(name, backend, num_layers, bidirectional, lengths):
    layer = make(name, num_layers=num_layers, bidirectional=bidirectional, backend=backend)
    native = TWINS[name][1](D, H, num_layers=num_layers, bidirectional=bidirectional, batch_first=True).double()
    copy_weights(layer, native)
    inputs = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    state = random_state(layer, B)

    outputs, final = layer(inputs, state, lengths)
    expected, expected_final = run_native(native, inputs, state, lengths)

    assert_close(outputs, expected)
    assert_close(final, expected_final)
    ours, theirs = zip(*((p, q) for _, p, q in pairs(layer, native)), strict=True)
    assert len(ours) == 4 * len(layer.cells)
    assert_close(
        gradients(outputs, final, [inputs, *state, *ours]),
        gradients(expected, expected_final, [inputs, *state, *theirs]),
    )


@pytest.mark.parametrize("name", TWINS)
def test_without_bias_equals_torch(name):
    layer = make(partial(TWINS[name][0], bias=False), num_layers=2)
    native = TWINS[name][1](D, H, num_layers=2, bias=False, batch_first=True).double()
    copy_weights(layer, native)
    inputs, state = torch.randn(B, T, D, dtype=torch.float64), random_state(layer, B)
    outputs, final = layer(inputs, state)
    expected, expected_final = run_native(native, inputs, state, None)
    assert_close(outputs, expected)
    ours, theirs = zip(*((p, q) for _, p, q in pairs(layer, native)), strict=True)
    assert_close(gradients(outputs, final, list(ours)), gradients(expected, expected_final, list(theirs)))


@every_layer
@pytest.mark.parametrize("filler", [1e3, float("nan"), float("inf")])
def test_padding_changes_nothing(make_layer, filler):
    layer = make_layer()
    clean = torch.randn(B, T, D, dtype=torch.float64)
    padding = torch.arange(T) >= LENGTHS[:, None]
    dirty = torch.nn.functional.pad(clean.masked_fill(padding[..., None], filler), (0, 0, 0, 3), value=filler)
    results = []
    for inputs in (clean, dirty):
        inputs.requires_grad_()
        state = random_state(layer, B)
        with torch.no_grad():
            for k, s in enumerate(state):
                s.copy_(torch.linspace(-1, 1, s.numel(), dtype=s.dtype).view(s.shape) * (k + 1))
        outputs, final = layer(inputs, state, LENGTHS)
        assert bool((outputs[:, T:] == 0).all())
        assert bool((outputs[:, :T][padding] == 0).all())
        grad_inputs, *grads = gradients(outputs[:, :T], final, [inputs, *state, *layer.parameters()])
        assert bool((grad_inputs[:, T:] == 0).all())
        results.append([outputs[:, :T], *final, grad_inputs[:, :T], *grads])
    assert_close(*results)


@every_layer
@pytest.mark.parametrize("lengths", [torch.zeros(B, dtype=torch.int32), LENGTHS])
def test_a_row_of_length_zero_keeps_its_state(make_layer, lengths):
    layer = make_layer()
    state = random_state(layer, B)
    outputs, final = layer(torch.full((B, T, D), float("nan"), dtype=torch.float64), state, lengths)
    empty = lengths == 0
    assert bool((outputs[empty] == 0).all())
    for before, after in zip(state, final, strict=True):
        assert torch.equal(before[:, empty], after[:, empty])


@every_layer
@pytest.mark.parametrize("learned", [False, True], ids=["zero", "learned"])
def test_reset_equals_running_the_parts_apart(make_layer, learned):
    layer = make_layer()
    if learned:
        layer.learned_state = torch.nn.ParameterList(
            torch.nn.Parameter(torch.randn(4, 1, H, dtype=torch.float64)) for _ in range(layer.num_states)
        )
    resets = {0: [0], 2: [2, 3, 6], 3: [0, 4], 4: [5]}  # one on a row of a single step, one beyond its row's end
    reset = torch.zeros(B, T, dtype=torch.bool)
    for row, steps in resets.items():
        reset[row, steps] = True
    inputs, state = torch.randn(B, T, D, dtype=torch.float64), random_state(layer, B)
    outputs, final = layer(inputs, state, LENGTHS, reset)

    forward = torch.tensor([True, False] * 2)[:, None, None]
    for b, length in enumerate(LENGTHS.tolist()):
        cuts = sorted({0, length, *(t for t in resets.get(b, []) if t < length)})
        spans = list(itertools.pairwise(cuts))
        given, fresh = tuple(s[:, b : b + 1] for s in state), layer.initial_state(1)
        finals = []
        for start, stop in spans:
            goes_on, comes_from_end = start == 0 and not reset[b, 0], stop == length
            begin = tuple(
                torch.where(forward, g if goes_on else f, g if comes_from_end else f)
                for g, f in zip(given, fresh, strict=True)
            )
            expected, part_final = layer(inputs[b : b + 1, start:stop], begin)
            assert_close(outputs[b : b + 1, start:stop], expected)
            finals.append(part_final)
        ends = (
            [torch.where(forward, last, first) for first, last in zip(finals[0], finals[-1], strict=True)]
            if finals
            else given
        )
        assert_close([s[:, b : b + 1] for s in final], list(ends))
        assert bool((outputs[b, length:] == 0).all())


def test_reset_stops_the_gradient():
    layer = make("gru")
    inputs = torch.randn(1, T, D, dtype=torch.float64, requires_grad=True)
    reset = torch.arange(T)[None] == 4
    outputs, _ = layer(inputs, reset=reset)
    (grad,) = torch.autograd.grad(outputs[:, -1].sum(), inputs)
    assert bool((grad[:, :4] == 0).all())
    assert bool((grad[:, 4:] != 0).all())


@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
@pytest.mark.parametrize("native", [False, True], ids=["ours", "native"])
def test_step_by_step_equals_the_whole(name, native):
    layer = make(TWINS[name][native], num_layers=2)
    inputs, state = torch.randn(1, T, D, dtype=torch.float64), random_state(layer, 1)
    outputs, final = layer(inputs, state)
    for t in range(T):
        output, state = layer(inputs[:, t : t + 1], state)
        assert_close(output, outputs[:, t : t + 1])
    assert_close(state, final)


@every_layer
def test_windows_of_any_length_carry_the_state(make_layer):
    layer = make_layer()
    inputs = torch.randn(2, T, D, dtype=torch.float64)
    for time in (1, 3, T):
        outputs, state = layer(inputs[:, :time])
        assert outputs.shape == (2, time, layer.output_size)
        assert all(s.shape == (4, 2, H) for s in state)
        outputs, _ = layer(inputs[:, :time], map_state(torch.Tensor.detach, state))
        outputs.sum().backward()


def test_cell_called_directly_equals_the_layer():
    layer = make("lstm")
    inputs = torch.randn(B, 1, D, dtype=torch.float64)
    output, (h, c) = layer.cells[0](inputs[:, 0])
    outputs, final = layer(inputs)
    assert_close(output, outputs[:, 0])
    assert_close((h[None], c[None]), final)


def test_learned_initial_state_starts_at_zero_and_learns():
    torch.manual_seed(0)
    layer = Recurrent(LSTMCell, D, H, num_layers=2, bidirectional=True, initial_state="learned")
    assert [tuple(s.shape) for s in layer.learned_state] == [(4, 1, H)] * 2
    inputs = torch.randn(B, T, D)
    twin = Recurrent(LSTMCell, D, H, num_layers=2, bidirectional=True)
    twin.load_state_dict(layer.state_dict(), strict=False)
    outputs, _ = layer(inputs)
    assert torch.equal(outputs, twin(inputs)[0])
    outputs.square().sum().backward()
    assert all(bool((s.grad != 0).all()) for s in layer.learned_state)


@pytest.mark.parametrize("initial_state", ["zero", "learned"])
@pytest.mark.parametrize("native", [False, True], ids=["ours", "native"])
@pytest.mark.parametrize("name", TWINS)
def test_state_dict_round_trip(name, native, initial_state):
    options = {"num_layers": 2, "bidirectional": True, "initial_state": initial_state}
    source, target = (make_recurrent(TWINS[name][native], D, H, **options).double() for _ in range(2))
    randomize(source)
    target.load_state_dict(source.state_dict())
    inputs = torch.randn(B, T, D, dtype=torch.float64)
    assert torch.equal(target(inputs)[0], source(inputs)[0])
    assert torch.equal(copy.deepcopy(source)(inputs)[0], source(inputs)[0])


def test_dropout_acts_between_layers_while_training():
    torch.manual_seed(0)
    layer = Recurrent(GRUCell, D, 16, num_layers=2, dropout=0.5)
    inputs = torch.randn(B, T, D)
    assert not torch.equal(layer(inputs)[0], layer(inputs)[0])
    layer.eval()
    assert torch.equal(layer(inputs)[0], layer(inputs)[0])
    single = Recurrent(GRUCell, D, 16, dropout=0.5)
    assert torch.equal(single(inputs)[0], single(inputs)[0])


@every_layer
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_autocast_keeps_the_state_in_full_precision(make_layer, lengths):
    layer = make_layer().float()
    inputs = torch.randn(B, T, D)
    expected, _ = layer(inputs, lengths=lengths)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = layer(inputs, lengths=lengths)
        outputs, state = layer(inputs.bfloat16(), map_state(torch.Tensor.bfloat16, layer.initial_state(B)), lengths)
    assert {x.dtype for x in (outputs, *state)} == {torch.float32}
    assert not torch.equal(outputs, expected)
    torch.testing.assert_close(outputs, expected, rtol=0.1, atol=0.1)
    outputs.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


def test_a_nan_stays_in_its_row():
    layer = make("gru", bidirectional=True)
    inputs = torch.randn(B, T, D, dtype=torch.float64)
    expected, _ = layer(inputs)
    inputs[2, 3] = float("nan")
    outputs, _ = layer(inputs)
    others = torch.arange(B) != 2
    assert_close(outputs[others], expected[others])
    assert bool(outputs[2].isnan().any())

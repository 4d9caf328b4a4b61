import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from twins import CELLS, assert_close, gradients, random_state, randomize

from seqmodels.nn import GatedCell, GRUCell, LSTMCell, MinGRUCell, MinLSTMCell, Recurrent, backends, kernels

CELLS = {**CELLS, "mingru": MinGRUCell, "minlstm": MinLSTMCell}


def fits(backend, cell):
    """Whether a kernel takes a cell: some take few."""
    like = torch.zeros((), dtype=torch.float64)
    return backend in backends() and kernels._KERNELS[backend].misfit(CELLS[cell](2, 3).double(), like) is None


FITTING = {backend: [cell for cell in CELLS if fits(backend, cell)] for backend in backends()}
USED = [backend for backend, cells in FITTING.items() if cells]  # some fit nothing without a GPU
FASTER = [backend for backend in USED if backend != "reference"]
pairs = pytest.mark.parametrize("cell,backend", [(cell, name) for name in USED for cell in FITTING[name]])


def first_of(backend, *preferred):
    """The first of some cells that a kernel takes, or any that it does."""
    return next((cell for cell in preferred if cell in FITTING[backend]), FITTING[backend][0])


def make(cell, backend, input_size=2, hidden_size=3, **options):
    layer = Recurrent(CELLS[cell], input_size, hidden_size, backend=backend, **options).double()
    randomize(layer)
    return layer


def as_function(layer, lengths=None, reset=None):
    """The layer as a function of everything that has a gradient."""
    names = [name for name, _ in layer.named_parameters()]

    def function(inputs, *rest):
        state, parameters = rest[: layer.num_states], dict(zip(names, rest[layer.num_states :], strict=True))
        outputs, state = torch.func.functional_call(layer, parameters, (inputs, state, lengths, reset))
        return outputs, *state

    return function


def arguments(layer, batch_size=2, time=3):
    inputs = torch.randn(batch_size, time, layer.input_size, dtype=torch.float64, requires_grad=True)
    return inputs, *random_state(layer, batch_size), *layer.parameters()


@pytest.mark.parametrize("lengths", [None, torch.tensor([1, 3])], ids=["full", "ragged"])
@pairs
def test_gradcheck(cell, backend, lengths):
    torch.manual_seed(0)
    layer = make(cell, backend)
    assert gradcheck(as_function(layer, lengths), arguments(layer))


@pytest.mark.parametrize("backend", USED)
def test_gradcheck_with_resets(backend):
    torch.manual_seed(0)
    layer = make(first_of(backend, "lstm"), backend, bidirectional=True, hidden_size=2, initial_state="learned")
    reset = torch.tensor([[False, True, False], [True, False, True]])
    assert gradcheck(as_function(layer, torch.tensor([2, 3]), reset), arguments(layer))


@pytest.mark.parametrize("backend", FASTER)
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    batch_size=st.integers(1, 6),
    time=st.integers(1, 9),
    input_size=st.integers(1, 5),
    hidden_size=st.sampled_from([1, 2, 3, 17]),
    bidirectional=st.booleans(),
    seed=st.integers(0, 2**16),
    ragged=st.booleans(),
    with_reset=st.booleans(),
)
def test_equals_the_reference(
    backend, data, batch_size, time, input_size, hidden_size, bidirectional, seed, ragged, with_reset
):
    torch.manual_seed(seed)
    cell = data.draw(st.sampled_from(FITTING[backend]))
    layer = make(cell, backend, input_size, hidden_size, bidirectional=bidirectional)
    inputs, *rest = arguments(layer, batch_size, time)
    lengths = torch.randint(0, time + 1, (batch_size,)) if ragged else None
    reset = torch.rand(batch_size, time) < 0.3 if with_reset else None
    results = []
    for name in (backend, "reference"):
        layer.backend = name
        outputs, *final = as_function(layer, lengths, reset)(inputs, *rest)
        results.append([outputs, *final, *gradients(outputs, tuple(final), [inputs, *rest])])
    assert_close(*results)


@pytest.mark.parametrize(
    "cell,backend",
    [(cell, name) for name in FASTER for cell in ("tanh", "lstm", "gru", "mingru") if cell in FITTING[name]],
)
def test_long_sequences_equal_the_reference(cell, backend):
    """Long and wide enough that partial derivatives are computed in several spans."""
    torch.manual_seed(0)
    layer = Recurrent(CELLS[cell], 4, 64, backend=backend).double()
    inputs, *rest = arguments(layer, 32, 41)
    results = []
    for name in (backend, "reference"):
        layer.backend = name
        outputs, *final = as_function(layer)(inputs, *rest)
        results.append([outputs, *final, *gradients(outputs, tuple(final), [inputs, *rest])])
    assert_close(*results)


@pytest.mark.parametrize("backend", USED)
def test_inputs_of_any_layout_and_without_gradients(backend):
    torch.manual_seed(0)
    layer = make(first_of(backend, "lstm"), backend)
    inputs = torch.randn(3, 5, 2, dtype=torch.float64)
    expected, _ = layer(inputs)
    scattered = inputs.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not scattered.is_contiguous()
    assert_close(layer(scattered)[0], expected)
    with torch.no_grad():
        assert_close(layer(inputs)[0], expected)


@pytest.mark.parametrize("backend", USED)
def test_backward_may_be_run_twice(backend):
    torch.manual_seed(0)
    layer = make(first_of(backend, "gru"), backend)
    outputs, _ = layer(torch.randn(2, 4, 2, dtype=torch.float64))
    once, again = (torch.autograd.grad(outputs.sum(), list(layer.parameters()), retain_graph=True) for _ in range(2))
    assert_close(once, again)


@pytest.mark.parametrize("backend", FASTER)
def test_frozen_weights_get_no_gradient(backend):
    torch.manual_seed(0)
    layer = make(first_of(backend, "lstm"), backend).requires_grad_(False)
    inputs, *_ = arguments(layer)
    layer(inputs)[0].sum().backward()
    assert inputs.grad is not None
    assert all(p.grad is None for p in layer.parameters())


@pytest.mark.parametrize("lengths", [None, torch.tensor([1, 3])], ids=["full", "ragged"])
@pytest.mark.parametrize(
    "cell,backend", [(c, n) for n in ("scan", "compiled", "reference") for c in FITTING.get(n, ())]
)
def test_second_derivatives(cell, backend, lengths):
    torch.manual_seed(0)
    layer = make(cell, backend, hidden_size=2)
    assert gradgradcheck(as_function(layer, lengths), arguments(layer))


def test_second_derivatives_by_hand_are_refused():
    layer = make("lstm", "aten")
    outputs, _ = layer(torch.randn(2, 4, 2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="no second derivative; use backend='reference'"):
        torch.autograd.grad(outputs.sum(), list(layer.parameters()), create_graph=True)


class DoubledLSTMCell(LSTMCell):
    """A cell that changes the update below the hand-written derivative."""

    def update(self, projected, recurrent, state):
        h, (_, c) = super().update(projected, recurrent, state)
        return 2 * h, (2 * h, c)


class OwnStepCell(GRUCell):
    def step(self, projected, state):
        return super().step(projected, (state[0] / 2,))


class BareCell(GatedCell):
    def update(self, projected, recurrent, state):
        return recurrent, (recurrent,)


@pytest.mark.parametrize("cell", [DoubledLSTMCell, OwnStepCell, BareCell])
def test_a_changed_cell_does_not_run_by_the_old_derivative(cell):
    with pytest.raises(
        ValueError, match=r"backend: 'aten' does not fit: \w+ has .*; expected one of auto, .*reference"
    ):
        Recurrent(cell, 2, 3, backend="aten")
    auto, reference = Recurrent(cell, 2, 3).double(), Recurrent(cell, 2, 3, backend="reference").double()
    reference.load_state_dict(auto.state_dict())
    inputs = torch.randn(2, 4, 2, dtype=torch.float64)
    assert_close(auto(inputs)[0], reference(inputs)[0])

"""The scan over linear recurrences against its own definition, one step at a time."""

import pytest
import torch
from cell_zoo import make, random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from twins import assert_close, gradients, random_state

from seqmodels.nn import GRUCell, LinearCell, MinGRUCell, Recurrent
from seqmodels.nn.kernels import scan, select
from seqmodels.nn.kernels.scan import linear_scan


def by_steps(decay, drive, h):
    hs = []
    for decay_t, drive_t in zip(decay, drive, strict=True):
        h = decay_t * h + drive_t
        hs.append(h)
    return torch.stack(hs)


@settings(max_examples=60, deadline=None)
@given(
    time=st.integers(1, 70),
    batch_size=st.integers(1, 4),
    features=st.sampled_from([1, 3, 600]),  # the last in one loop, the others in spans
    seed=st.integers(0, 2**16),
    strided=st.booleans(),
)
def test_equals_the_loop(time, batch_size, features, seed, strided):
    torch.manual_seed(seed)
    decay, drive = torch.rand(time, batch_size, features).double(), random_inputs(time, batch_size, features)
    if strided:
        decay, drive = (x.transpose(0, 1).contiguous().transpose(0, 1) for x in (decay, drive))
    arguments = [x.requires_grad_() for x in (decay, drive, random_inputs(batch_size, features))]
    ours, theirs = linear_scan(*arguments), by_steps(*arguments)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert_close(gradients(ours, (), arguments), gradients(theirs, (), arguments))


@pytest.mark.parametrize("time", [1, 5, 17])
def test_first_and_second_derivatives(time):
    torch.manual_seed(0)
    arguments = [torch.rand(time, 1, 2), torch.randn(time, 1, 2), torch.randn(1, 2)]
    arguments = [x.double().requires_grad_() for x in arguments]
    assert gradcheck(linear_scan, arguments)
    assert gradgradcheck(linear_scan, arguments)


@pytest.mark.parametrize("features", [4, 2048], ids=["spans", "loop"])
@pytest.mark.parametrize("log_rate", [-30.0, -12.0, -3.0, 3.0, 12.0, 90.0])
def test_keeps_single_precision_over_many_steps_for_any_decay(features, log_rate):
    """Decays from 1 - 1e-13 to 1e-39: a sum of a thousand terms, a mean, and next to nothing."""
    torch.manual_seed(0)
    rate = torch.full((1000, 1, features), log_rate)
    decay, drive = torch.sigmoid(-rate), torch.sigmoid(rate) * torch.randn(1000, 1, features)
    h = torch.ones(1, features)
    exact = by_steps(decay.double(), drive.double(), h.double())
    error = (linear_scan(decay, drive, h).double() - exact).abs().max() / exact.abs().max()
    assert error < 2e-5


def test_a_forgotten_past_leaves_nothing_and_no_nan():
    decay = torch.rand(64, 1, 2)
    decay[20] = 0
    drive = torch.zeros(64, 1, 2)
    outputs = linear_scan(decay, drive, torch.full((1, 2), 3e38))
    assert bool((outputs[20:] == 0).all())
    assert bool(outputs.isfinite().all())


def test_a_nan_stays_in_its_row_and_before_its_step():
    drive = torch.randn(50, 3, 2)
    expected = linear_scan(torch.full_like(drive, 0.9), drive, torch.zeros(3, 2))
    drive[30, 1] = float("nan")
    outputs = linear_scan(torch.full_like(drive, 0.9), drive, torch.zeros(3, 2))
    assert torch.equal(outputs[:, [0, 2]], expected[:, [0, 2]])
    assert torch.equal(outputs[:30], expected[:30])
    assert bool(outputs[30:, 1].isnan().all())


@pytest.mark.parametrize("cell", ["MinGRUCell", "MinLSTMCell"])
@pytest.mark.parametrize("lengths", [None, torch.tensor([40, 0, 17, 17, 1])], ids=["full", "ragged"])
def test_trains_a_cell_as_its_steps_do(cell, lengths):
    layer = make(cell, 3, 4, num_layers=2, bidirectional=True)
    assert select("auto", layer.cells[0], torch.empty(0)) is scan
    inputs, state = random_inputs(5, 40, 3).requires_grad_(), random_state(layer, 5)
    results = []
    for backend in ("scan", "reference"):
        layer.backend = backend
        outputs, final = layer(inputs, state, lengths)
        results.append([outputs, *final, *gradients(outputs, final, [inputs, *state, *layer.parameters()])])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


def test_takes_a_users_cell_and_no_cell_that_is_not_linear():
    class SmoothingCell(LinearCell):
        def coefficients(self, projected):
            return torch.full_like(projected, 0.9), 0.1 * projected

    class SquaringCell(MinGRUCell):
        def step(self, projected, state):
            output, state = super().step(projected, state)
            return output.square(), state

    layer = Recurrent(SmoothingCell, 3, 4, backend="scan").double()
    inputs = random_inputs(2, 30, 3)
    outputs, _ = layer(inputs)
    layer.backend = "reference"
    assert_close(outputs, layer(inputs)[0])
    with pytest.raises(ValueError, match="backend: 'scan' does not fit: GRUCell is not a LinearCell"):
        Recurrent(GRUCell, 3, 4, backend="scan")
    with pytest.raises(ValueError, match="backend: 'scan' does not fit: SquaringCell has its own step"):
        Recurrent(SquaringCell, 3, 4, backend="scan")


def test_a_linear_cell_without_coefficients_says_so():
    with pytest.raises(NotImplementedError, match=r"LinearCell must define coefficients\(projected\)"):
        LinearCell(3, 4)(torch.zeros(1, 3))

import pytest
import torch
from cell_zoo import random_inputs
from torch.autograd.functional import jacobian
from twins import assert_close, randomize

from seqmodels.nn import ElmanCell, GRUCell, IRNNCell, LSTMCell
from seqmodels.nn.regularizers import activation_penalty, gradient_norm_penalty, temporal_activation_penalty

VALID = torch.tensor([[True, True, False, False], [False, True, True, True]])


def test_the_penalties_are_means_of_squares_over_what_is_valid():
    outputs = random_inputs(2, 4, 3)
    rows = [[float(x) for x in outputs[b, t]] for b in range(2) for t in range(4) if VALID[b, t]]
    assert float(activation_penalty(outputs, VALID)) == pytest.approx(sum(x * x for r in rows for x in r) / 15)
    assert_close(activation_penalty(outputs), outputs.square().mean())
    changes = [outputs[0, 1] - outputs[0, 0], outputs[1, 2] - outputs[1, 1], outputs[1, 3] - outputs[1, 2]]
    assert_close(temporal_activation_penalty(outputs, VALID), torch.stack(changes).square().mean())
    assert_close(temporal_activation_penalty(outputs), outputs.diff(dim=1).square().mean())


def test_where_nothing_counts_the_penalties_are_zero_and_have_a_gradient():
    outputs = random_inputs(2, 4, 3).requires_grad_()
    nothing = torch.zeros_like(VALID)
    for penalty in (
        activation_penalty(outputs, nothing),
        temporal_activation_penalty(outputs, nothing),
        temporal_activation_penalty(outputs[:, :1]),
    ):
        assert float(penalty.detach()) == 0
        assert not torch.autograd.grad(penalty, outputs)[0].any()


def test_invalid_steps_get_no_gradient_even_where_they_are_not_finite():
    outputs = random_inputs(2, 4, 3)
    outputs[~VALID] = float("inf")
    outputs.requires_grad_()
    loss = activation_penalty(outputs, VALID) + temporal_activation_penalty(outputs, VALID)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert bool(loss.isfinite())
    assert bool((gradient[~VALID] == 0).all())


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_activation_penalty])
def test_wrong_shapes_say_what_is_expected(penalty):
    with pytest.raises(ValueError, match=r"outputs: expected shape \(batch, time, features\), got \(2, 4\)"):
        penalty(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"valid: expected bool of shape \(2, 4\), got torch.bool of shape \(4, 2\)"):
        penalty(torch.zeros(2, 4, 3), VALID.t())
    with pytest.raises(ValueError, match=r"valid: expected bool .*, got torch.float32"):
        penalty(torch.zeros(2, 4, 3), VALID.float())


@pytest.mark.parametrize("cell", [ElmanCell, GRUCell, LSTMCell])
def test_omega_is_pascanus_formula(cell):
    """One row, with whole Jacobians: dE/ds goes back from the end; neither it nor the states have a gradient."""
    torch.manual_seed(0)
    cell = cell(2, 3).double()
    randomize(cell)
    inputs, targets = random_inputs(1, 5, 2), random_inputs(5, 3)
    error, omega = gradient_norm_penalty(cell, inputs, lambda outputs: (outputs[0] * targets).sum())

    def step(x, s):
        output, state = cell(x[None], tuple(s[None].chunk(cell.num_states, -1)))
        return output[0], torch.cat(state, -1)[0]

    s = torch.zeros(3 * cell.num_states, dtype=torch.float64)
    expected_error, jacobians = 0.0, []
    for x, target in zip(inputs[0], targets, strict=True):
        jacobians.append(jacobian(lambda s, x=x: step(x, s)[1], s.detach(), create_graph=True))
        output, s = step(x, s)
        expected_error = expected_error + (output * target).sum()
    assert_close(error, expected_error)
    coming, expected = torch.zeros_like(s), 0.0
    for matrix, target in zip(reversed(jacobians), targets.flip(0), strict=True):
        coming = coming.detach() + torch.nn.functional.pad(target, (0, len(s) - 3))
        going = coming @ matrix
        expected = expected + (going.norm() / coming.norm() - 1) ** 2
        coming = going
    assert_close(omega, expected)
    parameters = list(cell.parameters())
    ours = torch.autograd.grad(omega, parameters, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(expected, parameters, allow_unused=True, materialize_grads=True)
    assert_close(list(ours), list(theirs))


def test_omega_moves_the_recurrence_alone_by_its_immediate_effect():
    """Against numbers: the Jacobian at fixed states, as a function of the recurrent weights."""
    torch.manual_seed(0)
    cell = IRNNCell(2, 3).double()
    inputs = random_inputs(2, 4, 2)
    h0 = torch.rand(2, 3, dtype=torch.float64) + 1  # all units on, so that the Jacobian is W_hh itself
    _, omega = gradient_norm_penalty(cell, inputs, lambda outputs: outputs[:, -1].sum(), (h0,))
    assert float(omega.detach()) == pytest.approx(0, abs=1e-12)  # the identity passes every gradient on as it is
    with torch.no_grad():
        cell.weight_hh.mul_(0.5)
    _, omega = gradient_norm_penalty(cell, inputs, lambda outputs: outputs[:, -1].sum(), (h0,))
    assert float(omega.detach()) == pytest.approx(4 * 0.25)
    (gradient,) = torch.autograd.grad(omega, cell.weight_hh)
    ones = torch.full((3, 3), 4 * 2 * (0.5 - 1) / 3, dtype=torch.float64)  # d|1 W|/dW = 1 (1 W)/|1 W|, over |1|
    assert_close(gradient, ones)


@pytest.mark.parametrize("cell", [ElmanCell, GRUCell, LSTMCell])
def test_training_on_omega_lets_the_gradient_reach_back(cell):
    torch.manual_seed(0)
    cell = cell(2, 8).double()
    with torch.no_grad():
        cell.weight_hh.mul_(0.3)
    optimizer, inputs, omegas = torch.optim.Adam(cell.parameters(), 0.02), random_inputs(4, 8, 2), []
    for _ in range(30):
        optimizer.zero_grad()
        error, omega = gradient_norm_penalty(cell, inputs, lambda outputs: outputs[:, -1].square().mean())
        (0.0 * error + omega).backward()
        optimizer.step()
        omegas.append(float(omega.detach()))
    assert omegas[-1] < 0.6 * omegas[0]
    assert cell.weight_hh.grad.isfinite().all()


def test_steps_without_a_gradient_are_left_out_and_wrong_inputs_refused():
    cell = LSTMCell(2, 3)
    error, omega = gradient_norm_penalty(cell, torch.randn(2, 4, 2), lambda outputs: outputs[:, 0].sum() * 0)
    (error + omega).backward()
    assert float(omega.detach()) == 0
    assert all(bool(parameter.grad.isfinite().all()) for parameter in cell.parameters())
    with pytest.raises(ValueError, match=r"inputs: expected shape \(batch, time, 2\), got \(2, 4, 3\)"):
        gradient_norm_penalty(cell, torch.randn(2, 4, 3), torch.sum)

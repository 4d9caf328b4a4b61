"""Gradients of losses at earlier states: against finite differences, and where their form is known."""

import pytest
import torch
from torch import nn

from seqmodels.analysis import gradient_norms, lag_profile, watch
from seqmodels.nn import ElmanCell, GatedCell, GRUCell, LSTMCell, Recurrent


def run(cell, time=6, hidden=4, batch=2):
    """Runs one layer in float64; returns its record and a loss for each step."""
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, hidden).double().eval()
    head = torch.randn(hidden, dtype=torch.float64)
    with watch(layer) as recording:
        outputs, _ = layer(torch.randn(batch, time, 3, dtype=torch.float64))
    losses = torch.tanh(outputs @ head).sum(0)
    return recording.cells[0], losses, head


@pytest.mark.parametrize(("cell", "number"), [(LSTMCell, 0), (LSTMCell, 1), (GRUCell, 0), (ElmanCell, 0)])
def test_norms_agree_with_finite_differences(cell, number):
    record, losses, head = run(cell)
    norms = gradient_norms(losses, [step[number] for step in record.steps])
    T, step_size = len(losses), 1e-6
    for s in range(T):
        state = tuple(tensor.detach() for tensor in record.steps[s])
        gradient = torch.zeros(T, state[number].numel(), dtype=torch.float64)
        for element in range(state[number].numel()):
            ends = []
            for sign in (1, -1):
                moved = [tensor.clone() for tensor in state]
                moved[number].view(-1)[element] += sign * step_size
                if number == 1:  # h is made of c within the step: it moves too
                    gates = record.cell.project(record.inputs[s]) + nn.functional.linear(
                        record.previous[0][s], record.cell.weight_hh, record.cell.bias_hh
                    )
                    moved[0] = torch.sigmoid(gates.chunk(4, -1)[3]) * torch.tanh(moved[1])
                ends.append(continue_from(record, s, tuple(moved), head))
            gradient[:, element] = (ends[0] - ends[1]) / (2 * step_size)
        torch.testing.assert_close(norms[:, s], gradient.norm(dim=1), atol=1e-8, rtol=1e-5)
    assert not norms.triu(1).any()


@torch.no_grad()
def continue_from(record, s, state, head):
    """Returns the losses of the steps from s on, given the state after s; those before are 0."""
    losses = [torch.zeros((), dtype=torch.float64)] * s + [torch.tanh(state[0] @ head).sum()]
    for t in range(s + 1, len(record.inputs)):
        _, state = record.cell(record.inputs[t], state)
        losses.append(torch.tanh(state[0] @ head).sum())
    return torch.stack(losses)


def test_a_linear_recurrence_has_its_closed_form():
    record, _, head = run(lambda i, h: ElmanCell(i, h, activation="identity"), time=8, batch=1)
    losses = torch.stack([step[0] @ head for step in record.steps]).flatten()
    norms = gradient_norms(losses, [step[0] for step in record.steps], rows_at_once=3)
    powers = [head]
    for _ in range(7):
        powers.append(record.cell.weight_hh.T @ powers[-1])
    for t in range(8):
        for s in range(t + 1):
            torch.testing.assert_close(norms[t, s], powers[t - s].detach().norm())
    profile = lag_profile(norms)
    expected = torch.stack([power.detach().norm() for power in powers])
    torch.testing.assert_close(profile.norms, expected)


class Doubling(torch.autograd.Function):
    """A derivative that torch cannot batch."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return torch.from_numpy(grad.numpy() * 2)


class OddCell(GatedCell):
    num_gates = 1

    def update(self, projected, recurrent, state):
        h = Doubling.apply(torch.tanh(projected + recurrent))
        return h, (h,)


def test_derivatives_that_cannot_be_batched_are_taken_one_by_one():
    record, losses, _ = run(OddCell)
    states = [step[0] for step in record.steps]
    norms = gradient_norms(losses, states)
    for t in (0, 3, 5):
        rows = torch.autograd.grad(losses[t], states[: t + 1], retain_graph=True)
        torch.testing.assert_close(norms[t, : t + 1], torch.stack([row.norm() for row in rows]))


def test_a_backward_layer_is_profiled_the_other_way():
    torch.manual_seed(0)
    layer = Recurrent(ElmanCell, 3, 4, bidirectional=True)
    with watch(layer) as recording:
        outputs, _ = layer(torch.randn(1, 7, 3))
    _, record = recording.cells
    norms = gradient_norms(outputs[0].sum(-1), [step[0] for step in record.steps])
    assert not norms.tril(-1).any()
    profile = lag_profile(norms, backward=True)
    expected = torch.stack([norms.diagonal(lag).mean() for lag in range(7)])
    torch.testing.assert_close(profile.norms, expected)


def test_one_loss_of_a_whole_sequence_is_profiled_from_the_last_step_that_ran():
    norms = torch.tensor([[0.001, 0.1, 1.0]])
    profile = lag_profile(norms)
    assert profile.norms.tolist() == norms[0].flip(0).tolist()
    assert profile.below == 2
    assert profile.vanished == 0.5
    assert torch.equal(lag_profile(norms.flip(1), backward=True).norms, profile.norms)


def test_pairs_vanish_relative_to_their_own_loss():
    norms = torch.tensor([[100.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.001, 0.5, 1.0]])
    assert lag_profile(norms).vanished == pytest.approx(1 / 3)


def test_losses_that_are_not_scored_do_not_count():
    norms = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.25, 0.5, 1.0]])
    assert lag_profile(norms).norms.tolist() == [1.0, 0.5, 0.25]
    assert lag_profile(torch.zeros(3, 3)).below is None


def test_losses_have_places_among_the_steps():
    full = torch.rand(6, 6).tril() + 0.1 * torch.ones(6, 6).tril()
    picked = torch.tensor([1, 3, 5])
    part = lag_profile(full[picked], picked)
    assert part.norms[1] == pytest.approx(float(full[picked, picked - 1].mean()))
    with pytest.raises(ValueError, match="no more losses than states"):
        lag_profile(torch.ones(3, 2))


def test_lags_that_few_losses_reach_are_left_out():
    norms = torch.ones(40, 40).tril()
    assert len(lag_profile(norms).norms) == 37

"""What the wrappers draw while training, when they draw it, and how they stand around each other."""

from functools import partial

import pytest
import torch
from cell_zoo import copy_parameters, make, random_inputs
from torch.nn.utils.parametrizations import weight_norm
from twins import assert_close

from seqmodels.nn import (
    ElmanCell,
    GatedCell,
    GRUCell,
    LSTMCell,
    PeepholeLSTMCell,
    Recurrent,
    RecurrentDropoutCell,
    WeightDropCell,
    WeightNormCell,
    ZoneoutCell,
)

D, H = 3, 5


class NegatedCell(ElmanCell):
    """Puts out something that is not its state."""

    def update(self, projected, recurrent, state):
        h, state = super().update(projected, recurrent, state)
        return -h, state

    def derivative(self):
        return None


def test_zoneout_leaves_some_units_as_they_were_and_renews_the_rest():
    torch.manual_seed(0)
    cell = ZoneoutCell(D, 400, LSTMCell, probability=[0.2, 0.7]).double()
    state = (random_inputs(3, 400), random_inputs(3, 400))
    inputs = random_inputs(3, D)
    _, plain = cell.cell(inputs, state)
    output, zoned = cell(inputs, state)
    for old, new, mixed, probability in zip(state, plain, zoned, (0.2, 0.7), strict=True):
        stayed = mixed == old
        assert bool(((mixed == new) | stayed).all())
        assert float(stayed.double().mean()) == pytest.approx(probability, abs=0.05)
    assert torch.equal(output, zoned[0])


def test_zoneout_in_evaluation_is_the_expectation():
    cell = ZoneoutCell(D, H, GRUCell, probability=0.3).double().eval()
    inputs, state = random_inputs(2, D), (random_inputs(2, H),)
    output, (h,) = cell(inputs, state)
    assert_close(h, 0.3 * state[0] + 0.7 * cell.cell(inputs, state)[0])
    assert torch.equal(output, h)


@pytest.mark.parametrize("training", [False, True])
def test_zoneout_leaves_an_output_alone_that_is_not_the_state(training):
    cell = ZoneoutCell(D, H, NegatedCell, probability=0.5).double().train(training)
    inputs, state = random_inputs(2, D), (random_inputs(2, H),)
    assert_close(cell(inputs, state)[0], cell.cell(inputs, state)[0])


def test_zoneout_draws_anew_for_each_step_and_row():
    torch.manual_seed(0)
    cell = ZoneoutCell(D, 50, GRUCell, probability=0.5)
    masks = cell.prepare(torch.randn(4, 3, D))[..., -50:].flatten(0, 1)
    assert len(masks.unique(dim=0)) == 12


def test_recurrent_dropout_keeps_one_mask_a_row_over_all_steps():
    torch.manual_seed(0)
    cell = RecurrentDropoutCell(D, 50, GRUCell, probability=0.2)
    masks = cell.prepare(torch.randn(4, 3, D))[..., -50:]
    assert bool((masks == masks[0]).all())
    assert len(masks[0].unique(dim=0)) == 3
    torch.testing.assert_close(masks.unique(), torch.tensor([0.0, 1.25]))
    assert not torch.equal(masks, cell.prepare(torch.randn(4, 3, D))[..., -50:])


def test_recurrent_dropout_masks_what_the_product_reads_and_nothing_else():
    layer = make(partial(RecurrentDropoutCell, cell=GRUCell, probability=0.5), D, H)
    cell, inputs = layer.cells[0], random_inputs(6, 2, D)
    projected = cell.prepare(inputs)
    mask, h, plain = projected[0, :, -H:], torch.zeros(2, H, dtype=torch.float64), cell.cell
    state = cell.initial_state(2)
    for step_inputs in projected:
        output, state = cell.step(step_inputs, state)
        recurrent = torch.nn.functional.linear(h * mask, plain.weight_hh, plain.bias_hh)
        h, _ = plain.update(step_inputs[:, :-H], recurrent, (h,))
        assert_close(output, h)
        assert_close(state, (h * mask, h))


def test_weight_drop_draws_once_a_call_and_keeps_the_scale(monkeypatch):
    layer, plain = make(partial(WeightDropCell, cell=LSTMCell), D, H), make(LSTMCell, D, H)
    cell, drawn = layer.cells[0], []
    weights = cell.weights

    def spy():
        drawn.append(weights())
        return drawn[-1]

    monkeypatch.setattr(cell, "weights", spy)
    inputs = random_inputs(2, 7, D)
    outputs, _ = layer(inputs)
    assert len(drawn) == 1
    dropped = drawn[0].weight_hh == 0
    assert 0.2 < float(dropped.double().mean()) < 0.8
    assert_close(drawn[0].weight_hh[~dropped], 2 * cell.cell.weight_hh[~dropped])
    copy_parameters(plain.cells[0], cell.cell, weight_hh=drawn[0].weight_hh)
    assert_close(outputs, plain(inputs)[0])
    layer(inputs)
    assert not torch.equal(drawn[1].weight_hh, drawn[0].weight_hh)
    layer.eval()(inputs)
    assert torch.equal(drawn[2].weight_hh, cell.cell.weight_hh)


def test_weight_norm_is_torchs_parametrization():
    ours, theirs = make(partial(WeightNormCell, cell=LSTMCell), D, H), make(LSTMCell, D, H)
    cell = ours.cells[0]
    copy_parameters(theirs.cells[0], cell.cell)
    weight_norm(theirs.cells[0], "weight_hh", dim=0)
    with torch.no_grad():
        theirs.cells[0].parametrizations.weight_hh.original0.copy_(cell.gain[:, None])
    inputs = random_inputs(2, 7, D)
    (outputs, _), (expected, _) = ours(inputs), theirs(inputs)
    assert_close(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    twin = theirs.cells[0].parametrizations.weight_hh
    assert_close([cell.gain.grad[:, None], cell.cell.weight_hh.grad], [twin.original0.grad, twin.original1.grad])


def test_wrappers_stand_around_each_other():
    drop = partial(WeightDropCell, cell=partial(WeightNormCell, cell=PeepholeLSTMCell), probability=0.3)
    zoneout = partial(ZoneoutCell, cell=drop, probability=[0.1, 0.2])
    layer = make(partial(RecurrentDropoutCell, cell=zoneout, probability=0.1), D, H, num_layers=2, bidirectional=True)
    inputs = random_inputs(3, 6, D)
    outputs, state = layer(inputs, lengths=torch.tensor([6, 2, 4]))
    assert outputs.shape == (3, 6, 2 * H)
    assert len(state) == 3
    outputs.sum().backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in layer.parameters())
    plain = make(partial(ZoneoutCell, cell=PeepholeLSTMCell, probability=[0.1, 0.2]), D, H).eval()
    wrapped = Recurrent(partial(RecurrentDropoutCell, cell=zoneout), D, H).double().eval()
    copy_parameters(wrapped.cells[0].cell.cell.cell.cell, plain.cells[0].cell)
    with torch.no_grad():
        wrapped.cells[0].cell.cell.cell.gain.copy_(plain.cells[0].cell.weight_hh.norm(dim=1))
    assert_close(wrapped(inputs)[0], plain(inputs)[0])


def test_a_wrapper_starts_where_the_cell_inside_starts():
    class OnesCell(GRUCell):
        def initial_state(self, batch_size):
            return tuple(torch.ones_like(tensor) for tensor in super().initial_state(batch_size))

    for wrapper in (ZoneoutCell, RecurrentDropoutCell, WeightDropCell, WeightNormCell):
        cell = wrapper(D, H, OnesCell)
        assert isinstance(cell, GatedCell)
        assert all(bool((tensor == 1).all()) for tensor in cell.initial_state(2))
        assert len(cell.initial_state(2)) == cell.num_states

import math

import pytest
import torch

from seqmodels.analysis import fixed_points, follow
from seqmodels.nn import ClockworkCell, ElmanCell, LSTMCell


def scalar(weight):
    cell = ElmanCell(1, 1)
    cell.weight_hh.data.fill_(weight)
    cell.weight_ih.data.fill_(1.0)
    return follow(cell, torch.linspace(-3, 3, 40)[:, None])


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_below_one_the_scalar_tanh_has_one_fixed_point(weight):
    search = fixed_points(scalar(weight), inputs=torch.zeros(1))
    (point,) = search.found
    assert abs(float(point.point)) < 1e-3
    assert point.kind == "stable"
    assert float(point.eigenvalues.real) == pytest.approx(weight, abs=1e-3)
    assert search.converged == search.starts == 33


@pytest.mark.parametrize("weight", [1.2, 3.0])
def test_above_one_it_has_three(weight):
    search = fixed_points(scalar(weight), inputs=torch.zeros(1))
    found = sorted(search.found, key=lambda point: float(point.point))
    assert [point.kind for point in found] == ["stable", "unstable", "stable"]
    for point in found:
        h = float(point.point)
        assert h == pytest.approx(math.tanh(weight * h), abs=1e-4)
        assert float(point.eigenvalues.real) == pytest.approx(weight * (1 - h**2), abs=1e-3)
    assert float(found[2].point) > 0.5
    assert abs(float(found[1].point)) < 1e-4


def test_a_strong_input_leaves_one():
    (point,) = fixed_points(scalar(1.5), inputs=torch.ones(1) * 2).found
    assert float(point.point) > 0.9
    assert point.kind == "stable"


def test_two_units_that_do_not_meet_have_nine_of_three_kinds():
    cell = ElmanCell(2, 2)
    cell.weight_hh.data.copy_(2 * torch.eye(2))
    cell.weight_ih.data.copy_(torch.eye(2))
    torch.manual_seed(0)
    search = fixed_points(follow(cell, torch.randn(400, 2)), inputs=torch.zeros(2), starts=200, most=30)
    kinds = [point.kind for point in search.found]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"stable": 4, "saddle": 4, "unstable": 1}
    assert next(point for point in search.found if point.kind == "saddle").unstable_directions == 1


def test_the_input_may_be_left_to_the_mean():
    cell = ElmanCell(1, 1, activation="identity").double()
    cell.weight_hh.data.fill_(0.5)
    cell.weight_ih.data.fill_(1.0)
    search = fixed_points(follow(cell, torch.tensor([[1.0], [2.0], [6.0]]).double()))
    assert float(search.found[0].point) == pytest.approx(3 / (1 - 0.5), abs=1e-6)


def test_all_of_the_state_of_an_lstm_comes_to_rest():
    torch.manual_seed(0)
    cell = LSTMCell(2, 6)
    trajectory = follow(cell, torch.randn(50, 2))
    point = fixed_points(trajectory, inputs=torch.ones(2)).found[0]
    state = (torch.zeros(1, 6), torch.zeros(1, 6))
    with torch.no_grad():
        for _ in range(2000):
            _, state = cell(torch.ones(1, 2), state)
    assert point.kind == "stable"
    assert point.point.shape == (12,)
    torch.testing.assert_close(point.point, torch.cat(state, 1)[0], rtol=1e-3, atol=1e-3)


def test_a_recurrence_that_never_rests_has_none():
    cell = ElmanCell(1, 1, activation="identity")
    cell.weight_hh.data.fill_(1.0)
    cell.weight_ih.data.fill_(1.0)  # h = h + 1
    search = fixed_points(follow(cell, torch.ones(5, 1)))
    assert search.found == []
    assert search.converged == 0
    assert search.starts == 6


def test_counters_are_held():
    torch.manual_seed(0)
    found = fixed_points(follow(ClockworkCell(2, 4, periods=[1, 2]), torch.randn(20, 2))).found
    assert found
    assert found[0].point.shape == (4,)


def test_where_the_cell_runs_to_by_itself_counts_for_a_start():
    torch.manual_seed(0)
    search = fixed_points(follow(LSTMCell(2, 6), torch.randn(50, 2)), iterations=1, most=1)
    assert [point.starts for point in search.found] == [33]


def test_newton_goes_on_from_where_adam_left_off():
    cell = ElmanCell(1, 1).double()
    cell.weight_hh.data.fill_(-3.0)  # runs into a cycle of two, never to its point
    search = fixed_points(
        follow(cell, torch.zeros(9, 1).double(), (torch.ones(1, 1).double(),)), torch.ones(1).double(), 1, 5
    )
    (point,) = search.found
    h = float(point.point)
    bias = cell.weight_ih.item()
    assert h == pytest.approx(math.tanh(bias - 3 * h), abs=1e-6)
    assert point.kind == "unstable"


def test_the_zero_state_is_a_start():
    trajectory = follow(scalar(3.0).cell, torch.ones(3, 1) * 5, (torch.full((1, 1), 0.9),))
    search = fixed_points(trajectory, inputs=torch.zeros(1), starts=1, iterations=0)
    assert search.starts == 2
    assert {(round(float(point.point), 2), point.kind) for point in search.found} == {
        (0.0, "unstable"),
        (0.99, "stable"),
    }

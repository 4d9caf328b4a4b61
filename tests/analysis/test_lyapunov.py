import pytest
import torch

from seqmodels.analysis import follow, lyapunov_exponents
from seqmodels.nn import ElmanCell, LeakyCell, LSTMCell


def linear(matrix):
    cell = ElmanCell(1, len(matrix), activation="identity").double()
    cell.weight_hh.data.copy_(matrix)
    return cell


def test_exponents_of_a_linear_recurrence_are_the_logarithms_of_its_eigenvalues():
    torch.manual_seed(0)
    basis = torch.randn(4, 4, dtype=torch.float64)  # not orthogonal, so that singular values would be wrong
    values = torch.tensor([1.1, -0.9, 0.6, 0.2], dtype=torch.float64)
    cell = linear(basis @ torch.diag(values) @ torch.linalg.inv(basis))
    found = lyapunov_exponents(follow(cell, torch.zeros(300, 1).double()), directions=4, warm_up=100)
    torch.testing.assert_close(found.exponents, values.abs().log(), rtol=1e-6, atol=1e-6)


def test_eigenvalues_that_turn_count_by_their_size():
    turn = 0.8 * torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    found = lyapunov_exponents(follow(linear(turn), torch.zeros(50, 1).double()), directions=2)
    torch.testing.assert_close(found.exponents, torch.full((2,), 0.8).double().log())


def test_of_a_scalar_recurrence_it_is_the_mean_logarithm_of_the_slopes():
    cell = ElmanCell(1, 1).double()
    cell.weight_hh.data.fill_(1.7)
    cell.weight_ih.data.fill_(1.0)
    torch.manual_seed(0)
    trajectory = follow(cell, torch.randn(80, 1).double())
    after = torch.cat([trajectory.previous[0][1:], trajectory.positions(torch.tensor([79])).step().detach()])
    slopes = (1.7 * (1 - after**2)).squeeze(1)
    found = lyapunov_exponents(trajectory, warm_up=30)
    torch.testing.assert_close(found.growth, slopes[30:].abs().log())
    assert float(found.exponents[0]) == pytest.approx(float(slopes[30:].abs().log().mean()))


def test_a_large_random_recurrence_without_inputs_is_chaotic_above_radius_one():
    # Sompolinsky et al. (1988): the transition is at gain 1.
    found = []
    for gain in (0.5, 3.0):
        torch.manual_seed(0)
        cell = ElmanCell(1, 100)
        cell.weight_hh.data.normal_(std=gain / 10)
        start = (torch.randn(1, 100),)
        found.append(float(lyapunov_exponents(follow(cell, torch.zeros(300, 1), start)).exponents[0]))
    assert found[0] < -0.4
    assert found[1] > 0.1


def test_the_memory_of_an_lstm_sets_its_exponent():
    cell = LSTMCell(1, 4).double()
    for parameter in cell.parameters():
        parameter.data.zero_()
    cell.bias_ih.data[4:8] = 3.0  # the forget gate, and nothing else
    found = lyapunov_exponents(follow(cell, torch.zeros(40, 1).double()), directions=4)
    torch.testing.assert_close(found.exponents, torch.sigmoid(torch.tensor([3.0] * 4)).double().log())


def test_what_forgets_at_once_has_the_exponent_minus_infinity():
    cell = LeakyCell(1, 2, leak=1.0)
    cell.weight_hh.data.zero_()
    assert lyapunov_exponents(follow(cell, torch.zeros(9, 1))).exponents.tolist() == [-torch.inf] * 2


@pytest.mark.parametrize("key, value", [("warm_up", 9), ("warm_up", -1), ("directions", 0)])
def test_numbers_out_of_range_are_refused(key, value):
    trajectory = follow(LeakyCell(1, 2), torch.zeros(9, 1))
    with pytest.raises(ValueError, match=f"{key}: expected"):
        lyapunov_exponents(trajectory, **{key: value})


def test_growth_is_that_of_the_largest_exponent_where_another_direction_came_first():
    cell = linear(torch.diag(torch.tensor([0.5, 2.0])))
    found = [lyapunov_exponents(follow(cell, torch.zeros(2, 1).double()), 2, 0, seed) for seed in range(20)]
    for one in found:
        assert float(one.growth.mean()) == pytest.approx(float(one.exponents[0]))

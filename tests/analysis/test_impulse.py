import math

import pytest
import torch

from seqmodels.analysis import drawn_responses, follow, half_life, impulse_response
from seqmodels.nn import ElmanCell, GRUCell, LeakyCell


@pytest.mark.parametrize("leak", [0.02, 0.1, 0.5])
def test_half_life_of_leaky_units_is_the_closed_form(leak):
    cell = LeakyCell(1, 3, leak=leak).double()
    cell.weight_hh.data.zero_()
    response = impulse_response(follow(cell, torch.randn(120, 1).double()))
    assert response.half_life == pytest.approx(math.log(0.5) / math.log(1 - leak))
    expected = (1 - leak) ** torch.arange(101.0).double()
    torch.testing.assert_close(response.median, expected)
    torch.testing.assert_close(response.quantile(0.9), expected)


def test_the_response_is_that_of_running_again_with_a_small_push():
    torch.manual_seed(0)
    cell, inputs = GRUCell(2, 4).double(), torch.randn(30, 2).double()
    trajectory = follow(cell, inputs)
    response = impulse_response(trajectory, lags=20, pushes=3, directions=1, seed=4)
    directions = torch.randn(3, 4, generator=torch.Generator().manual_seed(4)).double()
    for row, step in enumerate((0, 5, 10)):
        h = trajectory.previous[0][step : step + 1]
        push = 1e-7 * directions[row] / directions[row].norm()
        plain, pushed = (follow(cell, inputs[step:], (state,)).previous[0] for state in (h, h + push))
        lengths = (pushed - plain).norm(dim=1)[:20] / 1e-7
        torch.testing.assert_close(response.logs[row, :20].exp(), lengths, rtol=1e-4, atol=1e-6)


def test_what_grows_has_no_half_life_and_does_not_overflow():
    cell = ElmanCell(1, 2, activation="identity")
    cell.weight_hh.data.copy_(10 * torch.eye(2))
    response = impulse_response(follow(cell, torch.zeros(150, 1)))
    assert response.half_life is None
    torch.testing.assert_close(response.logs[:, -1], torch.full((64,), 100 * math.log(10)))


def test_what_forgets_at_once_is_gone_for_good():
    cell = ElmanCell(1, 2)
    cell.weight_hh.data.zero_()
    response = impulse_response(follow(cell, torch.zeros(5, 1)))
    assert response.median.tolist() == [1, 0, 0, 0, 0, 0]
    assert response.half_life == 1


def test_half_life_is_read_where_the_curve_first_comes_down():
    assert half_life(torch.tensor([1.0, 2.0, 0.5, 0.9, 0.1])) == 2
    assert half_life(torch.tensor([2.0, 1.9, 1.1])) is None


@pytest.mark.parametrize("key", ["lags", "pushes", "directions"])
def test_numbers_below_one_are_refused(key):
    with pytest.raises(ValueError, match=f"{key}: expected an integer of at least 1, got 0"):
        impulse_response(follow(LeakyCell(1, 1), torch.zeros(5, 1)), **{key: 0})


def drawn(radii=(0.5, 1.0, 1.1), steps=100):
    return {(r.activation, r.radius): r for r in drawn_responses(radii=radii, steps=steps)}


def test_the_linear_recurrence_dies_stays_or_grows_with_the_radius():
    responses = drawn(steps=200)
    last = {radius: float(responses["linear", radius].norms[-1]) for radius in (0.5, 1.0, 1.1)}
    assert last[0.5] < 1e-40
    assert 0.01 < last[1.0] < 10
    assert last[1.1] > 1e6
    # Scaling W by a radius scales what is left after t steps by its t-th power.
    steps = torch.arange(201.0).double()
    torch.testing.assert_close(
        responses["linear", 1.1].norms, responses["linear", 1.0].norms * 1.1**steps, rtol=1e-6, atol=0
    )


def test_activations_answer_as_the_lecture_draws_them():
    responses = drawn()
    sigmoid = responses["sigmoid", 1.1]
    assert sigmoid.norms[-1] > 3
    assert sigmoid.differences[-1] < 1e-10
    assert responses["tanh", 0.5].norms[-1] < 1e-6
    assert 0.1 < responses["tanh", 1.1].norms[-1] < 10  # neither dies nor explodes
    assert responses["relu", 0.5].norms[-1] < 1e-6
    for activation in ("sigmoid", "tanh", "relu", "linear"):
        assert responses[activation, 0.5].norms[0] == pytest.approx(1)

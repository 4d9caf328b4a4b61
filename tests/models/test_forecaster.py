"""The forecaster: one call, a loop of its own, and an explicit loop give the same; nothing of the future is read."""

import pytest
import torch
from torch import nn

from seqmodels.models import Forecaster, Identity
from seqmodels.nn import ElmanCell, GRUCell, LSTMCell

CONTEXT, HORIZON, NAN = 6, 5, float("nan")
CELLS = {"elman": ElmanCell, "gru": GRUCell, "lstm": LSTMCell, "native_lstm": nn.LSTM, "native_gru": nn.GRU}


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(cell=LSTMCell, marks=False, known=1, **options):
    """Two targets, a covariate, and perhaps marks and known covariates."""
    torch.manual_seed(0)
    num_marks = 2 if marks else 0
    return Forecaster(
        Identity(2 + num_marks + 1 + known),
        cell,
        output_size=4,
        num_targets=2,
        horizon=HORIZON,
        num_marks=num_marks,
        num_known=known,
        hidden_size=7,
        num_layers=2,
        **options,
    )


def point(outputs):
    return outputs[..., :2] + 0.1 * outputs[..., 2:]


def windows(model, batch_size=3):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(batch_size, CONTEXT + HORIZON - 1, model.frontend.features, generator=generator)
    truth = torch.randn(batch_size, HORIZON - 1, 2, generator=generator)
    return inputs, truth


def by_hand(model, inputs, values_at):
    """Runs one step at a time from the definition; `values_at(step, outputs)` are the targets that are read."""
    state, outputs = None, []
    for step in range(inputs.shape[1]):
        read = inputs[:, step : step + 1].clone()
        if step >= CONTEXT:
            read[:, 0, :2] = values_at(step - CONTEXT, outputs[-1][:, -1])
            read[:, 0, 2 : 2 + model.num_marks] = 1
        hidden, state = model.recurrent(read, state)
        outputs.append(model.head(hidden))
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("marks", [False, True])
def test_free_running_is_an_explicit_loop_over_its_own_point_forecasts(cell, marks):
    model = make(CELLS[cell], marks)
    inputs, _ = windows(model)
    expected = by_hand(model, inputs, lambda step, outputs: point(outputs))
    torch.testing.assert_close(model.forecast(inputs, point), expected)
    nothing_forced = torch.full((3, HORIZON - 1, 2), NAN)
    torch.testing.assert_close(model.forecast(inputs, point, nothing_forced), expected)


@pytest.mark.parametrize("cell", CELLS)
def test_with_the_truth_throughout_all_steps_run_in_one_call_and_give_what_the_loop_gives(cell, monkeypatch):
    model = make(CELLS[cell], marks=True)
    inputs, truth = windows(model)
    expected = by_hand(model, inputs, lambda step, _: truth[:, step])
    calls = []
    run = model.recurrent.forward
    monkeypatch.setattr(
        model.recurrent, "forward", lambda read, *rest, **more: calls.append(read) or run(read, *rest, **more)
    )
    outputs = model.forecast(inputs, None, truth)
    torch.testing.assert_close(outputs, expected)
    assert [read.shape[1] for read in calls] == [CONTEXT + HORIZON - 1]


def test_a_mixture_reads_the_truth_where_it_is_given_and_its_own_forecast_elsewhere():
    model = make()
    inputs, truth = windows(model)
    mask = torch.rand(3, HORIZON - 1, generator=torch.Generator().manual_seed(2)) < 0.5
    forced = truth.masked_fill(~mask[..., None], NAN)
    expected = by_hand(
        model, inputs, lambda step, outputs: torch.where(mask[:, step, None], truth[:, step], point(outputs))
    )
    torch.testing.assert_close(model.forecast(inputs, point, forced), expected)


@pytest.mark.parametrize("direct", [False, True])
def test_targets_from_the_origin_on_are_never_read(direct):
    model = make(marks=True, direct=direct)
    inputs, _ = windows(model)
    changed = inputs.clone()
    changed[:, CONTEXT:, :4] = 1e6
    torch.testing.assert_close(model.forecast(changed, point), model.forecast(inputs, point))


def test_the_direct_forecast_depends_on_the_context_and_on_what_is_known_of_the_horizon_alone():
    model = make(direct=True)
    inputs, truth = windows(model)
    forecast = model.forecast(inputs, None)
    assert forecast.shape == (3, HORIZON, 4)
    torch.testing.assert_close(model.forecast(inputs, None, truth), forecast)
    hidden, _ = model.recurrent(inputs[:, :CONTEXT])
    known = inputs[:, CONTEXT - 1 :, -1]
    expected = model.head(torch.cat([hidden[:, -1], known], -1)).unflatten(-1, (HORIZON, 4))
    torch.testing.assert_close(forecast, expected)
    changed = inputs.clone()
    changed[:, CONTEXT:, 2] += 1  # the covariate that is not known of the future
    torch.testing.assert_close(model.forecast(changed, None), forecast)
    changed[:, -1, -1] += 1
    assert not torch.allclose(model.forecast(changed, None), forecast)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("forced", [False, True])
def test_the_gradient_goes_back_over_the_last_steps_alone(direct, forced):
    model = make(direct=direct)
    inputs, truth = windows(model)
    inputs.requires_grad_()
    whole = model.forecast(inputs, point, truth if forced else None)
    short = model.forecast(inputs, point, truth if forced else None, num_without_gradient=4)
    torch.testing.assert_close(short, whole[:, whole.shape[1] - short.shape[1] :])
    (gradient,) = torch.autograd.grad(short[:, -HORIZON:].sum(), inputs)
    assert bool((gradient[:, :4] == 0).all())
    assert bool((gradient[:, 4:CONTEXT] != 0).any())


def test_gradients_flow_through_the_point_forecasts_that_are_read():
    model = make()
    inputs, _ = windows(model)
    seen = []

    def feed(outputs):
        seen.append(outputs)
        return point(outputs)

    outputs = model.forecast(inputs, feed)
    (gradient,) = torch.autograd.grad(outputs[:, -1].sum(), [seen[0]], allow_unused=True)
    assert bool((gradient != 0).any())


def test_a_horizon_of_one_step_is_the_output_at_the_origin():
    model = Forecaster(Identity(1), GRUCell, output_size=1, num_targets=1, horizon=1, hidden_size=3)
    inputs = torch.randn(2, 4, 1)
    expected = model.head(model.recurrent(inputs)[0])
    torch.testing.assert_close(model.forecast(inputs, None, torch.zeros(2, 0, 1)), expected)
    torch.testing.assert_close(model.forecast(inputs, None), expected)


def test_windows_that_do_not_fit_the_horizon_are_refused():
    model = make()
    with pytest.raises(ValueError, match="horizon=5: expected windows of at least 5 steps, got 4"):
        model.forecast(torch.zeros(1, 4, 4), point)
    with pytest.raises(ValueError, match="horizon=5: expected windows of at least 11 steps, got 10"):
        model.forecast(torch.zeros(1, 10, 4), point, num_without_gradient=6)
    with pytest.raises(ValueError, match="horizon=0"):
        Forecaster(Identity(1), GRUCell, output_size=1, num_targets=1, horizon=0)

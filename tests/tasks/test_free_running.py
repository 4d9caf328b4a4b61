"""Steps that read predictions: which ones, which predictions, and what a task makes of it."""

import math

import pytest
import torch

from seqmodels.data import TBPTT, Window, plan_windows
from seqmodels.decoding import Sampling, generate
from seqmodels.models import ClassEmbedding, LanguageModel
from seqmodels.nn import LSTMCell
from seqmodels.tasks import ConstantForcing, FreeRunning, LanguageModelling
from seqmodels.tasks.free_running import run_freely

INPUTS = torch.tensor([[1, 2, 3, 4, 0], [4, 4, 1, 0, 2]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = LanguageModel(5, LSTMCell, hidden_size=8, embedding_size=4, context=ClassEmbedding(3, 4))
    for parameter in model.parameters():
        parameter.data.mul_(3)  # so that predictions differ from row to row
    return model.double().eval()


@pytest.fixture
def memory(model):
    return model.remember(torch.tensor([2, 0]))


def nowhere():
    return torch.zeros_like(INPUTS, dtype=torch.bool)


def test_the_truth_everywhere_is_one_call(model, memory):
    expected, state = model.hidden(INPUTS, memory=memory)
    hidden, logits, last = run_freely(model, INPUTS, ~nowhere(), "sample", memory=memory)
    torch.testing.assert_close(hidden, expected)
    torch.testing.assert_close(logits, model.outputs(expected))
    torch.testing.assert_close(last[1], state[1])


def test_nowhere_the_truth_is_greedy_decoding(model, memory):
    _, logits, _ = run_freely(model, INPUTS, nowhere(), memory=memory)

    def step(ids, state=None):
        hidden, state = model.hidden(ids, state, memory=memory)
        return model.outputs(hidden), state

    expected = torch.stack(list(generate(step, INPUTS[:, :1], 5, Sampling(0))), 1)
    assert torch.equal(logits.argmax(-1), expected)
    assert not torch.equal(expected[:, :-1], INPUTS[:, 1:])


def test_each_place_reads_what_it_is_told_to(model, memory):
    forced = torch.tensor([[False, True, False, False, True], [False, False, True, True, False]])
    _, logits, _ = run_freely(model, INPUTS, forced, memory=memory)
    for row in range(2):
        read = [int(INPUTS[row, 0])]
        for step in range(1, 5):
            read.append(int(INPUTS[row, step] if forced[row, step] else logits[row, step - 1].argmax()))
        alone, _ = model(torch.tensor([read]), context=torch.tensor([[2, 0][row]]))
        torch.testing.assert_close(alone[0], logits[row])


def test_samples_are_drawn_as_likely_as_they_are(model):
    inputs = torch.ones(4000, 2, dtype=torch.long)
    memory = model.remember(torch.zeros(4000, dtype=torch.long))
    torch.manual_seed(1)
    _, logits, _ = run_freely(model, inputs, torch.zeros(4000, 2, dtype=torch.bool), "sample", memory=memory)
    by_token = torch.stack([model(torch.tensor([[1, t]]), context=torch.tensor([0]))[0][0, 1] for t in range(5)])
    drawn = torch.cdist(logits[:, 1], by_token).argmin(1)
    assert torch.cdist(logits[:, 1], by_token).min(1).values.max() < 1e-6
    shares = torch.bincount(drawn, minlength=5) / 4000
    assert (shares - logits[0, 0].softmax(-1)).abs().max() < 4 * math.sqrt(0.25 / 4000)


def test_mixed_embeddings_carry_the_gradient_and_choices_do_not(model, memory):
    table = model.frontend.table.weight
    probabilities = model(INPUTS[:, :1], context=torch.tensor([2, 0]))[0][:, 0].softmax(-1)
    hidden, state = model.hidden(INPUTS[:, :1], memory=memory)
    by_hand, _ = model.recurrent((probabilities @ table)[:, None], state, context=memory)
    mixed, _, _ = run_freely(model, INPUTS[:, :2], nowhere()[:, :2], "mixed", memory=memory)
    torch.testing.assert_close(mixed, torch.cat([hidden, by_hand], 1))
    found = {}
    for feed in ("mixed", "argmax", "sample"):
        out, _, _ = run_freely(model, INPUTS[:, :2], nowhere()[:, :2], feed, memory=memory)
        (found[feed],) = torch.autograd.grad(out[:, 1].sum(), model.head.bias, allow_unused=True)
    assert found["mixed"].abs().max() > 0
    assert found["argmax"] is None
    assert found["sample"] is None


def batch(first=True):
    return Window(INPUTS, INPUTS.roll(-1, 1), torch.tensor([5, 5]), first, 5, 0, torch.tensor([2, 0]))


def make_task(model, **options):
    task = LanguageModelling(model, torch.optim.SGD, **options)
    task.total_steps = 10
    return task


@pytest.mark.parametrize("ratio,calls", [(1.0, 1), (0.0, 5)])
def test_a_ratio_of_one_is_one_call_and_evaluation_always_is(model, ratio, calls, monkeypatch):
    counted = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda *a, **k: counted.append(1) or hidden(*a, **k))
    task = make_task(model, teacher_forcing=ConstantForcing(ratio))
    task.training_step(batch(), 0)
    assert len(counted) == calls
    counted.clear()
    task.eval().validation_step(batch(), 0)
    assert len(counted) == 1


def test_the_loss_of_training_is_that_of_the_steps_as_they_were_read(model):
    task = make_task(model, teacher_forcing=ConstantForcing(0.0))
    loss = task.training_step(batch(), 0)
    _, logits, _ = run_freely(model, INPUTS, nowhere(), memory=model.remember(torch.tensor([2, 0])))
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), INPUTS.roll(-1, 1).flatten())
    torch.testing.assert_close(loss, expected)


def test_the_state_goes_from_window_to_window_without_gradient(model):
    task = make_task(model, teacher_forcing=ConstantForcing(0.0))
    task.training_step(batch(), 0)
    assert not any(tensor.requires_grad for tensor in task.state)
    carried = task.state
    loss = task.training_step(batch(first=False), 0)
    memory = model.remember(torch.tensor([2, 0]))
    _, logits, _ = run_freely(model, INPUTS, nowhere(), state=carried, memory=memory)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), INPUTS.roll(-1, 1).flatten())
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("regime", [(2, 2), (2, 4), (3, 1), (3, 3), (1, 1), (None, None), (2, None)])
def test_windows_are_cut_as_under_teacher_forcing_whatever_steps_read(model, regime, monkeypatch):
    tokens = torch.cat([INPUTS, INPUTS[:, :2]], 1)  # 6 steps and the last target
    windows = [
        Window(
            tokens[:, plan.start : plan.stop],
            tokens[:, plan.stop - plan.num_targets + 1 : plan.stop + 1],
            torch.full((2,), plan.stop - plan.start),
            plan.first,
            plan.handoff,
            plan.num_without_gradient,
            torch.tensor([2, 0]),
        )
        for plan in plan_windows(6, TBPTT(*regime))
    ]
    forced = make_task(model)
    # Every step but those that are always forced reads the truth by chance: what is left must be the same.
    free = make_task(model, teacher_forcing=ConstantForcing(0.5))
    monkeypatch.setattr(free.teacher_forcing.__class__, "draw", lambda self, *a, **k: torch.zeros(2, a[1]).bool())
    monkeypatch.setattr("seqmodels.tasks.free_running._mixed", lambda truth, *_: truth)
    for window in windows:
        torch.testing.assert_close(free.training_step(window, 0), forced.training_step(window, 0))
        for one, other in zip(free.state or (), forced.state or (), strict=True):
            torch.testing.assert_close(one, other)
            assert not one.requires_grad


def test_an_unknown_feed_is_told(model):
    with pytest.raises(ValueError, match="feed=best: expected one of argmax, sample, mixed"):
        make_task(model, feed="best")


@torch.no_grad()
@pytest.mark.parametrize("warm_start", [0, 2])
def test_free_running_figures_are_those_of_steps_by_hand(model, warm_start):
    measure = FreeRunning(model, warm_start)
    assert all(math.isnan(value) for value in measure.compute().values())
    targets = INPUTS.roll(-1, 1)
    targets[1, 3:] = -100
    window = batch()._replace(targets=targets, lengths=torch.tensor([5, 3]))
    logits, _ = model(INPUTS, context=window.context)
    measure.update({"class": logits.argmax(-1), "probabilities": logits.softmax(-1)}, window)
    free_loss = forced_loss = free_right = forced_right = count = 0
    for row in range(2):
        read = [int(INPUTS[row, 0])]
        for step in range(5):
            out = model(torch.tensor([read]), context=window.context[row : row + 1])[0][0, -1].log_softmax(-1)
            forced = logits[row, step].log_softmax(-1)
            target = int(targets[row, step])
            if target >= 0 and step >= warm_start:
                free_loss, forced_loss = free_loss - float(out[target]), forced_loss - float(forced[target])
                free_right += int(out.argmax() == target)
                forced_right += int(forced.argmax() == target)
                count += 1
            if step < 4:
                read.append(int(INPUTS[row, step + 1]) if step + 1 <= warm_start else int(out.argmax()))
    assert count == (8 if warm_start == 0 else 4)
    figures = measure.compute()
    assert figures["loss_free"] == pytest.approx(free_loss / count)
    assert figures["perplexity_free"] == pytest.approx(math.exp(free_loss / count))
    assert figures["exposure_gap"] == pytest.approx((free_loss - forced_loss) / count, abs=1e-6)  # single precision
    assert figures["token_accuracy"] == pytest.approx(forced_right / count)
    assert figures["token_accuracy_free"] == pytest.approx(free_right / count)
    assert figures["exposure_gap"] != 0

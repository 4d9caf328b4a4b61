"""Truncated backpropagation against brute force: an unrolled graph that is cut where the definition says."""

from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from seqmodels.data import TBPTT, StreamWindows, plan_windows
from seqmodels.models import LanguageModel
from seqmodels.nn import ElmanCell, GRUCell, LSTMCell
from seqmodels.tasks import LanguageModelling
from seqmodels.tasks.truncation import run_window

ROWS, LENGTH, VOCABULARY = 3, 11, 5

# (k1, k2): whole, equal, overlapping (also by no multiple), gaps, every step, and lengths that do not divide.
REGIMES = [
    (None, None),
    (11, 11),
    (4, 4),
    (2, 6),
    (3, 5),
    (4, 5),
    (5, 2),
    (4, 3),
    (1, None),
    (1, 4),
    (3, None),
    (None, 4),
]
CELLS = {
    "elman": ElmanCell,
    "lstm": LSTMCell,
    "gru": GRUCell,
    "native_lstm": torch.nn.LSTM,
    "native_rnn": partial(torch.nn.RNN, nonlinearity="tanh"),
}


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_model(cell):
    torch.manual_seed(0)
    return LanguageModel(VOCABULARY, cell, hidden_size=4, num_layers=2, embedding_size=3, initial_state="learned")


def tokens():
    return torch.randint(VOCABULARY, (ROWS, LENGTH + 1), generator=torch.Generator().manual_seed(1))


def ours(model, text, k1, k2, rate):
    """Yields each update's gradients, made from windows as training makes them, with a plain gradient step between."""
    state = None
    for plan in plan_windows(LENGTH, TBPTT(k1, k2)):
        model.zero_grad()
        inputs = text[:, plan.start : plan.stop]
        targets = text[:, plan.stop - plan.num_targets + 1 : plan.stop + 1]
        hidden, state = run_window(
            model.hidden, inputs, state, plan.num_targets, plan.num_without_gradient, plan.handoff
        )
        cross_entropy(model.outputs(hidden).flatten(0, 1), targets.flatten()).backward()
        yield step(model, rate)


def brute_force(model, text, k1, k2, rate):
    """The same, one step at a time from the definition: update j scores [(j-1) k1, j k1), gradient over the last k2.

    The state before each cut is the one that was reached when its step was last run, as on-line training keeps it.
    """
    k1, k2 = k1 or LENGTH, k2 or LENGTH
    before = {0: None}  # the detached state before each step
    for begin in range(0, LENGTH, k1):
        end = min(begin + k1, LENGTH)
        cut = max(0, end - k2)
        model.zero_grad()
        losses, state = [], before[min(cut, begin)]
        for t in range(min(cut, begin), end):
            if t == cut and state is not None:
                state = tuple(part.detach() for part in state)
            if t > min(cut, begin) or t not in before:
                before[t] = tuple(part.detach() for part in state)
            logits, state = model(text[:, t : t + 1], state)
            if t >= max(cut, begin):
                losses.append(cross_entropy(logits[:, 0], text[:, t + 1]))
        before[end] = tuple(part.detach() for part in state)
        torch.stack(losses).mean().backward()
        yield step(model, rate)


def step(model, rate):
    gradients = {}
    for name, parameter in model.named_parameters():
        gradients[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        parameter.data -= rate * gradients[name]
    return gradients


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("k1", "k2"), REGIMES)
def test_every_update_has_the_gradient_of_the_explicitly_truncated_graph(cell, k1, k2):
    rate = 0.5  # the parameters change from update to update, as in training
    expected = list(brute_force(make_model(CELLS[cell]), tokens(), k1, k2, rate))
    got = list(ours(make_model(CELLS[cell]), tokens(), k1, k2, rate))
    assert len(got) == len(expected) == -(-LENGTH // (k1 or LENGTH))
    for mine, theirs in zip(got, expected, strict=True):
        for name in theirs:
            torch.testing.assert_close(mine[name], theirs[name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (2, 6), (3, 5), (5, 2), (1, 4), (None, None)])
def test_the_task_on_windows_of_a_stream_makes_the_same_updates(k1, k2):
    """The same through `StreamWindows` and `LanguageModelling`, which carries the state; a second epoch starts afresh."""
    text = tokens()
    stream = torch.cat([text[0], text[1, 1:], text[2, 1:]]).numpy()  # rows that overlap by one, as a stream's do
    text = torch.from_numpy(stream)[torch.arange(ROWS)[:, None] * LENGTH + torch.arange(LENGTH + 1)]
    model = make_model(LSTMCell)
    task = LanguageModelling(model, torch.optim.SGD)
    windows = StreamWindows(stream, ROWS, TBPTT(k1, k2))
    got, expected_model = [], make_model(LSTMCell)
    for _ in range(2):
        for index in range(len(windows)):
            model.zero_grad()
            task.training_step(windows[index], index).backward()
            got.append(step(model, 0.5))
    expected = [update for _ in range(2) for update in brute_force(expected_model, text, k1, k2, 0.5)]
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        for name in theirs:
            # The loss is computed in float32, so this holds to its precision.
            torch.testing.assert_close(mine[name], theirs[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(("k1", "k2"), [(2, 6), (3, 5), (4, 4), (1, 4)])
def test_truncation_matters(k1, k2):
    """The last update's gradient is not that of the whole sequence, or the test above could not tell them apart."""
    truncated = list(ours(make_model(LSTMCell), tokens(), k1, k2, 0.0))[-1]
    whole = list(ours(make_model(LSTMCell), tokens(), k1, None, 0.0))[-1]
    name = "recurrent.cells.0.weight_hh"
    assert (truncated[name] - whole[name]).abs().max() > 1e-6 * whole[name].abs().max()

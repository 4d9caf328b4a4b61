"""The penalties of language modelling: they enter the gradient as defined, and no figure that is reported."""

import itertools

import pytest
import torch

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.models import LanguageModel
from seqmodels.nn import LSTMCell
from seqmodels.tasks import LanguageModelling


def make_task(**penalties):
    torch.manual_seed(0)
    return LanguageModelling(
        LanguageModel(5, LSTMCell, hidden_size=4, output_dropout=0.0), torch.optim.SGD, **penalties
    )


def window(targets):
    inputs = torch.randint(5, targets.shape, generator=torch.Generator().manual_seed(1))
    lengths = (targets != IGNORE_INDEX).sum(1)
    return Window(inputs, targets, lengths, first=True, num_without_gradient=0, handoff=targets.shape[1])


TARGETS = torch.tensor([[1, 2, 3, 4], [0, 1, IGNORE_INDEX, IGNORE_INDEX]])


def test_the_loss_to_train_on_is_the_cross_entropy_and_the_penalties_over_what_is_no_padding():
    batch = window(TARGETS)
    plain, penalised = make_task(), make_task(activation_penalty=2.0, temporal_activation_penalty=3.0)
    hidden, _ = plain.model.hidden(batch.inputs)
    steps = [hidden[0, t] for t in range(4)], [hidden[1, t] for t in range(2)]
    squares = torch.stack([h for row in steps for h in row]).square().mean()
    changes = [after - before for row in steps for before, after in itertools.pairwise(row)]
    expected = plain.training_step(batch, 0) + 2 * squares + 3 * torch.stack(changes).square().mean()
    torch.testing.assert_close(penalised.training_step(batch, 0), expected)
    assert penalised.train_loss.compute() == plain.train_loss.compute()


def test_validation_knows_no_penalty():
    tasks = make_task(), make_task(activation_penalty=2.0, temporal_activation_penalty=3.0)
    for task in tasks:
        task.validation_step(window(TARGETS), 0)
    assert tasks[0].evaluation_loss.compute() == tasks[1].evaluation_loss.compute()


@pytest.mark.parametrize("name", ["activation_penalty", "temporal_activation_penalty"])
def test_each_makes_small_what_it_punishes(name):
    norms = []
    for factor in (0.0, 30.0):
        task = make_task(**{name: factor})
        optimizer = torch.optim.Adam(task.model.parameters(), 0.03)
        for _ in range(40):
            optimizer.zero_grad()
            task.training_step(window(TARGETS), 0).backward()
            optimizer.step()
        hidden, _ = task.model.hidden(window(TARGETS).inputs)
        norms.append(float((hidden if name == "activation_penalty" else hidden.diff(dim=1)).detach().square().mean()))
    assert norms[1] < 0.3 * norms[0]


@pytest.mark.parametrize("name", ["activation_penalty", "temporal_activation_penalty"])
def test_a_negative_factor_is_refused(name):
    with pytest.raises(ValueError, match=f"^{name}=-1.0: expected at least 0"):
        make_task(**{name: -1.0})


def test_both_are_keys_of_the_command(small_run):
    weights = []
    for factor in (0.0, 5.0):
        keys = [f"task.activation_penalty={factor}", f"task.temporal_activation_penalty={factor}"]
        weights.append(small_run(*keys).results["val/loss"])
    assert weights[0] != weights[1]

"""Configuration to objects: only allowed targets, checked arguments."""

import functools

import pytest
import torch

from seqmodels.building import build
from seqmodels.errors import UserError
from seqmodels.nn import LSTMCell


def test_nested_targets_and_partials():
    node = {
        "_target_": "seqmodels.models.LanguageModel",
        "cell": {"_target_": "seqmodels.nn.LSTMCell", "_partial_": True, "forget_bias": 2},
        "hidden_size": 3,
    }
    model = build(node, "model", vocab_size=5, unrelated=7)
    assert model.vocab_size == 5
    cell = build(node["cell"], "cell")
    assert isinstance(cell, functools.partial)
    assert isinstance(cell(1, 1), LSTMCell)
    assert cell.keywords == {"forget_bias": 2}


def test_what_the_configuration_says_wins_over_what_is_provided():
    node = {"_target_": "seqmodels.nn.ElmanCell", "input_size": 2, "hidden_size": 3}
    assert build(node, "cell", input_size=9).input_size == 2


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.run",
        "torch.load",
        "torch.hub.load",
        "pickle.loads",
        "seqmodels.data.text.os",
        "seqmodels.commands.main.main",
        "seqmodels.runs.load_run",
        "seqmodels.nn.__builtins__",
        "seqmodels.building.build",
        "LSTMCell",
        "",
        None,
        3,
    ],
)
def test_any_other_target_is_refused_before_anything_is_called(target):
    with pytest.raises(UserError, match="not a target"):
        build({"_target_": target, "command": "touch exploded"}, "model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": "3", "hidden_size": 4}, "cell.input_size=3: expected an integer, got str"),
        ({"input_size": True, "hidden_size": 4}, "cell.input_size=True: expected an integer, got bool"),
        ({"input_size": 3, "hidden_size": 4, "biass": True}, "cell.biass=True: no such key; did you mean bias"),
    ],
)
def test_arguments_are_held_against_the_signature(arguments, message):
    with pytest.raises(UserError, match=message):
        build({"_target_": "seqmodels.nn.LSTMCell", **arguments}, "cell")


def test_a_mapping_that_makes_no_object_is_refused_where_one_is_expected():
    node = {"_target_": "seqmodels.models.LanguageModel", "stacking": {"connections": "plain"}}
    with pytest.raises(UserError, match=r"model\.stacking: expected .*null.*, got connections without a _target_"):
        build(node, "model", vocab_size=5)


def test_a_target_of_null_alone_stands_for_nothing():
    assert build({"_target_": None}, "attention") is None


def test_optimizers_take_lists_where_torch_takes_tuples():
    optimizer = build({"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1, "betas": [0.9, 0.99]}, "optimizer")
    assert optimizer([torch.zeros(1, requires_grad=True)]).defaults["betas"] == (0.9, 0.99)

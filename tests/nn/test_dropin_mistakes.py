"""The drop-in layers given what does not fit: torch's own errors."""

import pytest
import torch
from dropin_twins import LAYERS, TORCH_OF, B, D, H, T, leaves_of, run_by_our_kernels, tensors_of, twins
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from seqmodels.nn import LSTM, RNN

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own

X, STATE = torch.ones(T, B, D), torch.ones(1, B, H)
BAD_CALLS = {
    "no dimension": (torch.tensor(1.0),),
    "one dimension": (torch.ones(D),),
    "four dimensions": (torch.ones(1, T, B, D),),
    "features": (torch.ones(T, B, D + 1),),
    "no features": (torch.ones(T, B, 0),),
    "no steps": (torch.ones(0, B, D),),
    "no steps unbatched": (torch.ones(0, D),),
    "float64": (X.double(),),
    "integers": (X.long(),),
    "complex": (X.cfloat(),),
    "sparse": (X.to_sparse(),),
    "none": (None,),
    "list": ([1.0],),
    "packed float64": (pack_sequence([torch.ones(3, D).double()]),),
    "packed sizes growing": (PackedSequence(torch.ones(3, D), torch.tensor([1, 2])),),
}
BAD_STATES = {
    "batch": (X, STATE[:, :1]),
    "layers": (X, STATE.repeat(2, 1, 1)),
    "state features": (X, STATE[..., :2]),
    "state unbatched": (X, STATE[:, 0]),
    "state batched": (X[:, 0], STATE),
    "state float64": (X, STATE.double()),
    "state meta": (X, STATE.to("meta")),
    "batch first": (X.transpose(0, 1), STATE),
}


def outcome(layer: nn.RNNBase, *args):
    try:
        return [t.detach() for t in tensors_of(layer(*args))]
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "call", [*BAD_CALLS, *BAD_STATES, "other kind of state", "three states", "number", "not tensors"]
)
@pytest.mark.parametrize("name", ["tanh", "lstm", "gru"])
def test_mistakes_are_told_as_torch_tells_them(name, call):
    ours, theirs = twins(LAYERS[name], D, H)
    is_lstm = name == "lstm"
    if call in BAD_CALLS:
        args = BAD_CALLS[call]
    elif call in BAD_STATES:
        inputs, state = BAD_STATES[call]
        args = (inputs, (state, state) if is_lstm else state)
    else:
        odd = {"other kind of state": STATE if is_lstm else (STATE, STATE), "three states": (STATE,) * 3, "number": 3}
        args = (X, odd.get(call, (None, None)))
    expected = outcome(theirs, *args)
    assert isinstance(expected, tuple), "torch takes this"
    assert outcome(ours, *args) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": 0},
        {"num_layers": 0},
        {"dropout": 2},
        {"bias": 1},
        {"nonlinearity": "sin"},
        {"proj_size": 9},
        {"colour": 1},
    ],
)
def test_arguments_are_refused_as_torch_refuses_them(options):
    for ours, theirs in TORCH_OF.items():
        told = []
        for layer_class in (ours, theirs):
            with pytest.raises((ValueError, TypeError)) as error:
                layer_class(**{"input_size": D, "hidden_size": H, **options})
            told.append((error.type, str(error.value)))
        assert told[0] == told[1]
    with pytest.warns(UserWarning, match="dropout option"):
        RNN(D, H, dropout=0.5)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.parametrize("name", LAYERS)
def test_nested_tensors_are_refused_as_torch_refuses_them(name):
    ours, theirs = twins(LAYERS[name], D, H)
    nested = torch.nested.nested_tensor([torch.ones(2, D), torch.ones(1, D)])
    expected = outcome(theirs, nested)
    assert expected[0] is RuntimeError
    assert outcome(ours, nested) == expected


@pytest.mark.parametrize("name", ["tanh", "gru"])  # torch's LSTM reads beyond what it is given here
def test_packed_mistakes_are_told_as_torch_tells_them(name):
    ours, theirs = twins(LAYERS[name], D, H)
    too_few = PackedSequence(torch.ones(3, D), torch.tensor([2, 2]))
    for args in ((pack_sequence([torch.ones(3, D + 1)]),), (pack_sequence([torch.ones(3, D)]), STATE), (too_few,)):
        expected = outcome(theirs, *args)
        assert expected[0] is RuntimeError
        assert outcome(ours, *args) == expected


@pytest.mark.parametrize("name", ["tanh", "gru"])
def test_strange_weights_are_told_as_torch_tells_them(name):
    """A kernel that reads memory must never see them."""
    for change in (lambda w: w[:-1], lambda w: w.double(), lambda w: w.to("meta"), lambda w: w.to_sparse()):
        told = []
        for layer in twins(LAYERS[name], D, H):
            weight = layer.weight_hh_l0.detach()
            del layer.weight_hh_l0
            layer.weight_hh_l0 = change(weight)
            told.append(outcome(layer, X))
        assert isinstance(told[1], tuple), "torch takes this"
        assert told[0] == told[1]


def test_a_state_in_a_list_is_a_state():
    ours, theirs = twins(LSTM, D, H)
    with run_by_our_kernels("lstm"):
        got = tensors_of(ours(X, [STATE, STATE]))
    torch.testing.assert_close(got, tensors_of(theirs(X, [STATE, STATE])))
    assert len(leaves_of(ours(X)[1])) == 2
    stacked = torch.stack([STATE, STATE])
    assert outcome(ours, X, stacked) == outcome(theirs, X, stacked)  # which is a TypeError

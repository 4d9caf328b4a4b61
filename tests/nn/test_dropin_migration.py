"""The drop-in layers in programs that were written for torch's: saved, exported, compiled, transformed, misused."""

import copy
import io
import pickle
from contextlib import nullcontext
from functools import partial
from unittest import mock

import pytest
import torch
from dropin_twins import LAYERS, TORCH_OF, B, D, H, T, run_by_our_kernels, tensors_of, twins
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence
from torch.utils.flop_counter import FlopCounterMode
from twins import assert_close

import seqmodels
from seqmodels.nn import GRU, LSTM, RNN

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own


class Tagger(nn.Module):
    def __init__(self, layer: nn.Module, num_features: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(num_features, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.layer(inputs)[0])


def saved(thing, weights_only: bool):
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=weights_only)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: saved(m, weights_only=False)]
)
@pytest.mark.parametrize("name", LAYERS)
def test_copies_are_layers_of_their_own(name, copied):
    layer = LAYERS[name](D, H, num_layers=2, bidirectional=True)
    inputs = torch.randn(T, B, D)
    expected = tensors_of(layer(inputs))  # before, so that anything a run leaves behind is copied too
    twin = copied(layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert type(twin) is type(layer)
    assert repr(twin) == repr(layer)
    with run_by_our_kernels(name):
        assert_close(tensors_of(twin(inputs)), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_starts_and_saves_as_torch_does(name):
    make = LAYERS[name]
    torch.manual_seed(5)
    ours = make(D, H, num_layers=2, bidirectional=True)
    ours_class, keywords = (make, {}) if isinstance(make, type) else (make.func, make.keywords)
    torch.manual_seed(5)
    theirs = TORCH_OF[ours_class](D, H, num_layers=2, bidirectional=True, **keywords)
    assert isinstance(ours, TORCH_OF[ours_class])
    assert repr(ours) == repr(theirs)
    state = saved(ours.state_dict(), weights_only=True)
    assert list(state) == list(theirs.state_dict())
    assert all(torch.equal(state[key], value) for key, value in theirs.state_dict().items())


@pytest.mark.filterwarnings("ignore:The tensor attributes self.layer._flat_weights")  # torch's own
@pytest.mark.parametrize("name", LAYERS)
def test_can_be_exported_and_compiled(name):
    layer = LAYERS[name](D, H, batch_first=True)
    model = Tagger(layer, layer.proj_size or H).eval()
    inputs = torch.randn(B, T, D)
    expected = model(inputs)
    exported = torch.export.export(model, (inputs,))
    torch.testing.assert_close(exported.module()(inputs), expected)
    compiled = torch.compile(model, backend="eager")
    torch.testing.assert_close(compiled(inputs), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")  # torch's own
def test_can_be_traced_and_scripted():
    for layer in (RNN(D, H), LSTM(D, H), GRU(D, H)):
        model = Tagger(layer, H)
        inputs = torch.randn(T, B, D)
        expected = model(inputs)
        traced = torch.jit.trace(model, (inputs,))
        longer = torch.randn(T + 2, B, D)  # a trace of our loop would know T steps alone
        torch.testing.assert_close(traced(longer), model(longer))
        scripted = torch.jit.script(model)
        torch.testing.assert_close(scripted(inputs), expected)
        assert [p.data_ptr() for p in scripted.parameters()] == [p.data_ptr() for p in model.parameters()]


@pytest.mark.parametrize("name", LAYERS)
def test_weights_may_be_replaced(name):
    ours, theirs = twins(LAYERS[name], D, H, num_layers=2)
    inputs = torch.randn(T, B, D)
    for layer in (ours, theirs):
        layer(inputs)
    other = {key: value.double() + 0.5 for key, value in ours.named_parameters()}
    results = [tensors_of(functional_call(layer, other, (inputs.double(),))) for layer in (ours, theirs)]
    assert_close(*results)
    for layer in (ours.double(), theirs.double()):
        layer.weight_hh_l0 = nn.Parameter(layer.weight_hh_l0 * 2)
        with torch.no_grad():
            layer.weight_ih_l1 += 1
    assert_close(tensors_of(ours(inputs.double())), tensors_of(theirs(inputs.double())))


@pytest.mark.parametrize("name", LAYERS)
def test_weights_may_be_parametrized(name):
    ours, theirs = twins(LAYERS[name], D, H, dtype=torch.float64)
    inputs = torch.randn(T, B, D, dtype=torch.float64)
    grads = []
    for layer in (ours, theirs):
        parametrizations.weight_norm(layer, "weight_hh_l0")
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            layer(inputs)[0].square().sum().backward()
            optimizer.step()
        grads.append([p.grad for p in layer.parameters()] + tensors_of(layer(inputs)))
    assert len(list(ours.parameters())) == len(list(ours.all_weights[0])) + 1
    with run_by_our_kernels(name):
        ours(inputs)
    assert_close(*grads)


@pytest.mark.parametrize("name", LAYERS)
def test_half_types_and_autocast_are_those_of_torch(name):
    ours, theirs = twins(LAYERS[name], D, H, num_layers=2)
    inputs = torch.randn(T, B, D)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, expected = tensors_of(ours(inputs)), tensors_of(theirs(inputs))
    assert [g.dtype for g in got] == [e.dtype for e in expected]
    assert all(torch.equal(g, e) for g, e in zip(got, expected, strict=True))
    for dtype in (torch.bfloat16, torch.float16):
        got, expected = tensors_of(ours.to(dtype)(inputs.to(dtype))), tensors_of(theirs.to(dtype)(inputs.to(dtype)))
        assert {g.dtype for g in got} == {dtype}
        assert all(torch.equal(g, e) for g, e in zip(got, expected, strict=True))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("name", LAYERS)
def test_function_transforms_and_forward_derivatives_are_those_of_torch(name):
    ours, theirs = twins(LAYERS[name], D, H, dtype=torch.float64)
    inputs, direction = torch.randn(2, T, B, D, dtype=torch.float64)
    results = []
    for layer in (ours, theirs):
        parameters = {key: p.detach() for key, p in layer.named_parameters()}
        run = partial(layer_outputs, layer)
        grads = torch.func.grad(lambda p, run=run: run(p, inputs).square().sum())(parameters)
        _, tangent = torch.func.jvp(partial(run, parameters), (inputs,), (direction,))
        with torch.autograd.forward_ad.dual_level():
            dual = layer(torch.autograd.forward_ad.make_dual(inputs, direction))[0]
            results.append([*grads.values(), tangent, torch.autograd.forward_ad.unpack_dual(dual).tangent])
    assert_close(*results)


def layer_outputs(layer: nn.Module, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
    return functional_call(layer, parameters, (inputs,))[0]


def test_other_devices_are_torch_s():
    for layer in (RNN(D, H, device="meta"), LSTM(D, H, device="meta"), GRU(D, H, device="meta")):
        outputs, *_ = tensors_of(layer(torch.randn(T, B, D, device="meta")))
        assert outputs.device.type == "meta"
        assert outputs.shape == (T, B, H)


def test_an_empty_batch_gives_what_torch_gives():
    for name in LAYERS:
        ours, theirs = twins(LAYERS[name], D, H, bidirectional=True)
        got, expected = tensors_of(ours(torch.randn(T, 0, D))), tensors_of(theirs(torch.randn(T, 0, D)))
        assert [g.shape for g in got] == [e.shape for e in expected]


class Subclass(Tensor):
    pass


@pytest.mark.parametrize("name", LAYERS)
def test_tensors_of_other_kinds_go_to_torch(name):
    layer = LAYERS[name](D, H, dtype=torch.float64)
    inputs = torch.randn(T, B, D, dtype=torch.complex128)
    for odd in (inputs.real.as_subclass(Subclass), inputs.conj().imag):  # the last is a view that negates when read
        with torch_watched(layer) as called:
            got = tensors_of(layer(odd))
        assert called.call_count == 1
        assert_close([g.as_subclass(Tensor) for g in got], tensors_of(layer(odd.as_subclass(Tensor).clone())))


@pytest.mark.parametrize("name", LAYERS)
def test_one_step_of_most_and_watched_operations_go_to_torch(name):
    layer = LAYERS[name](D, H, batch_first=True)
    watching = FlopCounterMode(display=False)
    one_step = torch.ones(B, 1, D)
    for inputs, mode in (
        (one_step, nullcontext()),
        (pack_sequence([one_step[0]] * 2), nullcontext()),
        (torch.ones(B, T, D), watching),
    ):
        with torch_watched(layer) as called, mode:
            layer(inputs)
        expected = 0 if mode is not watching and name == "lstm" else 1  # torch is slow at a single step of an LSTM
        assert called.call_count == expected


def torch_watched(layer: nn.Module):
    """Counts the calls of torch's own forward."""
    theirs = TORCH_OF[type(layer)]
    return mock.patch.object(theirs, "forward", autospec=True, side_effect=theirs.forward)


def train_somewhere(path: str, loads: dict[str, Tensor] | None) -> tuple[list[float], dict[str, Tensor]]:
    """Somebody's script: knows torch.nn alone."""
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(11, 8)
            self.reader = getattr(nn, path)(8, 16, num_layers=2, batch_first=True, dropout=0.2, bidirectional=True)
            self.writer = getattr(nn, path)(32, 16, batch_first=True)
            self.head = nn.Linear(16, 11)

        def forward(self, tokens: Tensor) -> Tensor:
            read, _ = self.reader(self.embedding(tokens))
            written, _ = self.writer(read)
            return self.head(written)

    model = Model()
    if loads is not None:
        model.load_state_dict(loads)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        tokens = torch.randint(11, (4, 9))
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.parametrize("path", ["RNN", "LSTM", "GRU"])
def test_a_script_trains_as_before_with_our_layer_in_the_place_of_torch_s(path, monkeypatch):
    expected, state = train_somewhere(path, None)
    expected_later, _ = train_somewhere(path, state)
    with run_by_our_kernels(path):
        monkeypatch.setattr(nn, path, getattr(seqmodels.nn, path))
        losses, _ = train_somewhere(path, None)
        losses_later, _ = train_somewhere(path, state)
    assert losses == pytest.approx(expected, abs=1e-6)
    assert losses_later == pytest.approx(expected_later, abs=1e-6)
    assert losses_later[0] < losses[0]

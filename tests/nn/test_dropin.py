"""The drop-in layers against torch's own with the same weights: outputs, states and all gradients."""

import sys
import types
import unittest
from functools import partial
from itertools import product
from threading import Thread

import hypothesis
import pytest
import torch
from dropin_twins import (
    LAYERS,
    OUR_KERNELS_RUN,
    TORCH_OF,
    B,
    D,
    H,
    T,
    draw,
    leaves_of,
    run_by_our_kernels,
    tensors_of,
    twins,
)
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence, unpack_sequence
from twins import assert_close, gradients

from seqmodels.nn import GRU, LSTM, RNN, backends, kernels

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own


def packed(lengths: list[int], enforce_sorted: bool) -> tuple[PackedSequence, Tensor]:
    inputs = pack_padded_sequence(torch.randn(T, B, D), torch.tensor(lengths), enforce_sorted=enforce_sorted)
    leaf = draw(inputs.data.shape)
    return inputs._replace(data=leaf), leaf


def padded(*shape: int) -> tuple[Tensor, Tensor]:
    inputs = draw(*shape)
    return inputs, inputs


FORMS = {
    "time_first": partial(padded, T, B, D),
    "batch_first": partial(padded, B, T, D),
    "unbatched": partial(padded, T, D),
    "packed_sorted": partial(packed, [5, 2, 2], True),
    "packed_unsorted": partial(packed, [2, 5, 1], False),
    "packed_equal": partial(packed, [4, 4, 4], False),
}


def random_hx(layer: nn.RNNBase, *rows: int):
    runs = layer.num_layers * (1 + layer.bidirectional)
    h = draw(runs, *rows, layer.proj_size or layer.hidden_size)
    return (h, draw(runs, *rows, layer.hidden_size)) if isinstance(layer, nn.LSTM) else h


def run_with_gradients(layer: nn.RNNBase, leaves: list[Tensor], *args) -> list[Tensor]:
    outputs, *final = tensors_of(layer(*args))
    return [outputs, *final, *gradients(outputs, tuple(final), [*leaves, *layer.parameters()])]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_results_are_those_of_torch(name, form):
    for num_layers, bidirectional, bias, with_state in product((1, 3), (False, True), (True, False), (True, False)):
        options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
        ours, theirs = twins(LAYERS[name], D, H, **options, batch_first=form == "batch_first", dtype=torch.float64)
        inputs, leaf = FORMS[form]()
        hx = random_hx(ours, *(() if form == "unbatched" else (B,))) if with_state else None
        leaves = [leaf, *leaves_of(hx)]
        expected = run_with_gradients(theirs, leaves, inputs, hx)
        with run_by_our_kernels(name):
            got = run_with_gradients(ours, leaves, inputs, hx)
        assert_close(got, expected)
        assert [g.stride() for g in got[:2]] == [e.stride() for e in expected[:2]]


@pytest.mark.parametrize("form", ["packed_sorted", "packed_unsorted", "packed_equal"])
@pytest.mark.parametrize("name", LAYERS)
def test_packed_results_keep_their_order(name, form):
    ours, theirs = twins(LAYERS[name], D, H, dtype=torch.float64)
    inputs, _ = FORMS[form]()
    got, expected = ours(inputs)[0], theirs(inputs)[0]
    assert type(got) is PackedSequence
    for ours_field, theirs_field in zip(got[1:], expected[1:], strict=True):
        assert (ours_field is None and theirs_field is None) or torch.equal(ours_field, theirs_field)


@pytest.fixture(scope="module")
def module_db():
    """Torch's own inputs for its modules. `expecttest`, which only torch's own test cases need, may be missing."""
    profile = hypothesis.settings.get_current_profile_name()
    missing = types.ModuleType("expecttest")
    missing.TestCase = unittest.TestCase
    with pytest.MonkeyPatch.context() as patch:
        if "expecttest" not in sys.modules:
            patch.setitem(sys.modules, "expecttest", missing)
        from torch.testing._internal.common_modules import module_db
    hypothesis.settings.load_profile(profile)  # the import has set torch's
    return {info.module_cls: info for info in module_db}


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("ours_class, count", [(RNN, 32), (LSTM, 32), (GRU, 16)])
def test_inputs_of_torch_itself(module_db, ours_class, count, training, dtype, tolerance):
    torch.manual_seed(1)
    info = module_db[TORCH_OF[ours_class]]
    options = {"device": "cpu", "dtype": dtype, "requires_grad": True, "training": training}
    module_inputs = list(info.module_inputs_func(info, **options))
    assert len(module_inputs) >= count
    for module_input in module_inputs:
        made, given = module_input.constructor_input, module_input.forward_input
        ours = ours_class(*made.args, **made.kwargs).to(dtype).train(training)
        theirs = info.module_cls(*made.args, **made.kwargs).to(dtype).train(training)
        theirs.load_state_dict(ours.state_dict())
        leaves = [leaf for arg in given.args for leaf in (arg if isinstance(arg, tuple) else (arg,))]
        leaves = [leaf.data if isinstance(leaf, PackedSequence) else leaf for leaf in leaves]
        expected = run_with_gradients(theirs, leaves, *given.args, **given.kwargs)
        with run_by_our_kernels("lstm_proj" if ours.proj_size else "any other"):
            got = run_with_gradients(ours, leaves, *given.args, **given.kwargs)
        for ours_one, theirs_one in zip(got, expected, strict=True):
            scale = max(1.0, theirs_one.abs().max().item())  # a gradient is a sum of many terms, rounded as one
            torch.testing.assert_close(ours_one, theirs_one, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("form", ["time_first", "packed_unsorted", "packed_equal"])
@pytest.mark.parametrize("name", LAYERS)
def test_dropout_draws_what_torch_draws(name, form):
    ours, theirs = twins(LAYERS[name], D, H, num_layers=3, bidirectional=True, dropout=0.4, dtype=torch.float64)
    inputs, leaf = FORMS[form]()
    results = []
    for layer in (ours, theirs):
        torch.manual_seed(7)
        results.append(run_with_gradients(layer, [leaf], inputs))
    assert_close(*results)
    undropped = tensors_of(ours.eval()(inputs))
    assert_close(undropped, tensors_of(theirs.eval()(inputs)))
    assert not torch.allclose(results[0][0], undropped[0])


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_packed_row_is_what_it_is_alone(name, bidirectional):
    layer = LAYERS[name](D, H, num_layers=2, bidirectional=bidirectional, dtype=torch.float64)
    sequences = [draw(length, D) for length in (2, 5, 1)]
    outputs, final = layer(pack_sequence(sequences, enforce_sorted=False))
    for b, sequence in enumerate(sequences):
        alone, final_alone = layer(sequence)
        row = unpack_sequence(outputs)[b]
        assert_close(row, alone)
        assert_close([s[:, b] for s in leaves_of(final)], leaves_of(final_alone))
        (alone_grad,) = torch.autograd.grad(alone.sum(), sequence)
        (grad,) = torch.autograd.grad(row.sum(), sequence, retain_graph=True)
        assert_close(grad, alone_grad)


@pytest.mark.parametrize("form", ["time_first", "packed_unsorted"])
@pytest.mark.parametrize("name", LAYERS)
def test_nan_stays_in_its_row(name, form):
    layer = LAYERS[name](D, H, num_layers=2, bidirectional=True, dtype=torch.float64)
    sick, healthy = 0, [1, 2]
    outputs, grads = [], []
    for value in (0.5, float("nan")):
        sequence = torch.linspace(-1, 1, T * B * D, dtype=torch.float64).view(T, B, D).clone()
        sequence[1, sick, 0] = value
        sequence.requires_grad_()
        packs = form == "packed_unsorted"
        inputs = pack_padded_sequence(sequence, torch.tensor([4, 5, 2]), enforce_sorted=False) if packs else sequence
        output = layer(inputs)[0]
        output = pad_packed_sequence(output)[0] if packs else output
        output.sum().backward()
        assert output[:, sick].isnan().any() == (value != value)
        outputs.append(output[:, healthy])
        grads.append(sequence.grad[:, healthy])
    assert torch.equal(*outputs)
    assert torch.equal(*grads)


@pytest.mark.parametrize("name", LAYERS)
def test_states_that_go_on(name):
    ours, theirs = twins(LAYERS[name], D, H, num_layers=2, dtype=torch.float64)
    inputs, _ = padded(T, B, D)
    whole = run_with_gradients(theirs, [inputs], inputs)[0]
    hx, outputs = None, []
    for part in inputs.split(2):
        output, hx = ours(part, hx)
        outputs.append(output)
    assert_close(torch.cat(outputs), whole)


@pytest.mark.parametrize("name", LAYERS)
def test_two_threads_give_what_one_gives(name):
    layers = [LAYERS[name](D, 16, num_layers=2, dtype=torch.float64) for _ in range(2)]
    sequences = [draw(20, 8, D) for _ in layers]
    expected = [run_with_gradients(layer, [x], x) for layer, x in zip(layers, sequences, strict=True)]
    results: list[list[list[Tensor]]] = [[], []]

    def work(k: int) -> None:
        for _ in range(5):
            results[k].append(run_with_gradients(layers[k], [sequences[k]], sequences[k]))

    threads = [Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(2):
        assert len(results[k]) == 5
        for result in results[k]:
            assert_close(result, expected[k])


@pytest.mark.parametrize("name", ["tanh", "relu", "gru"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_outputs_may_be_overwritten(name, batch_first):
    """As torch allows it, but for an LSTM."""
    ours, theirs = twins(LAYERS[name], D, H, batch_first=batch_first, dtype=torch.float64)
    inputs = draw(B, T, D)
    results = []
    for layer in (ours, theirs):
        outputs, h = layer(inputs)
        outputs.mul_(3)
        h.add_(outputs.sum())
        results.append(gradients(outputs, (h,), [inputs, *layer.parameters()]))
    assert_close(*results)


def test_overwriting_the_outputs_of_an_lstm_is_refused():
    layer = LSTM(D, H)
    outputs, _ = layer(torch.randn(T, B, D))
    with pytest.raises(RuntimeError, match="inplace"):
        outputs.mul_(3).sum().backward()


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_flow_only_where_they_are_wanted(name):
    layer = LAYERS[name](D, H)
    inputs = torch.randn(T, B, D)
    assert all(tensor.requires_grad for tensor in tensors_of(layer(inputs)))
    for guard in (torch.no_grad(), torch.inference_mode()):
        with guard:
            assert not any(tensor.requires_grad for tensor in tensors_of(layer(inputs)))
    layer.requires_grad_(False)
    assert not any(tensor.requires_grad for tensor in tensors_of(layer(inputs)))
    layer.weight_hh_l0.requires_grad_()
    layer(inputs)[0].sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is not None] == ["weight_hh_l0"]


@pytest.mark.skipif("compiled" not in backends(), reason="the compiled kernel was not built")
@pytest.mark.parametrize("name", OUR_KERNELS_RUN)
def test_second_derivatives(name):
    torch.manual_seed(0)
    layer = LAYERS[name](2, 2, dtype=torch.float64)
    names = [parameter for parameter, _ in layer.named_parameters()]

    def function(inputs: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(names, parameters, strict=True))
        return tuple(tensors_of(torch.func.functional_call(layer, named, (inputs,))))

    with run_by_our_kernels(name):
        assert torch.autograd.gradgradcheck(function, (draw(3, 2, 2), *layer.parameters()))


@pytest.mark.parametrize("name", OUR_KERNELS_RUN)
def test_without_the_compiled_kernel_second_derivatives_are_refused_in_words(name, monkeypatch):
    monkeypatch.setattr(kernels.compiled, "available", lambda: False)
    layer = LAYERS[name](D, H, dtype=torch.float64)
    inputs = draw(T, B, D)
    (grad,) = torch.autograd.grad(layer(inputs)[0].sum(), inputs)
    assert grad.abs().sum() > 0
    with pytest.raises(RuntimeError, match="second derivative"):
        torch.autograd.grad(layer(inputs)[0].sum(), inputs, create_graph=True)

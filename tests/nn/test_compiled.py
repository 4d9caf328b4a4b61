"""What the compiled kernel alone must hold, beyond what every kernel does (`test_kernels.py`)."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradgradcheck
from twins import assert_close, randomize

from seqmodels.nn import (
    ElmanCell,
    GatedCell,
    GRUCell,
    LayerNormLSTMCell,
    LSTMCell,
    PeepholeLSTMCell,
    Recurrent,
    Stacking,
    ZoneoutCell,
    backends,
)
from seqmodels.nn.cells import Weights
from seqmodels.nn.kernels import compiled, reference
from seqmodels.nn.kernels.compiled import library
from seqmodels.nn.programs.graph import ARITY

pytestmark = pytest.mark.skipif(not compiled.available(), reason="the library was not built")

LAYERED = (LSTMCell, GRUCell, ElmanCell, LayerNormLSTMCell, PeepholeLSTMCell)
EXTREMES = (0.0, -0.0, 1e-40, -1e-40, 1e-20, -1e-20, 0.5, -0.5, 1.0, -1.0, 20.0, -20.0, 88.6, -88.6, 1e4, -1e4, 1e30)
EXTREMES = (*EXTREMES, -1e30, float("inf"), -float("inf"), float("nan"))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class OperationCell(GatedCell):
    """Applies one operation to what `project` passes through, so that any number gets there as it is."""

    def __init__(self, operation, count, hidden_size):
        super().__init__(count * hidden_size, hidden_size, bias=False)
        self.operation, self.count = operation, count

    def project(self, inputs):
        return inputs.clone()

    def update(self, projected, recurrent, state):
        y = self.operation(*projected.chunk(self.count, -1))
        return y, (state[0] + recurrent,)


OPERATIONS = {
    **{name: getattr(torch, name) for name in ("neg", "abs", "sign", "floor", "sqrt", "rsqrt", "reciprocal", "exp")},
    **{name: getattr(torch, name) for name in ("expm1", "log", "log1p", "sigmoid", "tanh", "relu")},
    "detach": lambda x: x.detach() + 0 * x,
    "sum": lambda x: x.sum(-1, keepdim=True) + 0 * x,
    **{name: getattr(torch, name) for name in ("add", "sub", "mul", "div", "maximum", "minimum", "remainder")},
    "gt": lambda a, b: (a > b).to(a.dtype),
    "ge": lambda a, b: (a >= b).to(a.dtype),
    "lt": lambda a, b: (a < b).to(a.dtype),
    "le": lambda a, b: (a <= b).to(a.dtype),
    "eq": lambda a, b: (a == b).to(a.dtype),
    "ne": lambda a, b: (a != b).to(a.dtype),
    "where": lambda c, a, b: torch.where(c > 0, a, b),
    "fma": lambda a, b, c: a * b + c,
}
LOOSE = {"remainder"}  # of 1e30 by 1e-20 nothing is left but rounding


def test_every_operation_is_tested():
    assert set(OPERATIONS) | {"sigmoid_grad", "tanh_grad", "relu_grad"} == set(ARITY)


def operands(count, dtype):
    """All pairs of extremes, (rows, count * 21), and then ordinary numbers."""
    extremes = torch.tensor(EXTREMES, dtype=dtype)
    across, down = extremes.expand(len(extremes), -1), extremes[:, None].expand(-1, len(extremes))
    columns = [across, down, across.flip(1)]
    generator = torch.Generator().manual_seed(0)
    ordinary = torch.randn(8, count * len(extremes), generator=generator, dtype=dtype)
    return torch.cat([torch.cat(columns[:count], -1), ordinary])


def run_operation(kernel, name, inputs):
    torch.manual_seed(0)
    cell = OperationCell(OPERATIONS[name], ARITY[name], len(EXTREMES)).to(inputs.dtype)
    inputs = torch.stack([inputs, inputs]).requires_grad_()
    outputs, _ = kernel.run(cell, inputs, (torch.zeros(inputs.shape[1], len(EXTREMES), dtype=inputs.dtype),))
    if not outputs.requires_grad:
        return outputs, torch.zeros_like(inputs)
    return outputs, torch.autograd.grad(outputs, inputs, 1 + torch.arange(outputs.numel()).view(outputs.shape) % 3)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_torchs_everywhere(name, dtype):
    inputs = operands(ARITY[name], dtype)
    if name in LOOSE:
        inputs = inputs[-8:]
    if name == "sign":  # of nothing: torch gives 0, we give nothing
        inputs = inputs.nan_to_num(1.0, float("inf"), -float("inf"))
    relative, absolute, tiny = (2e-6, 1e-6, 1e-37) if dtype is torch.float32 else (4e-15, 2e-15, 1e-300)
    ours, theirs = (run_operation(kernel, name, inputs) for kernel in (compiled, reference))
    sums = name in ("sum", "fma")  # rounded in another order
    torch.testing.assert_close(ours[0], theirs[0], rtol=relative, atol=absolute if sums else tiny, equal_nan=True)
    known = ~inputs.view(len(inputs), ARITY[name], -1).isnan().any(1, keepdim=True)  # of nothing there is no slope
    mine, wanted = (g[0].view(len(inputs), ARITY[name], -1) for g in (ours[1], theirs[1]))
    mine, wanted = torch.where(known, mine, 0), torch.where(known, wanted, 0)
    torch.testing.assert_close(mine, wanted, rtol=relative, atol=absolute, equal_nan=True)


@torch.no_grad()
def test_functions_keep_their_digits_in_single_precision():
    x = torch.tensor([1e-20, -1e-12, 1e-5, 3e-3, 0.02, -0.3, 4.0, 9.0, -16.0, -80.0])
    for function in (torch.tanh, torch.sigmoid, torch.exp, torch.expm1, lambda x: torch.log1p(x.abs())):
        cell = OperationCell(function, 1, len(x))
        outputs, _ = compiled.run(cell, x.expand(2, 1, -1), (torch.zeros(1, len(x)),))
        exact = function(x.double())
        assert float(((outputs[0, 0] - exact) / exact).abs().max()) < 5e-7


def layer_pair(cell, input_size, hidden_size, **options):
    layers = []
    for backend in ("compiled", "reference"):
        torch.manual_seed(0)
        layer = Recurrent(cell, input_size, hidden_size, backend=backend, **options).double()
        randomize(layer)
        layers.append(layer)
    return layers


def everything(layer, inputs, lengths=None, seed=0):
    """Outputs, final state and all gradients."""
    inputs = inputs.detach().requires_grad_()
    torch.manual_seed(seed)
    outputs, final = layer(inputs, None, lengths)
    total = sum((x * torch.arange(x.numel(), dtype=x.dtype).view(x.shape).sin()).sum() for x in (outputs, *final))
    return [outputs, *final, *torch.autograd.grad(total, [inputs, *layer.parameters()])]


@pytest.mark.parametrize("hidden_size", [1, 3, 17, 130])
@pytest.mark.parametrize("cell", LAYERED)
def test_odd_sizes_equal_the_reference(cell, hidden_size):
    layers = layer_pair(cell, 5, hidden_size)
    for B, T, lengths in ((1, 1, None), (1, 4, None), (13, 5, None), (7, 6, [6, 6, 0, 3, 3, 1, 5]), (3, 2, [0, 0, 1])):
        torch.manual_seed(B)
        inputs = torch.randn(B, T, 5, dtype=torch.float64)
        rows = None if lengths is None else torch.tensor(lengths)
        ours, theirs = (everything(layer, inputs, rows) for layer in layers)
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    cell=st.sampled_from(LAYERED),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 20), st.integers(1, 8), st.integers(1, 40)),
    data=st.data(),
)
def test_any_shape_equals_the_reference(cell, sizes, data):
    T, B, D, H = sizes
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B))
    layers = layer_pair(cell, D, H)
    recompute = data.draw(st.booleans())
    inputs = torch.randn(T, B, D, dtype=torch.float64)
    sizes = None if lengths is None else [sum(n > t for n in lengths) for t in range(max([*lengths, 1]))]
    sizes = sizes if sizes is None or sizes[0] else None
    inputs = inputs if sizes is None else inputs[: len(sizes)]
    results = []
    for kernel, layer in zip((compiled, reference), layers, strict=True):
        inner, x = layer.cells[0], inputs.clone().requires_grad_()
        state = tuple(
            torch.full((B, H), 0.1 * k, dtype=torch.float64, requires_grad=True) for k in range(inner.num_states)
        )
        outputs, final = kernel.run(inner, x, state, sizes, recompute=recompute and kernel is compiled)
        total = sum((y * torch.arange(y.numel(), dtype=y.dtype).view(y.shape).cos()).sum() for y in (outputs, *final))
        results.append([outputs, *final, *torch.autograd.grad(total, [x, *state, *inner.parameters()])])
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


TERMS = {
    "a": lambda a, b, h: a, "b": lambda a, b, h: b, "h": lambda a, b, h: h, "one": lambda a, b, h: torch.ones_like(h),
}  # fmt: skip
JOINS = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "max": torch.maximum,
    "div": lambda x, y: x / (1 + y * y), "where": lambda x, y: torch.where(x > y, x * y, y),
    "mean": lambda x, y: x - y.mean(-1, keepdim=True), "gate": lambda x, y: x.sigmoid() * y.tanh(),
    "norm": lambda x, y: y * (1 + x.mul(x).sum(-1, keepdim=True)).rsqrt(),
}  # fmt: skip
expressions = st.recursive(
    st.sampled_from(sorted(TERMS)),
    lambda inner: st.tuples(st.sampled_from(sorted(JOINS)), inner, inner),
    max_leaves=8,
)


class ExpressionCell(GatedCell):
    """Any output and two states, of both gates and both states."""

    num_gates = 2
    num_states = 2

    def __init__(self, input_size, hidden_size, formulas):
        super().__init__(input_size, hidden_size)
        self.formulas = formulas
        self.scale = nn.Parameter(torch.randn(hidden_size))
        self.shift = nn.Parameter(torch.randn(()))

    def update(self, projected, recurrent, state):
        (a, b), (h, c) = (projected + recurrent).chunk(2, -1), state
        c = self.scale * c + self.shift

        def value(formula, old):
            if isinstance(formula, str):
                return TERMS[formula](a, b, old)
            join, left, right = formula
            return JOINS[join](value(left, old), value(right, h))

        output, new_h, new_c = (value(f, old).tanh() for f, old in zip(self.formulas, (h, c, c), strict=True))
        return output, (new_h, new_c)


@settings(max_examples=60, deadline=None)
@given(formulas=st.tuples(expressions, expressions, expressions), hidden_size=st.sampled_from([1, 3, 9]))
def test_any_arithmetic_equals_the_reference(formulas, hidden_size):
    layers = layer_pair(lambda i, h: ExpressionCell(i, h, formulas), 2, hidden_size)
    inputs = torch.randn(4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    results = []
    for kernel, layer in zip((compiled, reference), layers, strict=True):
        inner, x = layer.cells[0], inputs.clone().requires_grad_()
        assert compiled.misfit(inner, x) is None
        state = tuple(torch.full((3, hidden_size), 0.3, dtype=torch.float64, requires_grad=True) for _ in range(2))
        outputs, final = kernel.run(inner, x, state)
        total = 0 * x.sum() + sum(
            (y * torch.arange(y.numel(), dtype=y.dtype).view(y.shape).cos()).sum() for y in (outputs, *final)
        )
        wanted = [x, *state, *inner.parameters()]
        found = torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)
        results.append([outputs, *final, *found])
    torch.testing.assert_close(*results, rtol=1e-8, atol=1e-9)


def test_tensors_of_any_layout():
    torch.manual_seed(0)
    cell = PeepholeLSTMCell(3, 5).double()
    randomize(cell)
    scattered = {
        "inputs": torch.randn(3, 7, 4, dtype=torch.float64).permute(2, 1, 0),
        "h": torch.randn(5, 7, dtype=torch.float64).t(),
        "c": torch.randn(7, 10, dtype=torch.float64)[:, ::2],
        "weight_ih": torch.randn(3, 20, dtype=torch.float64).t(),
        "weight_hh": torch.randn(20, 10, dtype=torch.float64)[:, ::2],
        "bias_ih": torch.randn(20, 1, dtype=torch.float64).expand(20, 2)[:, 0],
        "bias_hh": torch.randn(40, dtype=torch.float64)[::2],
    }
    results = []
    for change in (lambda t: t, torch.Tensor.contiguous):
        named = {name: change(tensor.detach()).requires_grad_() for name, tensor in scattered.items()}
        assert change is not torch.Tensor.contiguous or named["c"].is_contiguous()
        inputs, h, c, *weights = named.values()
        outputs, final = compiled.run(
            cell, inputs, (h, c), None, Weights(weights[0], weights[1], weights[2], weights[3])
        )
        total = outputs.square().sum() + sum(s.sin().sum() for s in final)
        results.append([outputs, *final, *torch.autograd.grad(total, list(named.values()))])
    assert_close(*results)


def test_one_tensor_in_several_places():
    """A gradient goes to each place once, in the first derivative and in the second."""
    torch.manual_seed(0)
    cell = ElmanCell(4, 4).double()
    results = []
    for kernel in (compiled, reference):
        weight = (torch.eye(4, dtype=torch.float64) / 2).requires_grad_()
        source = torch.linspace(-1, 1, 8, dtype=torch.float64).view(2, 4).requires_grad_()
        bias = source[0] / 3
        inputs = torch.stack([source, source * 2, source.sin()])
        outputs, (h,) = kernel.run(cell, inputs, (source,), None, Weights(weight, weight, bias, bias))
        first = torch.autograd.grad((outputs.square() + h).sum(), [source, weight], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [source, weight])
        results.append([outputs, *first, *second])
    assert_close(*results)


@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, ElmanCell, LayerNormLSTMCell])
def test_second_derivatives(cell):
    torch.manual_seed(0)
    inner = cell(2, 2).double()
    randomize(inner)
    state = tuple(torch.randn(2, 2, dtype=torch.float64, requires_grad=True) for _ in range(inner.num_states))
    inputs = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)

    def function(inputs, *rest):
        names = [name for name, _ in inner.named_parameters()]
        given = dict(zip(names, rest[inner.num_states :], strict=True))
        weights = Weights(*(given.get(name) for name in Weights._fields))
        outputs, final = compiled.run(inner, inputs, rest[: inner.num_states], [2, 2, 1], weights)
        return outputs, *final

    assert gradgradcheck(function, (inputs, *state, *inner.parameters()))


@pytest.mark.parametrize("lengths", [None, "ragged"])
def test_any_number_of_threads_gives_the_same(threads, lengths):
    torch.manual_seed(0)
    layer = Recurrent(LSTMCell, 8, 33, backend="compiled").double()
    inputs = torch.randn(19, 23, 8, dtype=torch.float64)
    rows = None if lengths is None else torch.randint(0, 24, (19,))
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        results.append(everything(layer, inputs, rows))
    for result in results[1:]:
        assert_close(result, results[0])


def test_two_threads_at_once():
    torch.manual_seed(0)
    layers = [Recurrent(cell, 6, 20, backend="compiled").double() for cell in (LSTMCell, GRUCell)]
    inputs = torch.randn(9, 12, 6, dtype=torch.float64)
    expected = [everything(layer, inputs) for layer in layers]
    found, errors = [[], []], []

    def work(k):
        try:
            for _ in range(15):
                found[k].append(everything(layers[k], inputs))
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors
    for k in range(2):
        assert len(found[k]) == 15
        for result in found[k]:
            for mine, wanted in zip(result[:3], expected[k][:3], strict=True):
                assert_close(mine, wanted)


@pytest.mark.parametrize("cell", [*LAYERED, lambda i, h: ZoneoutCell(i, h, LSTMCell)])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_nan_stays_in_its_row(threads, cell, ragged):
    threads(1)
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 5, backend="compiled").eval()
    inputs = torch.randn(11, 6, 3)
    inputs[4, 2, 1] = float("nan")
    lengths = torch.tensor([6, 5, 3, 6, 6, 2, 6, 1, 0, 6, 4]) if ragged else None
    clean = [row for row in range(11) if row != 4]
    x = inputs.clone().requires_grad_()
    outputs, final = layer(x, lengths=lengths)
    assert bool(outputs[4, 2:].isnan().all())
    (gradient,) = torch.autograd.grad(outputs.sum() + sum(s.sum() for s in final), x)
    y = inputs[clean].requires_grad_()
    apart, apart_final = layer(y, lengths=None if lengths is None else lengths[clean])
    (apart_gradient,) = torch.autograd.grad(apart.sum() + sum(s.sum() for s in apart_final), y)
    torch.testing.assert_close(outputs[clean], apart)
    torch.testing.assert_close([s[:, clean] for s in final], list(apart_final))
    torch.testing.assert_close(gradient[clean], apart_gradient)


@pytest.mark.parametrize("cell", LAYERED)
def test_padding_changes_nothing(cell):
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 5, backend="compiled").double()
    lengths = torch.tensor([4, 2, 0, 4, 1])
    inputs = torch.randn(5, 4, 3, dtype=torch.float64)
    padded = torch.cat([inputs, torch.full((5, 3, 3), float("nan"), dtype=torch.float64)], 1)
    short, long = everything(layer, inputs, lengths), everything(layer, padded, lengths)
    assert_close(long[0][:, :4], short[0])
    assert not long[0][:, 4:].any()
    states = layer.num_states
    assert_close(long[1 : 1 + states], short[1 : 1 + states])
    outputs, _ = layer(padded, lengths=lengths)
    weights = torch.ones(5, 4, 5, dtype=torch.float64)
    wanted = list(layer.parameters())
    ours = torch.autograd.grad((outputs[:, :4] * weights).sum(), wanted)
    theirs = torch.autograd.grad((layer(inputs, lengths=lengths)[0] * weights).sum(), wanted)
    assert_close(ours, theirs)


def saved_bytes(cell, inputs, recompute):
    """Counts what autograd keeps, apart from the arguments."""
    kept = {}
    state = tuple(torch.zeros(inputs.shape[1], cell.hidden_size) for _ in range(cell.num_states))
    mine = {t.untyped_storage().data_ptr() for t in (inputs, *cell.parameters(), *state)}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        compiled.run(cell, inputs, state, recompute=recompute)
    return sum(size for pointer, size in kept.items() if pointer not in mine)


def test_recomputing_keeps_the_states_alone():
    cell = LSTMCell(8, 32)
    inputs = torch.randn(60, 16, 8)
    assert compiled.misfit(cell, inputs) is None
    state_bytes = 2 * 61 * 16 * 32 * 4
    assert saved_bytes(cell, inputs, recompute=True) == state_bytes
    assert saved_bytes(cell, inputs, recompute=False) >= state_bytes + 60 * 16 * 4 * 32 * 4


@pytest.mark.parametrize("cell", LAYERED)
def test_recomputing_gives_the_same(cell):
    torch.manual_seed(0)
    inner = cell(3, 70).double()
    results = []
    for recompute in (False, True):
        torch.manual_seed(1)
        inputs = torch.randn(30, 40, 3, dtype=torch.float64, requires_grad=True)
        state = tuple(torch.randn(40, 70, dtype=torch.float64, requires_grad=True) for _ in range(inner.num_states))
        outputs, final = compiled.run(inner, inputs, state, None, None, recompute)
        total = outputs.sin().sum() + sum(s.sum() for s in final)
        results.append([outputs, *torch.autograd.grad(total, [inputs, *state, *inner.parameters()])])
    assert_close(*results)


@pytest.mark.parametrize("frozen", ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ci", "all"])
def test_frozen_parameters_get_no_gradient(frozen):
    ours, theirs = layer_pair(PeepholeLSTMCell, 3, 4)
    gradients = []
    for layer in (ours, theirs):
        named = dict(layer.cells[0].named_parameters())
        chosen = named.values() if frozen == "all" else [named.get(frozen, list(named.values())[-1])]
        for parameter in chosen:
            parameter.requires_grad_(False)
        inputs = torch.linspace(-1, 1, 30, dtype=torch.float64).view(2, 5, 3).requires_grad_()
        layer(inputs)[0].sum().backward()
        gradients.append([inputs.grad, *(p.grad for p in named.values() if p.requires_grad)])
        assert all(p.grad is None for p in chosen)
    assert_close(*gradients)


@pytest.mark.parametrize(("cell", "native"), [(LSTMCell, nn.LSTM), (GRUCell, nn.GRU), (ElmanCell, nn.RNN)])
def test_single_precision_is_as_good_as_torchs(cell, native):
    torch.manual_seed(0)
    B, T, D, H = 8, 60, 16, 48
    inner, twin = cell(D, H), native(D, H)
    with torch.no_grad():
        for name in Weights._fields:
            getattr(twin, f"{name}_l0").copy_(getattr(inner, name))
    inputs = torch.randn(T, B, D)

    def run(kernel, module, dtype):
        module = module.to(dtype)
        x = inputs.to(dtype).requires_grad_()
        state = tuple(torch.zeros(B, H, dtype=dtype) for _ in range(inner.num_states))
        outputs = module(x)[0] if kernel is None else kernel.run(module, x, state)[0]
        found = torch.autograd.grad(outputs.square().sum(), [x, *module.parameters()])
        return [y.detach().double() for y in (outputs, *found)]

    exact = run(reference, inner, torch.float64)

    def error(results):
        return max(float((r - e).norm() / e.norm()) for r, e in zip(results, exact, strict=True))

    assert error(run(compiled, inner, torch.float32)) < 2 * error(run(None, twin, torch.float32)) + 1e-7


def test_without_the_library_everything_still_works(monkeypatch):
    for module in (library, compiled):
        monkeypatch.setattr(module, "load", lambda: None)
    assert "compiled" not in backends()
    assert compiled.target() is None
    ours, theirs = Recurrent(LSTMCell, 3, 4).double(), Recurrent(LSTMCell, 3, 4, backend="reference").double()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    assert_close(everything(ours, inputs), everything(theirs, inputs))
    with pytest.raises(ValueError, match=r"backend: expected one of auto, .*got 'compiled'"):
        Recurrent(LSTMCell, 3, 4, backend="compiled")


class Turned(nn.Module):
    """Hands on columns that are no neighbours in memory."""

    def __init__(self, size):
        super().__init__()

    def forward(self, inputs):
        return inputs.permute(1, 2, 0).contiguous().permute(2, 0, 1)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_inputs_from_a_layer_that_turns_them(batch_size):
    layers = []
    for backend in ("compiled", "reference"):
        torch.manual_seed(0)
        layers.append(Recurrent(LSTMCell, 5, 8, 2, stacking=Stacking(between=Turned), backend=backend).double())
    inputs = torch.randn(batch_size, 7, 5, dtype=torch.float64)
    results = []
    for layer in layers:
        outputs, _ = layer(inputs)
        results.append([outputs, *torch.autograd.grad(outputs.square().sum(), list(layer.parameters()))])
    torch.testing.assert_close(*results)


def test_saved_tensors_may_come_back_laid_out_otherwise():
    torch.manual_seed(0)
    layer = Recurrent(LSTMCell, 5, 8, backend="compiled").double()
    inputs = torch.randn(3, 7, 5, dtype=torch.float64)
    plain = torch.autograd.grad(layer(inputs)[0].square().sum(), list(layer.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: t.transpose(0, -1).contiguous(), lambda t: t.transpose(0, -1)
    ):
        outputs, _ = layer(inputs)
    torch.testing.assert_close(torch.autograd.grad(outputs.square().sum(), list(layer.parameters())), plain)


def test_a_default_device_does_not_matter():
    layer = Recurrent(LSTMCell, 5, 8, backend="compiled")
    inputs = torch.randn(3, 13, 5)
    with torch.device("meta"):
        outputs, _ = layer(inputs)
    assert outputs.device.type == "cpu"


def test_an_infinite_gradient_stops_at_a_dead_unit():
    layer = Recurrent(lambda i, h: ElmanCell(i, h, "relu"), 3, 4, backend="compiled")
    inputs = torch.randn(5, 6, 3, requires_grad=True)
    outputs, _ = layer(inputs)
    outputs.backward(torch.where(outputs == 0, torch.inf, 0.0))
    assert not inputs.grad.isnan().any()

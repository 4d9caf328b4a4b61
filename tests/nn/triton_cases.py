"""What the Triton kernel must compute; `test_triton.py` runs this file, under Triton's interpreter or on a GPU."""

from functools import partial

import pytest
import torch
from cell_zoo import CELLS
from torch import nn
from torch.autograd import gradcheck

from seqmodels.nn import GatedCell, GRUCell, LSTMCell, Recurrent
from seqmodels.nn.kernels import fused, reference, select
from seqmodels.nn.kernels.fused.source import write_source
from seqmodels.nn.programs import read
from seqmodels.nn.programs.graph import ARITY

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")  # numpy on masked lanes

DEVICE = "cpu" if fused._interpreted() else "cuda"
RAGGED = [3, 2, 2, 1]


class PeepholeNormCell(GatedCell):
    """Parameters shared by rows in every place: over one block, over several, a single number, and a buffer."""

    num_gates = 3
    num_states = 2

    def __init__(self, input_size, hidden_size, bias=True):
        super().__init__(input_size, hidden_size, bias)
        self.peephole = nn.Parameter(torch.randn(2 * hidden_size))
        self.norm = nn.LayerNorm(3 * hidden_size)
        self.scale = nn.Parameter(torch.tensor([1.3]))
        self.register_buffer("rate", torch.rand(hidden_size))

    def update(self, projected, recurrent, state):
        h, c = state
        i, f, z = (projected + self.norm(recurrent)).chunk(3, -1)
        p, q = self.peephole.chunk(2)
        i, f = torch.sigmoid(i + p * c), torch.sigmoid(f + q * c)
        c = f * c + i * torch.tanh(self.scale * z)
        return c - h, ((1 - self.rate) * h + self.rate * torch.tanh(c), c)


class EveryOperationCell(GatedCell):
    """Every operation that a program may hold, forward or in its derivative."""

    num_gates = 2
    num_states = 2

    def update(self, projected, recurrent, state):
        h, c = state
        x, y = projected.chunk(2, -1)
        a, b = recurrent.chunk(2, -1)
        positive = 1 + torch.abs(x) + torch.exp(-torch.relu(a))
        roots = torch.sqrt(positive) + torch.rsqrt(positive) - torch.reciprocal(positive) / positive
        logarithms = torch.log(positive) + torch.log1p(positive) + torch.expm1(-positive)
        whole = torch.floor(3 * y) + torch.sign(b) + torch.remainder(x, positive) + torch.remainder(y, -0.7)
        bounded = torch.maximum(a, b) - torch.minimum(x, y.detach()) + (a - a.mean(-1, keepdim=True))
        chosen = torch.where((a > b) & (x <= y), a, b) + torch.where((x >= 0) | (y < 0), x, 0.1 * y)
        chosen = chosen + torch.where((torch.sign(h) == 1) & (torch.sign(c) != 1), h, c)
        h = torch.tanh(roots + 0.1 * logarithms + 0.1 * whole + bounded)
        c = torch.sigmoid(chosen) - 0.5 * c
        return h * c, (h, c)


def make(cell, input_size=2, hidden_size=3, dtype=torch.float64):
    torch.manual_seed(0)
    made = cell(input_size, hidden_size).to(DEVICE, dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def arguments(cell, time=4, batch_size=3, dtype=torch.float64):
    torch.manual_seed(1)
    inputs = torch.randn(time, batch_size, cell.input_size, dtype=dtype).to(DEVICE)
    state = [0.6 + torch.rand(batch_size, cell.hidden_size, dtype=dtype).to(DEVICE) for _ in range(cell.num_states)]
    return [tensor.requires_grad_() for tensor in (inputs, *state)]


def results(kernel, cell, given, batch_sizes=None, **options):
    """Outputs, final state, and the gradients of everything, each number of the results weighing differently."""
    torch.manual_seed(2)  # of what a cell draws
    inputs, *state = given
    outputs, final = kernel.run(cell, inputs, tuple(state), batch_sizes, **options)
    weights = [torch.sin(torch.arange(x.numel(), device=DEVICE)).view(x.shape).to(x.dtype) for x in (outputs, *final)]
    loss = sum((x * w).sum() for x, w in zip((outputs, *final), weights, strict=True))
    wanted = [*given, *cell.parameters()]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    grads = [torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)]
    return [tensor.detach() for tensor in (outputs, *final, *grads)]


def check(cell, given, batch_sizes=None, **options):
    assert fused.misfit(cell, given[1]) is None
    ours = results(fused, cell, given, batch_sizes, **options)
    torch.testing.assert_close(ours, results(reference, cell, given, batch_sizes), rtol=1e-10, atol=1e-10)


def fits(cell):
    return fused.misfit(cell(2, 3).to(DEVICE), torch.zeros(1, device=DEVICE)) is None


FITTING = [name for name, cell in CELLS.items() if fits(cell)]


@pytest.mark.parametrize("batch_sizes", [None, RAGGED], ids=["full", "ragged"])
@pytest.mark.parametrize("name", FITTING)
def test_every_cell_equals_the_reference(name, batch_sizes):
    cell = make(CELLS[name])
    check(cell, arguments(cell), batch_sizes)


def test_the_gated_cells_fit():
    assert {"LSTMCell", "GRUCell", "ElmanCell", "PeepholeLSTMCell", "LayerNormLSTMCell"} <= set(FITTING)


@pytest.mark.parametrize("hidden_size", [1, 3, 17, 130])
@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, PeepholeNormCell, EveryOperationCell])
def test_sizes(cell, hidden_size):
    cell = make(cell, 2, hidden_size)
    check(cell, arguments(cell, time=2, batch_size=9), [9, 7])
    check(cell, arguments(cell, time=1, batch_size=1))


def test_every_operation_is_among_them():
    cell = make(EveryOperationCell)
    operations = {node.op for node in read(cell, torch.float64).graph.nodes}
    assert set(ARITY) - operations == {"fma", "detach"}  # the compiled kernel's alone; done with once differentiated


@pytest.mark.parametrize("cell", [LSTMCell, PeepholeNormCell, partial(GRUCell, bias=False)])
@pytest.mark.parametrize("batch_sizes", [None, [3, 3, 2, 2, 1, 1, 1, 0, 0]], ids=["full", "ragged"])
def test_recomputation_equals_the_reference(cell, batch_sizes):
    cell = make(cell)
    check(cell, arguments(cell, time=9), batch_sizes, recompute=True)


class Loop(nn.Module):
    """The kernel as a module, so that its cell's parameters can be replaced."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, inputs, *state):
        outputs, final = fused.run(self.cell, inputs, state)
        return outputs, *final


@pytest.mark.parametrize("cell", [LSTMCell, PeepholeNormCell])
def test_recomputation_keeps_less(cell):
    cell, kept = make(cell, 2, 8), []

    def count(tensor):
        kept[-1] += tensor.numel()
        return tensor

    for recompute in (False, True):
        kept.append(0)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            inputs, *state = arguments(cell, 50, 4)
            fused.run(cell, inputs, tuple(state), recompute=recompute)
    assert kept[1] < 0.6 * kept[0]


def test_what_fills_up_a_tile_reaches_no_gradient():
    """Its rows are computed from zeros, and a number divided by zero is one that no zero gradient wipes out."""

    class DividingCell(GatedCell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.wide = nn.Parameter(torch.ones(hidden_size))
            self.single = nn.Parameter(torch.ones(1))

        def update(self, projected, recurrent, state):
            h = torch.tanh(recurrent + (self.wide + self.single) / projected)
            return h, (h,)

    cell = make(DividingCell)
    check(cell, arguments(cell), RAGGED)


@pytest.mark.parametrize("cell", [LSTMCell, PeepholeNormCell])
def test_gradcheck(cell):
    cell = make(cell, 2, 2)
    loop, given = Loop(cell), arguments(cell, 2, 2)
    names = [name for name, _ in loop.named_parameters()]

    def function(*tensors):
        parameters = dict(zip(names, tensors[len(given) :], strict=True))
        return torch.func.functional_call(loop, parameters, tensors[: len(given)])

    assert gradcheck(function, (*given, *cell.parameters()), fast_mode=True)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float16, 0.01), (torch.bfloat16, 0.06)])
@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, PeepholeNormCell])
def test_narrow_types_stay_near_float64(cell, dtype, tolerance):
    narrow = make(cell, 4, 5, dtype)
    given = arguments(narrow, dtype=dtype)
    ours = results(fused, narrow, given, RAGGED)
    assert {tensor.dtype for tensor in ours} == {dtype}
    wide = narrow.to(torch.float64)
    theirs = results(reference, wide, [g.detach().double().requires_grad_() for g in given], RAGGED)
    for mine, exact in zip(ours, theirs, strict=True):
        assert (mine - exact).norm() <= tolerance * exact.norm()


def test_gradients_are_carried_through_time_in_float32():
    """Rounded to bfloat16 at each step, 0.999 times the gradient would be the gradient."""

    class LeakyCell(GatedCell):
        def update(self, projected, recurrent, state):
            h = 0.999 * state[0] + torch.tanh(projected + recurrent)
            return h, (h,)

    cell = make(LeakyCell, 2, 3, torch.bfloat16)
    with torch.no_grad():
        cell.weight_hh.zero_()
    inputs, start = arguments(cell, 60, 1, torch.bfloat16)
    _, (h,) = fused.run(cell, inputs, (start,))
    (gradient,) = torch.autograd.grad(h.sum(), start)
    torch.testing.assert_close(gradient.double(), torch.full_like(gradient, 0.999**60).double(), rtol=0.004, atol=0)


@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, PeepholeNormCell])
@pytest.mark.parametrize("recompute", [False, True])
def test_autocast_makes_the_products_narrow_and_keeps_the_states(cell, recompute):
    cell = make(cell, 4, 5, torch.float32)
    given = arguments(cell, dtype=torch.float32)
    with torch.autocast(DEVICE, torch.bfloat16):
        ours = results(fused, cell, given, recompute=recompute)
    assert {tensor.dtype for tensor in ours} == {torch.float32}
    exact = results(reference, cell, given)
    for mine, full in zip(ours, exact, strict=True):
        assert 0 < (mine - full).norm() <= 0.06 * full.norm()


class FunctionCell(GatedCell):
    """One function of the inputs."""

    def __init__(self, input_size, hidden_size, function):
        super().__init__(input_size, hidden_size, bias=False)
        self.function = function
        with torch.no_grad():
            self.weight_ih.copy_(torch.eye(hidden_size))

    def update(self, projected, recurrent, state):
        y = self.function(projected + 0 * recurrent)
        return y, (y,)


EDGES = [0, 1e-30, 1e-8, 1e-4, 0.1, 0.29, 0.31, 0.49, 0.51, 0.9, 1, 5, 20, 80]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 2e-15)])
@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, torch.expm1, torch.log1p], ids=lambda f: f.__name__)
def test_functions_are_accurate_near_zero_and_far_from_it(function, dtype, tolerance):
    edges = torch.tensor(EDGES, dtype=dtype, device=DEVICE)
    x = torch.cat([edges, -edges[edges < 0.95] if function is torch.log1p else -edges])
    values = x[None, :, None].requires_grad_()
    cell = FunctionCell(1, 1, function).to(DEVICE, dtype)
    outputs, _ = fused.run(cell, values, (torch.zeros(len(x), 1, dtype=dtype, device=DEVICE),))
    torch.testing.assert_close(outputs.flatten(), function(x), rtol=tolerance, atol=0)
    (ours,) = torch.autograd.grad(outputs.sum(), values)
    (theirs,) = torch.autograd.grad(function(values).sum(), values)
    torch.testing.assert_close(ours, theirs, rtol=100 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("cell", [LSTMCell, PeepholeNormCell, EveryOperationCell])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_bad_number_stays_in_its_row(cell, poison):
    cell = make(cell)
    given = arguments(cell)
    clean = results(fused, cell, given)
    with torch.no_grad():
        given[0][1, 1] = poison
    outputs, *final = results(fused, cell, given)[: 1 + cell.num_states]
    others = [0, 2]
    assert torch.equal(outputs[:, others], clean[0][:, others])
    assert all(torch.equal(f[others], c[others]) for f, c in zip(final, clean[1:], strict=False))
    assert not outputs[1:, 1].isfinite().all()


def test_a_layer_with_everything_equals_the_reference():
    torch.manual_seed(0)
    layer = Recurrent(PeepholeNormCell, 3, 4, num_layers=2, bidirectional=True, backend="triton").to(DEVICE).double()
    inputs = torch.randn(4, 6, 3, dtype=torch.float64).to(DEVICE)
    lengths, reset = torch.tensor([6, 0, 2, 5], device=DEVICE), torch.zeros(4, 6, dtype=torch.bool, device=DEVICE)
    reset[0, 3] = True
    found = []
    for layer.backend in ("triton", "reference"):
        outputs, final = layer(inputs, lengths=lengths, reset=reset)
        grads = torch.autograd.grad(outputs.sum() + sum(s.sin().sum() for s in final), list(layer.parameters()))
        found.append([outputs, *final, *grads])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def test_scattered_inputs_and_no_gradients():
    cell = make(LSTMCell)
    inputs, *state = arguments(cell, 5)
    expected, _ = fused.run(cell, inputs, tuple(state))
    scattered = inputs.detach().permute(2, 1, 0).contiguous().permute(2, 1, 0)
    states = tuple(s.detach().t().contiguous().t() for s in state)
    with torch.no_grad():
        outputs, final = fused.run(cell, scattered, states)
    assert not outputs.requires_grad
    torch.testing.assert_close(outputs, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(final[0], outputs[-1])


def test_backward_runs_twice_and_has_no_second_derivative():
    cell = make(LSTMCell)
    inputs, *state = arguments(cell)
    outputs, _ = fused.run(cell, inputs, tuple(state))
    once, again = (torch.autograd.grad(outputs.sum(), inputs, retain_graph=True) for _ in range(2))
    assert torch.equal(*once, *again)
    with pytest.raises(RuntimeError, match="no second derivative; use backend='reference'"):
        torch.autograd.grad(outputs.sum(), inputs, create_graph=True)


def test_frozen_weights_get_no_gradient():
    cell = make(PeepholeNormCell).requires_grad_(False)
    inputs, *state = arguments(cell)
    fused.run(cell, inputs, tuple(state))[0].sum().backward()
    assert inputs.grad is not None
    assert all(p.grad is None for p in cell.parameters())


def test_what_fits_and_what_auto_takes():
    class OwnStepCell(GRUCell):
        def step(self, projected, state):
            return super().step(projected, state)

    class MixedRowsCell(GRUCell):
        def update(self, projected, recurrent, state):
            h, _ = super().update(projected, recurrent, state)
            return h.flip(0), (h,)

    like = torch.zeros(1, device=DEVICE)
    assert "has its own step" in fused.misfit(OwnStepCell(2, 3).to(DEVICE), like)
    assert "MixedRowsCell.update: " in fused.misfit(MixedRowsCell(2, 3).to(DEVICE), like)
    assert "not torch.int64 on" in fused.misfit(GRUCell(2, 3).to(DEVICE), like.long())
    cell, like = make(PeepholeNormCell, dtype=torch.bfloat16), like.bfloat16()
    assert (select("auto", cell, like) is fused) == (DEVICE == "cuda")
    assert select("triton", cell, like) is fused


def test_whole_rows_only_where_a_row_is_summed():
    assert not write_source(read(make(LSTMCell), torch.float64)).whole_rows
    assert write_source(read(make(PeepholeNormCell), torch.float64)).whole_rows

"""What a user's `update` may do: it is read and runs compiled, or it is not and runs as written. Never wrong."""

import random
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from twins import assert_close, random_state, randomize

from seqmodels.nn import GatedCell, GRUCell, LSTMCell, Recurrent
from seqmodels.nn.kernels import compiled

pytestmark = pytest.mark.skipif(not compiled.available(), reason="the compiled kernel was not built")

T, B, D, H = 5, 3, 2, 4


class OneGateCell(GatedCell):
    """One gate whose arithmetic a test chooses: `act` gets the sum of both products and the earlier state."""

    def __init__(self, input_size, hidden_size, act):
        super().__init__(input_size, hidden_size)
        self.act = act

    def update(self, projected, recurrent, state):
        h = self.act(projected + recurrent, state[0])
        return h, (h,)


def misfit(layer):
    return compiled.misfit(layer.cells[0], torch.zeros((), dtype=torch.float64))


def results(layer, inputs, state, lengths=None):
    outputs, final = layer(inputs, state, lengths)
    wanted = [inputs, *state, *(p for p in layer.parameters() if p.requires_grad)]
    loss_free = [torch.zeros_like(w) for w in wanted]
    if not outputs.requires_grad and not any(s.requires_grad for s in final):
        return [outputs, *final, *loss_free]
    total = sum((torch.sin(torch.arange(x.numel(), dtype=x.dtype)).view(x.shape) * x).sum() for x in (outputs, *final))
    return [outputs, *final, *torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)]


def both(make, hidden_size=H):
    """Layers of the same weights, "auto" and "reference"."""
    layers = []
    for backend in ("auto", "reference"):
        torch.manual_seed(0)
        layer = Recurrent(make, D, hidden_size, backend=backend).double()
        randomize(layer)
        layers.append(layer)
    return layers


def assert_equal(layers, lengths=(T, 2, 0), zeros=False):
    torch.manual_seed(1)
    layer = layers[0]
    inputs, state = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True), random_state(layer, B)
    if zeros:
        inputs, state = (
            inputs.detach().zero_().requires_grad_(),
            tuple(s.detach().zero_().requires_grad_() for s in state),
        )
    for rows in (None, torch.tensor(lengths)):
        ours, theirs = (results(layer, inputs, state, rows) for layer in layers)
        assert_close(ours, theirs)


FITTING = {
    "sigmoid": lambda x, h: x.sigmoid(),
    "relu6": lambda x, h: F.relu6(x + h),
    "hardtanh": lambda x, h: F.hardtanh(x) + h / 2,
    "elu": lambda x, h: F.elu(x, 0.7),
    "selu": lambda x, h: F.selu(x),
    "softplus": lambda x, h: F.softplus(x, 2.0, 3.0),
    "logsigmoid": lambda x, h: F.logsigmoid(x) / 4,
    "silu": lambda x, h: F.silu(x),
    "softsign": lambda x, h: F.softsign(x),
    "leaky_relu": lambda x, h: F.leaky_relu(x, 0.2) / 2,
    "clamp": lambda x, h: x.clamp(-0.5, 0.5) + x.clamp_min(-1) / 4 + x.clamp(max=1) / 4,
    "clamp_crossed": lambda x, h: x.clamp(0.5, -0.5) + x / 2,
    "pow": lambda x, h: x**2 / 8 - x**3 / 30 + (1 + x**4) ** -0.5 + (1 + x * x) ** 0.5 / 4 + (1 + x * x) ** -1,
    "exp": lambda x, h: torch.exp(-x * x) + torch.expm1(x.tanh()) + torch.log(1.5 + h.tanh()) + torch.log1p(x * x),
    "where": lambda x, h: torch.where(x > h, x.tanh(), 0.5 * h),
    "where_rows": lambda x, h: torch.where(x.mean(-1, keepdim=True) > 0, x.tanh(), h),
    "where_numbers": lambda x, h: torch.where(x > 0, 1.0, h) * x.tanh(),
    "logic": lambda x, h: torch.where((x > 0) & (h > 0) | ~(x <= h), x.tanh(), h * 0.3),
    "mask": lambda x, h: (x != h).to(x.dtype) * x.tanh() + (x == h).double(),
    "mask_sum": lambda x, h: (x > 0).double().mean(-1, keepdim=True) * x.tanh(),
    "maximum": lambda x, h: torch.maximum(x.tanh(), h) + torch.minimum(x, h).tanh(),
    "abs": lambda x, h: x.abs().rsqrt().tanh() + x.sign() * h.abs().sqrt() / 2,
    "reciprocal": lambda x, h: (2 + x.tanh()).reciprocal() - 1 / (2 + h.tanh()),
    "remainder": lambda x, h: torch.remainder(x, 1.3) / 2 + x.floor().tanh(),
    "lerp": lambda x, h: torch.lerp(h, x.tanh(), x.sigmoid()) + torch.lerp(h, x.tanh(), 0.3),
    "addcmul": lambda x, h: torch.addcmul(h / 3, x.tanh(), h, value=0.4) + torch.add(x.tanh(), h, alpha=-0.2),
    "rsub": lambda x, h: (1 - x.tanh()) * h + torch.sub(x, h, alpha=2).tanh(),
    "layer_norm": lambda x, h: F.layer_norm(x, x.shape[-1:]).tanh(),
    "variance": lambda x, h: (x - x.mean(-1, True)) / (x.var(-1, False, keepdim=True) + 0.1).sqrt() / 2,
    "row_sum": lambda x, h: x.tanh() / (1 + x.abs().sum(-1, keepdim=True)),
    "softmax": lambda x, h: x.exp() / x.exp().sum(-1, keepdim=True),
    "detach": lambda x, h: x.tanh().detach() * h + x.data.sigmoid() * x.tanh(),
    "likes": lambda x, h: torch.ones_like(x) / 3 + torch.zeros_like(h) + torch.full_like(x, 0.2) * x,
    "constant": lambda x, h: torch.ones_like(x),
    "unchanged": lambda x, h: h,
    "sum_alone": lambda x, h: x,
}


@pytest.mark.parametrize("hidden_size", [1, H])
@pytest.mark.parametrize("name", FITTING)
def test_arithmetic_within_a_row_is_read(name, hidden_size):
    layers = both(lambda i, h: OneGateCell(i, h, FITTING[name]), hidden_size)
    assert misfit(layers[0]) is None
    assert_equal(layers)


@pytest.mark.parametrize(
    "name", ["relu6", "hardtanh", "elu", "selu", "softplus", "logsigmoid", "silu", "leaky_relu", "clamp"]
)
def test_at_exactly_zero_the_slope_is_torchs(name):
    """Where a state begins."""
    layers = both(lambda i, h: OneGateCell(i, h, FITTING[name]))
    for layer in layers:
        nn.init.zeros_(layer.cells[0].bias_ih)
        nn.init.zeros_(layer.cells[0].bias_hh)
    assert misfit(layers[0]) is None
    assert_equal(layers, zeros=True)


@pytest.mark.parametrize("name", ["elu", "selu", "softplus", "logsigmoid", "silu"])
def test_nothing_overflows_far_from_zero(name):
    layers = both(lambda i, h: OneGateCell(i, h, lambda x, h: FITTING[name](1e3 * x, h) / 1e3))
    assert misfit(layers[0]) is None
    assert_equal(layers)
    assert all(
        bool(result.isfinite().all())
        for result in results(layers[0], torch.ones(B, T, D).double().requires_grad_(), random_state(layers[0], B))
    )


@torch.no_grad()
def without_gradient(x, h):
    return x.tanh()


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return 2 * g


NOT_FITTING = {
    "mixes_rows": lambda x, h: x - x.mean(0),
    "mean_of_all": lambda x, h: x - x.mean(),
    "flips_rows": lambda x, h: x.tanh().flip(0),
    "rolls_columns": lambda x, h: x.tanh().roll(1, 1),
    "sums_up_columns": lambda x, h: x.tanh().cumsum(-1),
    "matrix_product": lambda x, h: (x @ x.t() @ x).tanh(),
    "in_place": lambda x, h: x.clone().mul_(0.5).tanh(),
    "writes_columns": lambda x, h: torch.cat([x[:, 1:], x[:, :1]], -1).tanh(),
    "item": lambda x, h: x.tanh() * h.abs().max().item(),
    "branch_on_numbers": lambda x, h: x.tanh() if h.sum() > 0 else x.sigmoid(),
    "outside_tensor": lambda x, h: x.tanh() * torch.arange(x.shape[-1], dtype=x.dtype),
    "half": lambda x, h: x.half().tanh().double(),
    "single": lambda x, h: x.float().tanh().double(),
    "own_derivative": lambda x, h: Doubled.apply(x).tanh(),
    "by_number_of_rows": lambda x, h: x.tanh() / (1 + x.shape[0]),
    "one_row_is_special": lambda x, h: x.tanh() if x.shape[0] > 1 else x.sigmoid(),
    "counts_conditions": lambda x, h: ((x > 0) + (h > 0)) * x.tanh(),
    "softmax": lambda x, h: x.softmax(-1),
    "complex": lambda x, h: torch.view_as_real(torch.complex(x, h)).sum(-1).tanh(),
}


@pytest.mark.parametrize("name", NOT_FITTING)
def test_what_is_not_understood_runs_as_written(name):
    layers = both(lambda i, h: OneGateCell(i, h, NOT_FITTING[name]))
    assert misfit(layers[0]).startswith("OneGateCell.update: ")
    assert_equal(layers, lengths=(T, T, 2))


def test_no_grad_within():
    layers = both(lambda i, h: OneGateCell(i, h, lambda x, h: without_gradient(x, h) * h + x.sigmoid()))
    assert misfit(layers[0]) is None
    assert_equal(layers)


@pytest.mark.parametrize("draw", [torch.rand_like, lambda x: torch.rand(()).item(), lambda x: random.random()])
def test_random_numbers_are_not_frozen(draw):
    (layer, _) = both(lambda i, h: OneGateCell(i, h, lambda x, h: x.tanh() * draw(x)))
    assert misfit(layer) is not None
    inputs = torch.randn(B, T, D, dtype=torch.float64)
    before = torch.random.get_rng_state(), random.getstate()
    misfit(layer)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == random.getstate()
    assert not torch.equal(layer(inputs)[0], layer(inputs)[0])


class SharedCell(GatedCell):
    """Reads what all rows share, in every form there is."""

    num_gates = 2
    num_states = 2

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.rows = nn.ParameterList([torch.randn(hidden_size), torch.randn(2 * hidden_size)])
        self.single, self.scalar = nn.Parameter(torch.randn(1)), nn.Parameter(torch.randn(()))
        self.again = self.single
        self.unused = nn.Parameter(torch.randn(hidden_size))
        self.deep = nn.Sequential(nn.LayerNorm(hidden_size), nn.Tanh())
        self.register_buffer("steady", torch.rand(hidden_size))
        self.register_buffer("switch", torch.tensor(True))
        self.register_buffer("matrix", torch.rand(hidden_size, 3))

    def update(self, projected, recurrent, state):
        h, c = state
        a, b = (projected + self.rows[1] * recurrent).chunk(2, -1)
        c = self.steady * c + a.sigmoid() * self.deep(b) * self.rows[0]
        h = self.scalar * c.tanh() + self.again * h - self.single
        return h - 0.1 * self.rows[0], (h, c)


@pytest.mark.parametrize("hidden_size", [1, H])
def test_parameters_and_buffers(hidden_size):
    layers = both(SharedCell, hidden_size)
    layers[1].load_state_dict(layers[0].state_dict())
    assert misfit(layers[0]) is None
    assert_equal(layers)
    for layer in layers:
        layer.cells[0].rows[0].requires_grad_(False)
        layer.cells[0].single.requires_grad_(False)
        layer.cells[0].steady.mul_(0.5)
    assert_equal(layers)


class TiedCell(SharedCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.rows[1] = nn.Parameter(torch.randn(2 * hidden_size))
        self.bias_hh = self.bias_ih
        self.extra = self.rows[1]

    def update(self, projected, recurrent, state):
        return super().update(projected + self.extra, recurrent, state)


def test_one_parameter_under_two_names():
    layers = both(TiedCell)
    layers[1].load_state_dict(layers[0].state_dict())
    assert misfit(layers[0]) is None
    assert_equal(layers)


class FlaggedCell(GatedCell):
    """Looks at the number in a buffer, which may change."""

    def __init__(self, input_size, hidden_size, number=None):
        super().__init__(input_size, hidden_size)
        self.register_buffer("flag", torch.tensor(1) if number is None else number)

    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent)
        if self.flag:
            h = h * 2
        return h, (h,)


class WeightReadingCell(FlaggedCell):
    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent) * float(self.weight_hh.detach()[0, 0].abs())
        return h, (h,)


class MatrixCell(FlaggedCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size, torch.randn(hidden_size, hidden_size))

    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent + state[0] @ self.flag)
        return h, (h,)


class SingleBufferCell(FlaggedCell):
    """A buffer of another type than the cell."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.flag = torch.rand(hidden_size)

    def _apply(self, function, recurse=True):
        kept = self.flag
        super()._apply(function, recurse)
        self.flag = kept
        return self

    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent) * self.flag
        return h, (h,)


@pytest.mark.parametrize("cell", [FlaggedCell, WeightReadingCell, MatrixCell, SingleBufferCell])
def test_numbers_that_may_change_unseen_are_not_frozen(cell):
    layers = both(cell)
    layers[1].load_state_dict(layers[0].state_dict())
    assert "no row" in misfit(layers[0])
    assert_equal(layers)
    for layer in layers:
        layer.cells[0].flag.zero_()
    assert_equal(layers)


class CountingCell(GatedCell):
    """Sets what is its own."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.calls, self.seen = 0, None
        self.register_buffer("total", torch.zeros(()))

    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent) * (1 + self.calls)
        self.count(h)
        return h, (h,)

    def count(self, h):
        self.calls += 1


class RememberingCell(CountingCell):
    def count(self, h):
        self.seen = h.detach()


class BufferSettingCell(CountingCell):
    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent) * self.total
        self.total = self.total + 1
        return h, (h,)


@pytest.mark.parametrize("cell", [CountingCell, RememberingCell, BufferSettingCell])
def test_an_update_that_sets_something_runs_step_by_step(cell):
    layers = both(cell)
    assert "it sets" in misfit(layers[0])
    assert "it sets" in misfit(layers[0])
    for inner in (layers[0].cells[0], layers[1].cells[0]):
        assert inner.calls == 0
        assert inner.seen is None
    assert_equal(layers)
    ours, theirs = layers[0].cells[0], layers[1].cells[0]
    assert ours.calls == theirs.calls
    assert torch.equal(ours.total, theirs.total)
    if ours.seen is not None:
        assert_close(ours.seen, theirs.seen)


SCALE = 0.5
TABLE = {"scale": 0.5}


def scaled(x):
    return SCALE * x


class SettingsCell(GatedCell):
    """Depends on everything that may be set after it has been read once."""

    level = 0.5

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.factor, self.kind, self.norm = 0.5, "tanh", nn.LayerNorm(hidden_size)

    @property
    def offset(self):
        return TABLE["scale"]

    def update(self, projected, recurrent, state):
        h = getattr(torch, self.kind)(scaled(self.norm(projected + recurrent)))
        h = self.level * h * self.factor if self.training else self.changed(h)
        return h, (h,)

    def changed(self, h):
        return h - self.offset * self.factor


CHANGES = {
    "attribute": lambda cell, patch: setattr(cell, "factor", 0.9),
    "text": lambda cell, patch: setattr(cell, "kind", "sigmoid"),
    "training": lambda cell, patch: cell.eval(),
    "epsilon": lambda cell, patch: setattr(cell.norm, "eps", 1.0),
    "global": lambda cell, patch: patch.setitem(globals(), "SCALE", 0.9),
    "class": lambda cell, patch: patch.setattr(SettingsCell, "level", 0.9),
    "dictionary": lambda cell, patch: (cell.eval(), patch.setitem(TABLE, "scale", 0.9)),
    "method": lambda cell, patch: (cell.eval(), patch.setattr(SettingsCell, "changed", lambda self, h: 0.9 * h)),
    "update": lambda cell, patch: setattr(
        cell, "update", lambda projected, recurrent, state: (recurrent, (recurrent,))
    ),
    "bound": lambda cell, patch: setattr(cell, "changed", MethodType(lambda self, h: 0.9 * h, cell)),
    "forward": lambda cell, patch: setattr(cell.norm, "forward", lambda x: x),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_set_later_is_seen(change, monkeypatch):
    layers = both(SettingsCell)
    assert misfit(layers[0]) is None
    assert_equal(layers)
    torch.manual_seed(0)
    inputs = torch.randn(B, T, D, dtype=torch.float64)
    before = layers[0](inputs)[0]
    for layer in layers:
        CHANGES[change](layer.cells[0], monkeypatch)
    assert_equal(layers)
    same = torch.allclose(layers[0](inputs)[0], before)
    assert same == (change == "bound")  # which is called in evaluation alone


def test_enclosing_variables_are_seen():
    scale = 0.5

    class EnclosedCell(GatedCell):
        def update(self, projected, recurrent, state):
            h = torch.tanh(scale * (projected + recurrent))
            return h, (h,)

    layers = both(EnclosedCell)
    assert misfit(layers[0]) is None
    assert_equal(layers)
    scale = 0.9
    assert misfit(layers[0]) is None
    assert_equal(layers)


@pytest.mark.parametrize("value", [[1.0], {"a": torch.ones(1)}, torch.ones(()), object()])
def test_attributes_that_may_change_unseen_are_refused(value):
    layers = both(LSTMCell)
    layers[0].cells[0].note = value
    assert "note is a" in misfit(layers[0])
    assert_equal(layers)


class ReturnsCell(GatedCell):
    """Gives what a test chooses of h, c and a new value."""

    num_states = 2

    def __init__(self, input_size, hidden_size, choose):
        super().__init__(input_size, hidden_size)
        self.choose = choose
        self.start = nn.Parameter(torch.randn(hidden_size))

    def update(self, projected, recurrent, state):
        return self.choose(torch.tanh(projected + recurrent), *state, self.start)


RETURNS = {
    "other_order": lambda x, h, c, p: (x, (c, x + 0 * h)),
    "swapped": lambda x, h, c, p: (x, (c, h)),
    "input_out": lambda x, h, c, p: (h, (x, c)),
    "all_unchanged": lambda x, h, c, p: (c, (h, c)),
    "same_twice": lambda x, h, c, p: (x, (x, x)),
    "list": lambda x, h, c, p: [x, [x + c, h]],
    "constants": lambda x, h, c, p: (torch.ones_like(x), (x, torch.zeros_like(c))),
    "parameter": lambda x, h, c, p: (p.expand_as(x), (x * c, p + torch.zeros_like(x))),
    "crossed": lambda x, h, c, p: (x * h, (x + c, h * p)),
    "only_old": lambda x, h, c, p: (x, (h * c, h - c)),
}


@pytest.mark.parametrize("name", RETURNS)
def test_outputs_and_states_of_any_kind(name):
    layers = both(lambda i, h: ReturnsCell(i, h, RETURNS[name]))
    assert misfit(layers[0]) is None
    assert_equal(layers)


MISTAKES = {
    "narrow": lambda x, h, c, p: (x.mean(-1, keepdim=True), (x, c)),
    "shared": lambda x, h, c, p: (p, (x, c)),
    "missing": lambda x, h, c, p: (x, (x,)),
    "too_many": lambda x, h, c, p: (x, (x, c, h)),
    "wide": lambda x, h, c, p: (torch.cat([x, x], -1), (x, c)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_by_the_reference(name):
    layer, _ = both(lambda i, h: ReturnsCell(i, h, MISTAKES[name]))
    assert misfit(layer) is not None
    with pytest.raises(ValueError, match=r"ReturnsCell\.update: expected an output and 2 state tensors"):
        layer(torch.randn(B, T, D, dtype=torch.float64))


def test_errors_of_an_update_are_the_users_to_see():
    layer, _ = both(lambda i, h: OneGateCell(i, h, lambda x, h: x.nonsense))
    assert "AttributeError" in misfit(layer)
    with pytest.raises(AttributeError, match="nonsense"):
        layer(torch.randn(B, T, D, dtype=torch.float64))


class WiderCell(GRUCell):
    """Columns of its own from `project`: a gate for the whole step, and noise while training."""

    def project(self, inputs):
        projected = super().project(inputs)
        extra = torch.cat([inputs.sum(-1, keepdim=True).sigmoid()] * self.hidden_size, -1)
        return torch.cat([projected, extra], -1)

    def update(self, projected, recurrent, state):
        projected, gate = projected.split([3 * self.hidden_size, self.hidden_size], -1)
        h, _ = super().update(projected, recurrent, state)
        h = gate * h + (1 - gate) * state[0]
        return h, (h,)


class OddCell(WiderCell):
    """Columns that are no whole block."""

    def project(self, inputs):
        return torch.cat([super().project(inputs), inputs], -1)

    def update(self, projected, recurrent, state):
        return super().update(projected[:, : 4 * self.hidden_size], recurrent, state)


@pytest.mark.parametrize(("cell", "fits"), [(WiderCell, True), (OddCell, False)])
def test_columns_from_project(cell, fits):
    layers = both(cell, 5)
    assert (misfit(layers[0]) is None) == fits
    assert_equal(layers)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_the_first_reading_may_be_in_any_mode(mode):
    class FreshCell(SharedCell):
        pass

    layer, _ = both(FreshCell)
    with mode():
        assert misfit(layer) is None
    assert misfit(layer) is None


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_what_looks_through_operations_gets_plain_ones():
    layer, by_reference = both(LSTMCell)
    inputs = torch.randn(2, 3, layer.input_size, dtype=torch.float64)

    def run(layer):
        return lambda x: layer(x)[0].sum()

    for transform in (torch.func.grad, torch.func.hessian, lambda f: lambda x: torch.func.jvp(f, (x,), (x,))[1]):
        torch.testing.assert_close(transform(run(layer))(inputs), transform(run(by_reference))(inputs))
    exported = torch.export.export(layer, (inputs,)).module()
    torch.testing.assert_close(exported(inputs), layer(inputs))


def test_the_comparison_can_fail():
    layers = both(LSTMCell)
    with torch.no_grad():
        layers[0].cells[0].weight_hh[0, 0] += 1e-6
    with pytest.raises(AssertionError):
        assert_equal(layers)


class Config:
    scale = 1.0


class ConfiguredCell(GatedCell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.config, self.squash = Config, nn.Tanh()

    def update(self, projected, recurrent, state):
        h = Config.scale * self.config.scale * self.squash(projected + recurrent)
        return h, (h,)


def test_attributes_of_classes_are_seen(monkeypatch):
    layers = both(ConfiguredCell)
    assert_equal(layers)
    monkeypatch.setattr(Config, "scale", 0.5)
    assert misfit(layers[0]) is None
    assert_equal(layers)


def test_hooks_are_called():
    layers = both(ConfiguredCell)
    assert_equal(layers)
    for layer in layers:
        layer.cells[0].squash.register_forward_hook(lambda module, inputs, output: 2 * output)
    assert misfit(layers[0]).endswith("squash has hooks")
    assert_equal(layers)


class CrowdedCell(GatedCell):
    def update(self, projected, recurrent, state):
        h = torch.tanh(projected + recurrent)
        h = 2 * h if len(h) > 50 else h
        return h, (h,)


def test_an_update_that_counts_rows_is_refused():
    (layer, _) = both(CrowdedCell)
    assert misfit(layer).endswith("it depends on the number of rows")

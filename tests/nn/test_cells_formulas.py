"""Each cell of the literature against its equations, written one step and one row at a time in NumPy."""

import inspect
from functools import partial

import numpy as np
import pytest
from cell_zoo import CELLS, make, random_inputs

from seqmodels.nn import (
    ClockworkCell,
    CoupledLSTMCell,
    DeepTransitionCell,
    ElmanCell,
    FullPeepholeLSTMCell,
    GRUCell,
    IndRNNCell,
    IRNNCell,
    JordanCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LeakyCell,
    LSTMCell,
    MGUCell,
    MinGRUCell,
    MinLSTMCell,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    RecurrentDropoutCell,
    ResetBeforeGRUCell,
    SkipCell,
    SLSTMCell,
    WeightDropCell,
    WeightNormCell,
    ZoneoutCell,
)

D, H, T = 2, 4, 11


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def norm(v, weight, bias=0.0):
    return weight * (v - v.mean()) / np.sqrt(v.var() + 1e-5) + bias


def gates(p, x, h):
    """The sum of both products, cut in pieces of H."""
    return (p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]).reshape(-1, H)


def elman(p, xs, activation=np.tanh):
    h = np.zeros(H)
    for x in xs:
        h = activation(gates(p, x, h)[0])
        yield h


def lstm(p, xs):
    h = c = np.zeros(H)
    for x in xs:
        i, f, g, o = gates(p, x, h)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        yield h


def gru(p, xs):
    h = np.zeros(H)
    for x in xs:
        r_x, z_x, n_x = (p["weight_ih"] @ x + p["bias_ih"]).reshape(3, H)
        r_h, z_h, n_h = (p["weight_hh"] @ h + p["bias_hh"]).reshape(3, H)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        h = (1 - z) * np.tanh(n_x + r * n_h) + z * h
        yield h


def jordan(p, xs):
    s = np.zeros(H)
    for x in xs:
        h = np.tanh(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ s + p["bias_hh"])
        y = sigmoid(p["output.weight"] @ h + p["output.bias"])
        s = 0.25 * s + y
        yield y


def peephole(p, xs):
    h = c = np.zeros(H)
    p_i, p_f, p_o = p["peephole"].reshape(3, H)
    for x in xs:
        i, f, g, o = gates(p, x, h)
        new_c = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * np.tanh(g)
        h = sigmoid(o + p_o * new_c) * np.tanh(new_c)
        c = new_c
        yield h


def full_peephole(p, xs):
    h = c = np.zeros(H)
    w_i, w_f, w_o = p["weight_ch"].reshape(3, H, H)
    for x in xs:
        i, f, g, o = gates(p, x, h)
        new_c = sigmoid(f + w_f @ c) * c + sigmoid(i + w_i @ c) * np.tanh(g)
        h = sigmoid(o + w_o @ new_c) * np.tanh(new_c)
        c = new_c
        yield h


def coupled(p, xs):
    h = c = np.zeros(H)
    for x in xs:
        f, g, o = gates(p, x, h)
        c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        yield h


def layer_norm_lstm(p, xs):
    h = c = np.zeros(H)
    for x in xs:
        from_x = norm(p["weight_ih"] @ x, p["norm_ih.weight"], p["norm_ih.bias"])
        i, f, g, o = (from_x + norm(p["weight_hh"] @ h, p["norm_hh.weight"])).reshape(4, H)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(norm(c, p["norm_c.weight"], p["norm_c.bias"]))
        yield h


def layer_norm_gru(p, xs):
    h = np.zeros(H)
    for x in xs:
        from_x, from_h = p["weight_ih"] @ x, p["weight_hh"] @ h
        both = norm(from_x[: 2 * H], p["norm_ih.weight"], p["norm_ih.bias"]) + norm(
            from_h[: 2 * H], p["norm_hh.weight"]
        )
        r, z = sigmoid(both).reshape(2, H)
        n_x = norm(from_x[2 * H :], p["norm_in.weight"], p["norm_in.bias"])
        n = np.tanh(n_x + r * norm(from_h[2 * H :], p["norm_hn.weight"], p["norm_hn.bias"]))
        h = (1 - z) * n + z * h
        yield h


def projected_lstm(p, xs, expansion=3):
    h, c = np.zeros(H), np.zeros(expansion * H)
    for x in xs:
        i, f, g, o = gates(p, x, h).reshape(4, expansion * H)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = p["weight_hr"] @ (sigmoid(o) * np.tanh(c))
        yield h


def reset_before(p, xs):
    h = np.zeros(H)
    w_r, w_z, w_n = p["weight_hh"].reshape(3, H, H)
    b_r, b_z, b_n = p["bias_hh"].reshape(3, H)
    for x in xs:
        r, z, n = (p["weight_ih"] @ x + p["bias_ih"]).reshape(3, H)
        r, z = sigmoid(r + w_r @ h + b_r), sigmoid(z + w_z @ h + b_z)
        h = (1 - z) * np.tanh(n + w_n @ (r * h) + b_n) + z * h
        yield h


def mgu(p, xs):
    h = np.zeros(H)
    w_f, w_n = p["weight_hh"].reshape(2, H, H)
    b_f, b_n = p["bias_hh"].reshape(2, H)
    for x in xs:
        f, n = (p["weight_ih"] @ x + p["bias_ih"]).reshape(2, H)
        f = sigmoid(f + w_f @ h + b_f)
        h = (1 - f) * h + f * np.tanh(n + w_n @ (f * h) + b_n)
        yield h


def leaky(p, xs):
    h = np.zeros(H)
    a = sigmoid(p["leak_logit"]) if "leak_logit" in p else 0.3
    for x in xs:
        h = (1 - a) * h + a * np.tanh(gates(p, x, h)[0])
        yield h


def skip(p, xs, k=3):
    hs = [np.zeros(H)] * k  # the states before the first step
    for x in xs:
        hs.append(np.tanh(gates(p, x, hs[-1])[0] + p["weight_sh"] @ hs[-k]))
        yield hs[-1]


def clockwork(p, xs):
    h, period = np.zeros(H), [1, 2, 2, 6]
    for t, x in enumerate(xs):
        new_h = h.copy()
        for unit in range(H):
            if t % period[unit] == 0:
                seen = sum(p["weight_hh"][unit, j] * h[j] for j in range(H) if period[j] >= period[unit])
                new_h[unit] = np.tanh(p["weight_ih"][unit] @ x + p["bias_ih"][unit] + seen + p["bias_hh"][unit])
        h = new_h
        yield h


def indrnn(p, xs):
    h = np.zeros(H)
    for x in xs:
        h = relu(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] * h)
        yield h


def deep_transition(p, xs):
    h = np.zeros(H)
    for x in xs:
        for k in range(2):
            x = np.tanh(p[f"input.{k}.weight"] @ x + p[f"input.{k}.bias"])
        h = np.tanh(p["transition.0.weight"] @ h + p["transition.0.bias"] + p["entry.weight"] @ x)
        h = np.tanh(p["transition.1.weight"] @ h + p["transition.1.bias"])
        yield np.tanh(p["output.0.weight"] @ h + p["output.0.bias"])


def multiplicative(p, xs):
    h = c = np.zeros(H)
    for x in xs:
        m = (p["weight_im"] @ x) * (p["weight_mh"] @ h)
        i, f, g, o = gates(p, x, m)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        yield h


def min_gru(p, xs, g=lambda n: n):
    h = np.zeros(H)
    for x in xs:
        z, n = (p["weight_ih"] @ x + p["bias_ih"]).reshape(2, H)
        h = (1 - sigmoid(z)) * h + sigmoid(z) * g(n)
        yield h


def min_lstm(p, xs):
    h = np.zeros(H)
    for x in xs:
        f, i, n = (p["weight_ih"] @ x + p["bias_ih"]).reshape(3, H)
        f, i = sigmoid(f), sigmoid(i)
        h = f / (f + i) * h + i / (f + i) * n
        yield h


def slstm(p, xs, forget=sigmoid):
    """Without the stabiliser, which must change nothing."""
    h = c = n = np.zeros(H)
    for x in xs:
        i, f, g, o = gates(p, x, h)
        c = forget(f) * c + np.exp(i) * np.tanh(g)
        n = forget(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        yield h


def zoneout(p, xs):
    """In evaluation: the expectation."""
    p = {name.removeprefix("cell."): value for name, value in p.items()}
    h = c = np.zeros(H)
    for x in xs:
        i, f, g, o = gates(p, x, h)
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = 0.1 * h + 0.9 * sigmoid(o) * np.tanh(new_c)
        c = 0.4 * c + 0.6 * new_c
        yield h


def wrapped_lstm(p, xs):
    return lstm({name.removeprefix("cell."): value for name, value in p.items()}, xs)


def weight_norm(p, xs):
    v = p["cell.weight_hh"]
    rows = [gain * row / np.sqrt((row**2).sum()) for gain, row in zip(p["gain"], v, strict=True)]
    return wrapped_lstm({**p, "cell.weight_hh": np.stack(rows)}, xs)


def positive(n):
    return np.where(n >= 0, n + 0.5, sigmoid(n))


FORMULAS = {
    "elman": (ElmanCell, elman),
    "elman relu": (partial(ElmanCell, activation="relu"), partial(elman, activation=relu)),
    "elman sigmoid": (partial(ElmanCell, activation="sigmoid"), partial(elman, activation=sigmoid)),
    "elman linear": (partial(ElmanCell, activation="identity"), partial(elman, activation=lambda x: x)),
    "irnn": (IRNNCell, partial(elman, activation=relu)),
    "lstm": (LSTMCell, lstm),
    "gru": (GRUCell, gru),
    "jordan": (partial(JordanCell, output_activation="sigmoid", decay=0.25), jordan),
    "peephole": (PeepholeLSTMCell, peephole),
    "full peephole": (FullPeepholeLSTMCell, full_peephole),
    "coupled": (CoupledLSTMCell, coupled),
    "layer norm lstm": (LayerNormLSTMCell, layer_norm_lstm),
    "layer norm gru": (LayerNormGRUCell, layer_norm_gru),
    "projected": (partial(ProjectedLSTMCell, expansion=3), projected_lstm),
    "reset before": (ResetBeforeGRUCell, reset_before),
    "mgu": (MGUCell, mgu),
    "leaky": (partial(LeakyCell, leak=0.3), leaky),
    "leaky learned": (partial(LeakyCell, learned=True), leaky),
    "skip": (partial(SkipCell, skip=3), skip),
    "clockwork": (partial(ClockworkCell, periods=[1, 2, 2, 6]), clockwork),
    "indrnn": (IndRNNCell, indrnn),
    "deep transition": (partial(DeepTransitionCell, input_layers=2), deep_transition),
    "multiplicative": (MultiplicativeLSTMCell, multiplicative),
    "min gru": (MinGRUCell, min_gru),
    "min gru positive": (partial(MinGRUCell, positive=True), partial(min_gru, g=positive)),
    "min lstm": (MinLSTMCell, min_lstm),
    "slstm": (SLSTMCell, slstm),
    "slstm exp": (partial(SLSTMCell, forget_gate="exp"), partial(slstm, forget=np.exp)),
    "zoneout": (partial(ZoneoutCell, cell=LSTMCell, probability=[0.1, 0.4]), zoneout),
    "recurrent dropout": (partial(RecurrentDropoutCell, cell=LSTMCell), wrapped_lstm),
    "weight drop": (partial(WeightDropCell, cell=LSTMCell), wrapped_lstm),
    "weight norm": (partial(WeightNormCell, cell=LSTMCell), weight_norm),
}


def class_of(cell):
    return cell if inspect.isclass(cell) else cell.func


def test_every_cell_has_its_formula():
    assert {class_of(cell) for cell, _ in FORMULAS.values()} == {class_of(cell) for cell in CELLS.values()}


@pytest.mark.parametrize("name", FORMULAS)
def test_outputs_are_those_of_the_equations(name):
    cell, formula = FORMULAS[name]
    layer = make(cell, D, H).eval()
    inputs = random_inputs(2, T, D)
    outputs, _ = layer(inputs)
    parameters = {key: value.detach().numpy() for key, value in layer.cells[0].named_parameters()}
    for row, xs in enumerate(inputs.numpy()):
        np.testing.assert_allclose(outputs[row].detach().numpy(), list(formula(parameters, xs)), rtol=1e-10, atol=1e-10)

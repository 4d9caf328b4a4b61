"""Gates as they are found in any cell: their values, their names, what units keep."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seqmodels.analysis import read_gates, saturation, time_constants, watch, watchable
from seqmodels.nn import (
    Cell,
    ElmanCell,
    GatedCell,
    GRUCell,
    LSTMCell,
    MinGRUCell,
    NativeRecurrent,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    Recurrent,
    ResetBeforeGRUCell,
)


def recorded(cell, layers=1, bidirectional=False, time=9):
    torch.manual_seed(0)
    layer = Recurrent(cell, 3, 5, num_layers=layers, bidirectional=bidirectional).eval()
    inputs = torch.randn(2, time, 3)
    with watch(layer) as recording, torch.no_grad():
        layer(inputs)
    return recording.cells


def test_gates_of_an_lstm_are_the_sigmoids_of_its_equations():
    for record in recorded(LSTMCell, layers=2, bidirectional=True):
        gates = read_gates(record)
        h, _ = record.previous
        w = record.cell
        sums = F.linear(record.inputs, w.weight_ih, w.bias_ih) + F.linear(h, w.weight_hh, w.bias_hh)
        i, f, _, o = sums.chunk(4, -1)
        assert set(gates.values) == {"i", "f", "o"}
        for name, value in {"i": i, "f": f, "o": o}.items():
            torch.testing.assert_close(gates.values[name], torch.sigmoid(value))
        torch.testing.assert_close(gates.retention[1], torch.sigmoid(f))
        assert not gates.retention[0].any()


def test_retention_of_a_gru_is_z_and_of_an_elman_network_nothing():
    (record,) = recorded(GRUCell)
    gates = read_gates(record)
    assert set(gates.values) == {"r", "z"}
    torch.testing.assert_close(gates.retention[0], gates.values["z"])
    (record,) = recorded(ElmanCell)
    gates = read_gates(record)
    assert gates.values == {}
    assert not gates.retention[0].any()


def test_a_sigmoid_that_is_the_state_itself_is_no_gate():
    (record,) = recorded(lambda i, h: ElmanCell(i, h, activation="sigmoid"))
    assert read_gates(record).values == {}


def test_torchs_own_layers_have_the_gates_of_ours():
    torch.manual_seed(0)
    native = NativeRecurrent(nn.GRU, 3, 5).eval()
    ours = watchable(native)
    inputs = torch.randn(2, 6, 3)
    with watch(ours) as recording, torch.no_grad():
        outputs, _ = ours(inputs)
    values = read_gates(recording.cells[0]).values
    w, h = native.layers, torch.cat([torch.zeros(2, 1, 5), outputs[:, :-1]], 1)
    gates = F.linear(inputs, w.weight_ih_l0, w.bias_ih_l0) + F.linear(h, w.weight_hh_l0, w.bias_hh_l0)
    r, z, _ = gates.chunk(3, -1)
    torch.testing.assert_close(values["r"].transpose(0, 1), torch.sigmoid(r))
    torch.testing.assert_close(values["z"].transpose(0, 1), torch.sigmoid(z))


class WideCell(Cell):
    """A user's cell by the wide contract, with a network, an `nn.Sigmoid` and two gates in one call."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gates = nn.Linear(input_size + hidden_size, 2 * hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)
        self.squash = nn.Sigmoid()

    def step(self, projected, state):
        (h,) = state
        both = torch.cat([projected, h], -1)
        keep, write = self.squash(self.gates(both)).chunk(2, -1)
        h = keep * h + write * torch.tanh(self.candidate(both))
        return torch.tanh(h), (h,)


class TwiceCell(GatedCell):
    """Names a gate twice, and one not at all."""

    num_gates = 3

    def update(self, projected, recurrent, state):
        (h,) = state
        a, b, c = (projected + recurrent).chunk(3, -1)
        g = torch.sigmoid(a)
        h = h * g
        g = F.hardsigmoid(b)
        h = h + g * (0.5 * c).sigmoid()
        return h, (h,)


def test_gates_of_a_users_cell_of_either_contract():
    (record,) = recorded(WideCell)
    gates = read_gates(record)
    assert list(gates.values) == ["keep", "write"]
    torch.testing.assert_close(gates.retention[0], gates.values["keep"])
    both = torch.cat([record.inputs, record.previous[0]], -1)
    expected = torch.sigmoid(record.cell.gates(both)).chunk(2, -1)
    torch.testing.assert_close(gates.values["write"], expected[1].detach())
    (record,) = recorded(TwiceCell)
    gates = read_gates(record)
    assert list(gates.values) == ["g", "g 2", "gate 3"]
    torch.testing.assert_close(gates.retention[0], gates.values["g"])


def test_a_gate_without_source_has_a_number():
    names = {"GatedCell": GatedCell, "torch": torch}
    source = "class Typed(GatedCell):\n def update(self, x, y, s):\n  h = s[0] * torch.sigmoid(x + y)\n  return h, (h,)"
    exec(source, names)
    (record,) = recorded(names["Typed"])
    assert list(read_gates(record).values) == ["gate 1"]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (PeepholeLSTMCell, {"i", "f", "o"}),
        (ResetBeforeGRUCell, {"r", "z"}),
        (MinGRUCell, {"-z", "z"}),
        (ProjectedLSTMCell, {"i", "f", "o"}),
    ],
)
def test_names_come_from_the_source_of_a_cell(cell, names):
    (record,) = recorded(cell)
    assert set(read_gates(record).values) == names


def test_steps_cut_what_is_read():
    (record,) = recorded(LSTMCell)
    whole, cut = read_gates(record), read_gates(record, 4)
    for name, values in cut.values.items():
        torch.testing.assert_close(values, whole.values[name][:4])
    assert len(cut.retention[1]) == 4


def test_reading_leaves_no_gradient_behind():
    (record,) = recorded(WideCell)
    gates = read_gates(record)
    assert not any(values.requires_grad for values in (*gates.values.values(), *gates.retention))
    assert all(parameter.grad is None for parameter in record.cell.parameters())


def test_saturation_counts_each_unit_over_steps_and_rows():
    values = torch.tensor([[[0.05, 0.95]], [[0.05, 0.5]], [[0.5, 0.95]], [[0.11, 0.89]]])
    left, right = saturation(values)
    assert left.tolist() == [0.5, 0.0]
    assert right.tolist() == [0.0, 0.5]


def test_a_unit_is_down_to_1_over_e_after_its_time_constant():
    keeps = torch.tensor([0.5, 0.9, 0.99])
    constants = time_constants(keeps.expand(7, 2, 3))
    torch.testing.assert_close(keeps**constants, torch.full((3,), 1 / torch.e))

import inspect
from functools import partial

import pytest
import torch
from torch import nn

import seqmodels.nn
from seqmodels.analysis import Trajectory, follow, jacobian_spectra, watch
from seqmodels.nn import (
    Cell,
    CellWrapper,
    ClockworkCell,
    ElmanCell,
    GatedCell,
    LinearCell,
    LSTMCell,
    Recurrent,
    RecurrentDropoutCell,
    SLSTMCell,
)

CONTRACTS = (Cell, GatedCell, LinearCell, CellWrapper)
CELLS = {
    name: partial(thing, cell=LSTMCell) if issubclass(thing, CellWrapper) else thing
    for name, thing in vars(seqmodels.nn).items()
    if inspect.isclass(thing) and issubclass(thing, Cell) and thing not in CONTRACTS
}


class UserCell(Cell):
    """A free cell with a network in its transition, written as a user would."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.input = nn.Linear(input_size, hidden_size)
        self.transition = nn.Sequential(nn.Linear(hidden_size, 8), nn.Softplus(), nn.Linear(8, hidden_size))

    def project(self, inputs):
        return self.input(inputs)

    def step(self, projected, state):
        (h,) = state
        h = 0.9 * h + 0.1 * torch.tanh(projected + self.transition(h))
        return h, (h,)


CELLS["UserCell"] = UserCell


def made(name, seed=0):
    torch.manual_seed(seed)
    return CELLS[name](2, 3).double().eval()


def test_cells_were_found():
    assert len(CELLS) > 20


@pytest.mark.parametrize("name", CELLS)
def test_the_jacobian_of_every_cell_is_that_of_finite_differences(name):
    cell = made(name)
    here = follow(cell, torch.randn(6, 2, dtype=torch.float64)).positions(torch.tensor([4, 5]))
    with torch.no_grad():
        size, width = 1e-6, here.flat.shape[1]
        columns = []
        for number in range(width):
            push = size * torch.eye(width, dtype=torch.float64)[number]
            columns.append((here.at(here.flat + push).step() - here.at(here.flat - push).step()) / (2 * size))
    expected = torch.stack(columns, -1)
    torch.testing.assert_close(here.jacobians(), expected, rtol=1e-5, atol=1e-7)
    assert expected.abs().max() > 1e-3


def test_a_large_jacobian_is_the_same_in_parts(monkeypatch):
    here = follow(made("LSTMCell"), torch.randn(3, 2, dtype=torch.float64)).positions(torch.tensor([2]))
    whole = here.jacobians()
    monkeypatch.setattr("seqmodels.analysis.trajectories._CHUNK", 4)
    torch.testing.assert_close(here.jacobians(), whole)


@pytest.mark.parametrize(
    "cell, moving",
    [
        (LSTMCell, (0, 1)),
        (ClockworkCell, (0,)),  # the other counts steps
        (SLSTMCell, (0, 1, 2, 3)),  # the memory may not begin as anything, but is remembered all the same
        (partial(RecurrentDropoutCell, cell=LSTMCell), (0, 1)),  # the last is a copy that nothing reads
    ],
)
def test_what_is_smooth_of_a_state_makes_the_flat_vector(cell, moving):
    torch.manual_seed(0)
    assert follow(cell(2, 3).eval(), torch.randn(6, 2)).moving == moving


def test_the_trajectory_of_a_record_runs_as_the_cell_did():
    torch.manual_seed(0)
    model = nn.ModuleDict({"recurrent": Recurrent(LSTMCell, 2, 3, bidirectional=True)}).eval()
    inputs = torch.randn(2, 5, 2)
    with torch.no_grad(), watch(model) as recording:
        model["recurrent"](inputs)
    for record, read in zip(recording.cells, (inputs[1], inputs[1].flip(0)), strict=True):
        trajectory = Trajectory.of(record, row=1, steps=4)
        alone = follow(record.cell, read[:4])
        torch.testing.assert_close(trajectory.inputs, read[:4])
        for got, expected in zip(trajectory.previous, alone.previous, strict=True):
            torch.testing.assert_close(got, expected)


def test_singular_values_of_a_linear_step_are_those_of_its_matrix():
    torch.manual_seed(0)
    cell = ElmanCell(2, 5, activation="identity")
    nn.init.normal_(cell.weight_hh)
    spectra = jacobian_spectra(follow(cell, torch.randn(9, 2)), places=3)
    expected = torch.linalg.svdvals(cell.weight_hh.detach())
    torch.testing.assert_close(spectra.singular_values, expected.expand(3, 5))
    torch.testing.assert_close(spectra.largest, expected[0].expand(3))
    assert spectra.steps.tolist() == [0, 4, 8]


def test_saturated_units_squeeze_a_step():
    torch.manual_seed(0)
    cell = ElmanCell(1, 5)
    cell.weight_ih.data.fill_(1.0)
    inputs = torch.zeros(6, 1)
    inputs[3:] = 100.0
    spectra = jacobian_spectra(follow(cell, inputs), places=6)
    assert spectra.largest[:3].min() > 0.9
    assert spectra.mean[3:].max() < 0.01


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="inputs: expected at least one step"):
        Trajectory(LSTMCell(2, 3), torch.zeros(0, 2), (torch.zeros(0, 3), torch.zeros(0, 3)))

from functools import partial

import pytest
import torch

from seqmodels.analysis import recurrent_matrices
from seqmodels.nn import (
    ClockworkCell,
    ElmanCell,
    GRUCell,
    IndRNNCell,
    LSTMCell,
    MinGRUCell,
    ProjectedLSTMCell,
    SkipCell,
    WeightNormCell,
)


def test_spectrum_of_a_known_matrix():
    cell = ElmanCell(1, 3)
    turn = torch.tensor([[0.0, -2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.5]])
    cell.weight_hh.data.copy_(turn)
    (matrix,) = recurrent_matrices(cell)
    torch.testing.assert_close(matrix.eigenvalues.abs(), torch.tensor([2.0, 2.0, 0.5]))
    torch.testing.assert_close(matrix.eigenvalues[:2].real, torch.zeros(2), atol=1e-6, rtol=0)
    assert matrix.spectral_radius == pytest.approx(2)
    assert matrix.spectral_norm == pytest.approx(float(torch.linalg.matrix_norm(turn, 2)))
    assert matrix.spectral_norm > 3  # it is not a normal matrix


def test_each_gate_has_its_block():
    cell = LSTMCell(2, 4)
    with torch.no_grad():
        for factor, block in zip((1, 2, 3, 4), cell.weight_hh.chunk(4), strict=True):
            block.copy_(factor * torch.eye(4))
    matrices = recurrent_matrices(cell)
    assert [matrix.name[-1] for matrix in matrices] == list("ifgo")
    assert [matrix.spectral_radius for matrix in matrices] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "cell, names",
    [
        (ElmanCell, ["W_hh"]),
        (GRUCell, [f"W_hh of gate {gate}" for gate in "rzn"]),
        (partial(WeightNormCell, cell=GRUCell), [f"W_hh of gate {gate}" for gate in "rzn"]),
        (SkipCell, ["W_hh, block 1 of 2", "W_hh, block 2 of 2"]),
        (ProjectedLSTMCell, [f"W_hh, block {number} of 8" for number in range(1, 9)]),
        (MinGRUCell, ["step Jacobian at the initial state"]),
    ],
)
def test_names(cell, names):
    assert [matrix.name for matrix in recurrent_matrices(cell(2, 3).eval())] == names


def test_the_weights_of_a_call_are_read_and_not_the_parameters():
    cell = ClockworkCell(1, 2, periods=[1, 2])
    cell.weight_hh.data.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))  # a slow unit reads no faster one
    (matrix,) = recurrent_matrices(cell)
    assert matrix.spectral_radius == 0
    assert matrix.spectral_norm == 1


def test_a_recurrence_of_one_number_a_unit():
    cell = IndRNNCell(1, 3)
    cell.weight_hh.data.copy_(torch.tensor([0.1, -0.9, 0.5]))
    (matrix,) = recurrent_matrices(cell)
    torch.testing.assert_close(matrix.eigenvalues.real, torch.tensor([-0.9, 0.5, 0.1]))


def test_a_cell_without_a_matrix_is_taken_by_its_step():
    cell = MinGRUCell(1, 2)
    cell.weight_ih.data.fill_(1.0)
    (matrix,) = recurrent_matrices(cell, inputs=torch.tensor([3.0]))
    torch.testing.assert_close(matrix.singular_values, torch.sigmoid(torch.tensor([-3.0, -3.0])))

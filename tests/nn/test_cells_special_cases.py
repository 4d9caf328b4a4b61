"""Where one cell is a special case of another, and what each refuses."""

from functools import partial

import pytest
import torch
from cell_zoo import copy_parameters, make, random_inputs
from torch import nn
from twins import assert_close, gradients

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
    MinLSTMCell,
    MultiplicativeLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    Recurrent,
    RecurrentDropoutCell,
    ResetBeforeGRUCell,
    SkipCell,
    SLSTMCell,
    WeightDropCell,
    WeightNormCell,
    ZoneoutCell,
)

D, H, B, T = 2, 4, 3, 9


def assert_same(special, plain, lengths=None):
    """Two layers of one cell each give the same outputs and gradients of the inputs."""
    inputs = random_inputs(B, T, D).requires_grad_()
    (ours, _), (theirs, _) = special(inputs, lengths=lengths), plain(inputs, lengths=lengths)
    assert_close(ours, theirs)
    assert_close(gradients(ours, (), [inputs]), gradients(theirs, (), [inputs]))


ZEROS, EYE = partial(torch.zeros, dtype=torch.float64), torch.eye(H, dtype=torch.float64)
SPECIAL_CASES = {
    "no peephole": (PeepholeLSTMCell, LSTMCell, {"peephole": ZEROS(3 * H)}),
    "no full peephole": (FullPeepholeLSTMCell, LSTMCell, {"weight_ch": ZEROS(3 * H, H)}),
    "projection by the identity": (partial(ProjectedLSTMCell, expansion=1), LSTMCell, {"weight_hr": EYE}),
    "all periods 1": (partial(ClockworkCell, periods=[1, 1, 1]), ElmanCell, {}),
    "leak 1": (partial(LeakyCell, leak=1.0), ElmanCell, {}),
    "no skip": (SkipCell, ElmanCell, {"weight_sh": ZEROS(H, H)}),
    "rectified": (IRNNCell, partial(ElmanCell, activation="relu"), {}),
    "output by the identity": (JordanCell, ElmanCell, {"output.weight": EYE, "output.bias": ZEROS(H)}),
}


@pytest.mark.parametrize("lengths", [None, torch.tensor([9, 0, 4])], ids=["full", "ragged"])
@pytest.mark.parametrize("name", SPECIAL_CASES)
def test_special_cases(name, lengths):
    special, plain, others = SPECIAL_CASES[name]
    special, plain = make(special, D, H), make(plain, D, H)
    copy_parameters(special.cells[0], plain.cells[0], **others)
    assert_same(special, plain, lengths)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("wrapper", [ZoneoutCell, RecurrentDropoutCell, WeightDropCell])
def test_with_probability_zero_a_wrapper_is_what_it_wraps(wrapper, training):
    special = make(partial(wrapper, cell=GRUCell, probability=0.0), D, H).train(training)
    plain = make(GRUCell, D, H)
    copy_parameters(special.cells[0].cell, plain.cells[0])
    assert_same(special, plain)


@pytest.mark.parametrize("bias", [True, False])
def test_projection_is_torchs(bias):
    ours = make(partial(ProjectedLSTMCell, expansion=3, bias=bias), D, H)
    theirs = nn.LSTM(D, 3 * H, proj_size=H, bias=bias, batch_first=True).double()
    with torch.no_grad():
        for name, parameter in ours.cells[0].named_parameters():
            getattr(theirs, f"{name}_l0").copy_(parameter)
    inputs = random_inputs(B, T, D)
    outputs, (h, *memory) = ours(inputs)
    expected, (h_n, c_n) = theirs(inputs)
    assert_close(outputs, expected)
    assert_close([h, torch.cat(memory, -1)], [h_n, c_n])


def test_full_peephole_with_diagonals_is_the_diagonal_one():
    full, diagonal = make(FullPeepholeLSTMCell, D, H), make(PeepholeLSTMCell, D, H)
    matrices = torch.cat([torch.diag(p) for p in diagonal.cells[0].peephole.detach().chunk(3)])
    copy_parameters(full.cells[0], diagonal.cells[0], weight_ch=matrices)
    assert_same(full, diagonal)


def test_coupled_is_an_lstm_whose_input_gate_is_the_forget_gate_turned_round():
    coupled, plain = make(CoupledLSTMCell, D, H), make(LSTMCell, D, H)
    turned = {name: torch.cat([-p[:H], p]) for name, p in coupled.cells[0].state_dict().items()}
    copy_parameters(plain.cells[0], coupled.cells[0], **turned)
    assert_same(coupled, plain)


def test_resetting_before_a_diagonal_product_is_resetting_after_it():
    before, after = make(ResetBeforeGRUCell, D, H), make(GRUCell, D, H)
    weight_hh, bias_hh = (after.cells[0].state_dict()[name].clone() for name in ("weight_hh", "bias_hh"))
    weight_hh[2 * H :], bias_hh[2 * H :] = torch.diag(torch.arange(1.0, H + 1)), 0
    for layer in (before, after):
        copy_parameters(layer.cells[0], after.cells[0], weight_hh=weight_hh, bias_hh=bias_hh)
    assert_same(before, after)


def test_independent_units_are_an_elman_network_with_a_diagonal():
    independent, plain = make(partial(IndRNNCell, activation="tanh"), D, H), make(ElmanCell, D, H)
    weight_hh = torch.diag(independent.cells[0].weight_hh.detach())
    copy_parameters(plain.cells[0], independent.cells[0], weight_hh=weight_hh, bias_hh=ZEROS(H))
    assert_same(independent, plain)


def test_the_shallowest_transition_is_an_elman_network():
    shallow = partial(DeepTransitionCell, input_layers=0, transition_layers=1, output_layers=0)
    deep, plain = make(shallow, D, H), make(ElmanCell, D, H)
    ours = deep.cells[0].state_dict()
    same = {"weight_ih": ours["entry.weight"], "weight_hh": ours["transition.0.weight"]}
    copy_parameters(plain.cells[0], plain.cells[0], **same, bias_ih=ours["transition.0.bias"], bias_hh=ZEROS(H))
    assert_same(deep, plain)


def test_clockwork_keeps_time_over_calls_and_slow_units_rest():
    layer = make(partial(ClockworkCell, periods=[1, 4]), D, H)
    inputs = random_inputs(1, 12, D)
    outputs, _ = layer(inputs)
    changed = (outputs[0, 1:] != outputs[0, :-1]).all(1)
    assert changed.tolist() == [t % 4 == 0 for t in range(1, 12)]
    assert bool((outputs[0, 1:, : H // 2] != outputs[0, :-1, : H // 2]).all())
    assert not bool((outputs[0, 1:4, H // 2 :] != outputs[0, :3, H // 2 :]).any())


def test_irnn_starts_as_the_identity_and_keeps_what_it_holds():
    layer = Recurrent(partial(IRNNCell, scale=0.5), D, H)
    h = torch.rand(1, B, H)
    outputs, _ = layer(torch.zeros(B, 3, D), (h,))
    torch.testing.assert_close(outputs[:, -1], 0.125 * h[0])
    assert bool((layer.cells[0].weight_ih.abs() < 0.01).all())


@pytest.mark.parametrize(
    "cell",
    [PeepholeLSTMCell, FullPeepholeLSTMCell, CoupledLSTMCell, ProjectedLSTMCell, MultiplicativeLSTMCell, SLSTMCell],
)
def test_the_forget_bias_lands_on_the_forget_gate(cell):
    made = cell(D, H, forget_bias=3.0)
    width = made.bias_ih.numel() // (3 if cell is CoupledLSTMCell else 4)
    first = 0 if cell is CoupledLSTMCell else width
    expected = torch.zeros_like(made.bias_ih)
    expected[first : first + width] = 3.0
    assert torch.equal(made.bias_ih, expected)
    assert bool((made.bias_hh == 0).all())
    assert cell(D, H, bias=False).bias_ih is None


def test_the_layer_norm_forget_bias_is_a_shift():
    cell = LayerNormLSTMCell(D, 2, forget_bias=3.0)
    assert cell.norm_ih.bias.tolist() == [0, 0, 3, 3, 0, 0, 0, 0]
    nn.init.ones_(cell.norm_ih.bias)
    cell.reset_parameters()
    assert cell.norm_ih.bias.tolist() == [0, 0, 3, 3, 0, 0, 0, 0]


def test_a_learned_leak_starts_where_it_is_told():
    learned, fixed = make(partial(LeakyCell, leak=0.2, learned=True), D, H), make(partial(LeakyCell, leak=0.2), D, H)
    learned.cells[0].reset_parameters()
    copy_parameters(fixed.cells[0], learned.cells[0])
    assert_same(learned, fixed)


def test_layer_norm_does_not_see_the_scale_of_the_weights():
    for cell in (LayerNormLSTMCell, LayerNormGRUCell):
        layer = make(partial(cell, eps=1e-12), D, H)
        inputs = random_inputs(B, T, D)
        expected, _ = layer(inputs)
        with torch.no_grad():
            layer.cells[0].weight_ih *= 10
            layer.cells[0].weight_hh *= 0.1
        torch.testing.assert_close(layer(inputs)[0], expected, rtol=1e-6, atol=1e-6)


def test_slstm_survives_gates_no_exponential_could_hold():
    layer = make(SLSTMCell, D, H).float()
    with torch.no_grad():
        layer.cells[0].weight_ih.mul_(300)
    outputs, state = layer(torch.randn(B, 40, D))
    outputs.sum().backward()
    assert all(bool(x.isfinite().all()) for x in (outputs, *state, *(p.grad for p in layer.parameters())))


def test_min_lstm_gates_add_up_to_one_even_where_both_are_shut():
    decay, drive = MinLSTMCell(D, 1).coefficients(torch.tensor([[-200.0, -200.0, 1.0], [50.0, -3.0, 1.0]]))
    torch.testing.assert_close(decay[0], torch.tensor([0.5]))
    torch.testing.assert_close(decay + drive, torch.ones(2, 1))


@pytest.mark.parametrize(
    "make_cell, message",
    [
        (lambda: IRNNCell(D, H, input_std=-1.0), "input_std: expected a number of at least 0, got -1.0"),
        (lambda: JordanCell(D, H, activation="gelu"), "^activation: expected one of tanh, .*, got 'gelu'"),
        (lambda: JordanCell(D, H, output_activation="x"), "^output_activation: expected one of tanh, .*, got 'x'"),
        (lambda: JordanCell(D, H, decay=1.5), "decay: expected 0 to 1, got 1.5"),
        (lambda: ProjectedLSTMCell(D, H, expansion=0), "expansion: expected an integer of at least 1, got 0"),
        (lambda: LeakyCell(D, H, leak=0.0), "leak: expected a number above 0 and up to 1, got 0.0"),
        (lambda: LeakyCell(D, H, leak=1.0, learned=True), "leak: expected a number between 0 and 1 where .*, got 1"),
        (lambda: SkipCell(D, H, skip=1), "skip: expected an integer of at least 2, got 1"),
        (lambda: ClockworkCell(D, H, periods=[]), r"periods: expected integers of at least 1, got \[\]"),
        (lambda: ClockworkCell(D, H, periods=[2, 0]), r"periods: .*, got \[2, 0\]"),
        (lambda: DeepTransitionCell(D, H, transition_layers=0), "transition_layers: .* at least 1, got 0"),
        (lambda: DeepTransitionCell(D, H, output_layers=-1), "output_layers: .* at least 0, got -1"),
        (lambda: SLSTMCell(D, H, forget_gate="tanh"), "forget_gate: expected one of sigmoid, exp, got 'tanh'"),
        (lambda: LayerNormLSTMCell(D, H, eps=0.0), "eps: expected a number above 0, got 0.0"),
        (lambda: IndRNNCell(0, H), "input_size: expected an integer of at least 1, got 0"),
        (lambda: MinLSTMCell(D, 0), "hidden_size: expected an integer of at least 1, got 0"),
        (lambda: ZoneoutCell(D, H, LSTMCell, 1.0), r"probability: expected a probability in \[0, 1\), got 1.0"),
        (lambda: ZoneoutCell(D, H, LSTMCell, [0.1]), "probability: expected one or 2, got 1"),
        (lambda: RecurrentDropoutCell(D, H, GRUCell, -0.1), r"probability: .*, got -0.1"),
        (lambda: WeightDropCell(D, H, GRUCell, 1), r"probability: .*, got 1"),
        (
            lambda: WeightNormCell(D, H, JordanCell),
            "cell: expected .* GatedCell without a step of its own, got JordanCell",
        ),
        (lambda: ZoneoutCell(D, H, IndRNNCell), "cell: expected .*, got IndRNNCell"),
    ],
)
def test_wrong_arguments_say_what_is_expected(make_cell, message):
    with pytest.raises(ValueError, match=message):
        make_cell()

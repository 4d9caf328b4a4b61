"""What every cell that is exported must do, whatever it computes."""

import copy

import pytest
import torch
import yaml
from cell_zoo import CELLS, make, positive_state, random_inputs
from torch.autograd import gradcheck
from twins import assert_close

import seqmodels.nn
from seqmodels.commands.composing import CONFIG_DIR
from seqmodels.nn import CellWrapper, GatedCell

every_cell = pytest.mark.parametrize("cell", CELLS)
WRAPPERS = {name for name in CELLS if issubclass(getattr(seqmodels.nn, name), CellWrapper)}


def test_the_cells_are_found():
    assert {"ElmanCell", "LSTMCell", "GRUCell", "SLSTMCell", "ZoneoutCell", "MinGRUCell"} <= set(CELLS)


def test_every_cell_has_a_configuration_and_every_configuration_a_line_of_its_own():
    files = {path.stem: path.read_text() for path in (CONFIG_DIR / "cell").glob("*.yaml")}
    targets = {yaml.safe_load(text)["_target_"] for text in files.values()}
    assert {f"seqmodels.nn.{name}" for name in CELLS} <= targets
    first_lines = [text.splitlines()[0] for text in files.values()]
    assert all(line.startswith("# ") and line.endswith(".") for line in first_lines)
    assert len(set(first_lines)) == len(files)


@every_cell
def test_gradcheck(cell):
    """While training: what a wrapper draws is drawn alike each time, so that it is a function too."""
    layer = make(cell, input_size=1, hidden_size=2)
    names = [name for name, _ in layer.named_parameters()]
    state = tuple(s.requires_grad_() for s in positive_state(layer, 2))

    def function(inputs, *rest):
        torch.manual_seed(1)
        state, parameters = rest[: layer.num_states], dict(zip(names, rest[layer.num_states :], strict=True))
        outputs, final = torch.func.functional_call(layer, parameters, (inputs, state, torch.tensor([5, 2])))
        return outputs, *final

    assert gradcheck(function, (random_inputs(2, 5, 1).requires_grad_(), *state, *layer.parameters()))


@every_cell
def test_layers_directions_lengths_and_resets(cell):
    layer = make(cell, num_layers=2, bidirectional=True).eval()
    inputs = random_inputs(4, 6, 2)
    inputs[2, 2:] = float("nan")  # beyond its length
    lengths, reset = torch.tensor([6, 0, 2, 5]), torch.zeros(4, 6, dtype=torch.bool)
    reset[0, 3] = True
    outputs, final = layer(inputs, lengths=lengths, reset=reset)
    assert outputs.shape == (4, 6, 6)
    assert_close(outputs[:1, :3], layer(inputs[:1, :3])[0])
    assert_close(outputs[:1, 3:], layer(inputs[:1, 3:])[0])
    assert_close(outputs[2:3, :2], layer(inputs[2:3, :2])[0])
    assert_close([s[:, 3:] for s in final], list(layer(inputs[3:, :5])[1]))
    assert_close([s[:, 1] for s in final], [s[:, 1] for s in layer.initial_state(4)])
    assert bool((outputs[2, 2:] == 0).all())


@every_cell
def test_step_by_step_equals_the_whole(cell):
    layer = make(cell, num_layers=2).eval()
    inputs, state = random_inputs(3, 11, 2), None
    outputs, final = layer(inputs)
    for t in range(11):
        output, state = layer(inputs[:, t : t + 1], state)
        assert_close(output, outputs[:, t : t + 1])
    assert_close(state, final)


@every_cell
def test_every_parameter_learns(cell):
    layer = make(cell, hidden_size=8)
    outputs, _ = layer(random_inputs(5, 9, 2))
    (outputs * torch.randn_like(outputs)).sum().backward()
    for name, parameter in layer.named_parameters():
        assert bool((parameter.grad != 0).any()), name


@every_cell
def test_evaluation_draws_nothing_and_only_wrappers_draw_while_training(cell):
    layer = make(cell, hidden_size=16)
    inputs = random_inputs(3, 6, 2)
    generator = torch.get_rng_state()
    layer(inputs)
    assert torch.equal(generator, torch.get_rng_state()) == (cell not in WRAPPERS - {"WeightNormCell"})
    generator = torch.get_rng_state()
    layer.eval()(inputs)
    assert torch.equal(generator, torch.get_rng_state())


@every_cell
def test_reset_parameters_leaves_nothing_of_what_was(cell):
    layer = make(cell)
    inner = layer.cells[0]
    results = []
    for filler in (float("nan"), 7.0):
        with torch.no_grad():
            for parameter in inner.parameters():
                parameter.fill_(filler)
        torch.manual_seed(3)
        inner.reset_parameters()
        results.append([parameter.detach().clone() for parameter in inner.parameters()])
    assert_close(*results)


@every_cell
def test_copies_and_saved_weights_give_the_same(cell):
    layer, other = make(cell).eval(), make(cell).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1)
    other.load_state_dict(layer.state_dict())
    inputs = random_inputs(2, 5, 2)
    assert torch.equal(layer(inputs)[0], other(inputs)[0])
    assert torch.equal(layer(inputs)[0], copy.deepcopy(layer)(inputs)[0])


@every_cell
def test_one_unit_and_autocast_are_finite(cell):
    layer = make(cell, input_size=1, hidden_size=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = layer(torch.randn(2, 5, 1))
    assert {x.dtype for x in (outputs, *state)} == {torch.float32}
    outputs.sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())


@pytest.mark.parametrize("cell", [name for name in CELLS if issubclass(getattr(seqmodels.nn, name), GatedCell)])
def test_the_update_reads_and_writes_no_row_but_its_own(cell):
    layer = make(cell).eval()
    inputs = random_inputs(3, 5, 2)
    expected, _ = layer(inputs)
    inputs[1, 2] = float("nan")
    outputs, _ = layer(inputs)
    assert_close(outputs[[0, 2]], expected[[0, 2]])
    assert bool(outputs[1].isnan().any())

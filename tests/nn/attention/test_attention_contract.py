"""What every attention that is exported must do, whatever its scores are."""

import contextlib
import inspect

import pytest
import torch
import yaml
from attention_zoo import ATTENTIONS, LENGTHS, make, random
from torch import nn
from torch.autograd import gradcheck
from torch.utils.flop_counter import FlopCounterMode
from twins import assert_close

import seqmodels.nn
from seqmodels.commands.composing import CONFIG_DIR
from seqmodels.nn import map_state
from seqmodels.nn.attention import Attention, Memory

every_attention = pytest.mark.parametrize("name", ATTENTIONS)
QUERIES = 3


def attend(attention, queries, values, lengths=None):
    return attention(queries, attention.remember(values, lengths))


def select(memory, rows):
    return Memory(*(tensor[rows] for tensor in memory))


def test_the_attentions_are_found():
    assert len(ATTENTIONS) >= 11
    assert {"AdditiveAttention", "MultiHeadAttention", "MonotonicAttention", "CoverageAttention"} <= set(ATTENTIONS)
    assert set(seqmodels.nn.attention.__all__) <= set(seqmodels.nn.__all__)


def test_every_attention_has_a_configuration_with_all_its_options():
    texts = [path.read_text() for path in sorted((CONFIG_DIR / "attention").glob("*.yaml"))]
    described = [config for text in texts if (config := yaml.safe_load(text))["_target_"] is not None]
    assert {config["_target_"] for config in described} == {f"seqmodels.nn.{name}" for name in ATTENTIONS}
    for config in described:
        assert config["_partial_"] is True
        options = inspect.signature(ATTENTIONS[config["_target_"].rpartition(".")[2]]).parameters
        assert {*options} - {"query_size", "value_size"} == {*config} - {"_target_", "_partial_"}
        for key, value in config.items():
            assert key in ("_target_", "_partial_", "score") or value == options[key].default
    assert all(text.startswith("# ") and text.splitlines()[0].endswith(".") for text in texts)


class Whole(nn.Module):
    """A source and queries in one call, so that gradients reach every parameter."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, queries, values):
        torch.manual_seed(1)  # noise is drawn alike each time
        context, weights, state = attend(self.attention, queries, values, LENGTHS)
        return context, weights, *(tensor for tensor in state if tensor.is_floating_point())


@every_attention
def test_gradcheck(name):
    """While training, and where a row has no source at all."""
    options = {"noise": 1.0} if "noise" in inspect.signature(ATTENTIONS[name]).parameters else {}
    whole = Whole(make(name, size=2, **options))
    names = [name for name, _ in whole.named_parameters()]

    def function(queries, values, *parameters):
        return torch.func.functional_call(whole, dict(zip(names, parameters, strict=True)), (queries, values))

    queries, values = random(4, QUERIES, 2), random(4, 5, 2)
    assert gradcheck(function, (queries.requires_grad_(), values.requires_grad_(), *whole.parameters()))


@every_attention
def test_every_parameter_learns(name):
    attention = make(name)
    attended = attend(attention, random(4, QUERIES, 4).requires_grad_(), random(4, 5, 4), LENGTHS)
    (attended.context * torch.randn_like(attended.context)).sum().backward()
    for parameter_name, parameter in attention.named_parameters():
        assert bool((parameter.grad != 0).any()), parameter_name


@every_attention
@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_output_and_no_gradient(name, training):
    attention = make(name).train(training)
    queries, values, weighing = random(4, QUERIES, 4), random(4, 5, 4), random(4, QUERIES, 4)
    garbage = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e300], dtype=torch.float64)
    padded = torch.cat([values, garbage.expand(4, 3, 4)], 1)
    for row, length in enumerate(LENGTHS):
        padded[row, length:] = garbage
    results = []
    for source in (values, padded):
        source = source.clone().requires_grad_()
        asked = queries.clone().requires_grad_()
        attention.zero_grad()
        context, weights, _ = attend(attention, asked, source, LENGTHS)
        (context * weighing).sum().backward()
        # Hard monotonic attention has no gradient but that of the values.
        gradients = [thing.grad for thing in (asked, *attention.parameters()) if thing.grad is not None]
        assert bool((source.grad[:, 5:] == 0).all())
        assert bool((weights[..., 5:] == 0).all())
        results.append([context, weights[..., :5], source.grad[:, :5], *gradients])
    assert_close(*results)
    assert all(bool(tensor.isfinite().all()) for tensor in results[1])


@every_attention
def test_a_row_is_what_it_is_alone_and_without_padding(name):
    attention = make(name)
    queries, values = random(4, QUERIES, 4), random(4, 5, 4)
    together = attend(attention, queries, values, LENGTHS)
    for row in (0, 1, 3):
        length = int(LENGTHS[row])
        alone = attend(attention, queries[row : row + 1], values[row : row + 1, :length])
        assert_close(together.context[row], alone.context[0])
        assert_close(together.weights[row, :, :length], alone.weights[0])


@every_attention
@pytest.mark.parametrize("training", [True, False])
def test_weights_are_zero_in_padding_and_sum_to_one(name, training):
    attention = make(name).train(training)
    memory = attention.remember(random(4, 5, 4), LENGTHS)
    context, weights, _ = attention(random(4, 7, 4, scale=3.0), memory)
    assert weights.shape == (4, 7, 5)
    assert context.shape == (4, 7, attention.output_size)
    assert bool((weights >= 0).all())
    assert bool((weights.masked_select(~memory.valid[:, None]) == 0).all())
    assert_close(weights.sum(-1), (LENGTHS > 0).double()[:, None].expand(4, 7))
    assert bool((context[2] == 0).all())
    if type(attention).read is Attention.read:
        assert_close(context, weights @ memory.values)


@every_attention
@pytest.mark.parametrize("training", [True, False])
def test_one_by_one_equals_one_call(name, training):
    attention = make(name).train(training)
    queries, memory = random(4, 6, 4), attention.remember(random(4, 5, 4), LENGTHS)
    whole, state = attention(queries, memory), None
    for t in range(6):
        one = attention(queries[:, t : t + 1], memory, state)
        state = one.state
        assert_close(one.context, whole.context[:, t : t + 1])
        assert_close(one.weights, whole.weights[:, t : t + 1])
    assert_close(list(state), list(whole.state))
    assert_close(whole.context, attention(queries, memory, attention.initial_state(memory)).context)


@every_attention
def test_the_state_has_a_row_for_each_row_of_the_batch(name):
    """A beam goes on from rows of the state in any order, some of them twice."""
    attention = make(name)
    queries, memory = random(4, 6, 4), attention.remember(random(4, 5, 4), torch.tensor([5, 4, 3, 5]))
    rows = torch.tensor([3, 0, 0, 2])
    state = attention(queries[:, :3], memory).state
    assert all(tensor.shape[1] == 4 for tensor in (*state, *attention.initial_state(memory)))
    state = map_state(lambda tensor: tensor.index_select(1, rows), state)
    later = attention(queries[:, 3:], select(memory, rows), state)
    picked = torch.cat([queries[rows, :3], queries[:, 3:]], 1)
    assert_close(later.context, attention(picked, select(memory, rows)).context[:, 3:])


@every_attention
def test_keys_are_projected_once_for_a_source(name, monkeypatch):
    attention, calls = make(name, size=64), []
    project = attention.project_values
    monkeypatch.setattr(attention, "project_values", lambda values: calls.append(1) or project(values))
    with FlopCounterMode(display=False) as of_source:
        memory = attention.remember(random(4, 50, 64))
    state = attention.initial_state(memory)
    for _ in range(20):
        with FlopCounterMode(display=False) as of_step:
            state = attention(random(4, 1, 64), memory, state).state
        # However it might be done: a step has not the work of the projection in it.
        assert of_source.get_total_flops() == 0 or of_step.get_total_flops() < of_source.get_total_flops()
    assert len(calls) == 1


@every_attention
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_safe_where_its_scores_would_overflow(name, dtype):
    attention = make(name, size=8).to(dtype)
    queries, values = (random(4, n, 8, scale=1e4).to(dtype).requires_grad_() for n in (QUERIES, 5))
    memory = attention.remember(values, LENGTHS)
    context, weights, _ = attention(queries, memory)
    assert weights.dtype == context.dtype == dtype
    assert bool((weights.masked_select(~memory.valid[:, None]) == 0).all())
    sums = (LENGTHS > 0).float()[:, None].expand(4, QUERIES)
    torch.testing.assert_close(weights.float().sum(-1), sums, atol=1e-2, rtol=0.0)
    weights.float().square().sum().backward()
    assert all(bool(tensor.grad.isfinite().all()) for tensor in (queries, values) if tensor.grad is not None)


@every_attention
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_weights_are_those_of_full_precision(name, dtype):
    attention = make(name).float()
    queries, values = random(4, QUERIES, 4).float(), random(4, 5, 4).float()
    expected = attend(attention, queries, values, LENGTHS)
    with torch.autocast("cpu", dtype):
        context, weights, _ = attend(attention, queries, values, LENGTHS)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, expected.weights, atol=0.1, rtol=0.0)
    torch.testing.assert_close(weights.sum(-1), expected.weights.sum(-1))
    assert bool(context.isfinite().all())


@every_attention
@pytest.mark.parametrize("training", [True, False])
def test_everything_is_made_where_the_source_is(name, training, monkeypatch):
    """Tensors of the device "meta" refuse any of another; autocast does not know that device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    attention = make(name).train(training).to("meta")
    queries, values = (torch.empty(2, n, 4, dtype=torch.float64, device="meta") for n in (3, 5))
    attended = attend(attention, queries, values)
    attended = attention(queries, attention.remember(values), attended.state)
    assert {tensor.device.type for tensor in (attended.context, attended.weights, *attended.state)} == {"meta"}

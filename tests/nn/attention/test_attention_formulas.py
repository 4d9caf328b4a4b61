"""Each attention against its paper's formula, written out for one query and one position at a time."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from attention_zoo import LENGTHS, make, random
from torch import exp, sigmoid, sqrt, tanh, tensor
from twins import assert_close, randomize

from seqmodels.nn import DotAttention, GeneralAttention, SelfAttention, coverage_loss
from seqmodels.nn.attention.attention import masked_softmax

Q, V = random(4, 3, 4), random(4, 5, 4)
ROWS = [(row, int(length)) for row, length in enumerate(LENGTHS) if length]


def additive(a, q, v, extra=0.0):
    return a.vector @ tanh(a.query.weight @ q + a.key.weight @ v + a.key.bias + extra)


SCORES = {
    "DotAttention": lambda a, q, v: q @ v,
    "ScaledDotAttention": lambda a, q, v: q @ v / sqrt(tensor(4.0)),
    "GeneralAttention": lambda a, q, v: q @ a.key.weight @ v,
    "AdditiveAttention": additive,
    "ConcatAttention": lambda a, q, v: a.vector @ tanh(a.joint.weight @ torch.cat([q, v])),
}


def normalised(scores):
    weights = torch.stack([exp(score) for score in scores])
    return weights / weights.sum()


@pytest.mark.parametrize("name", SCORES)
@torch.no_grad()
def test_weights_are_a_softmax_of_the_papers_score(name):
    attention = make(name)
    attended = attention(Q, attention.remember(V, LENGTHS))
    for row, length in ROWS:
        for t in range(3):
            weights = normalised([SCORES[name](attention, Q[row, t], v) for v in V[row, :length]])
            assert_close(attended.weights[row, t, :length], weights)
            assert_close(attended.context[row, t], weights @ V[row, :length])


@pytest.mark.parametrize("cumulative", [False, True])
@torch.no_grad()
def test_location_sensitive_attention(cumulative):
    a = make("LocationSensitiveAttention", cumulative=cumulative)
    weights = a(Q, a.remember(V, LENGTHS)).weights
    for row, length in ROWS:
        past = [0.0] * length
        for t in range(3):
            padded = [0.0, *past, 0.0]
            seen = [tensor(padded[s : s + 3], dtype=V.dtype) for s in range(length)]
            extra = [a.location.weight @ (a.filters.weight[:, 0] @ window) for window in seen]
            expected = normalised([additive(a, Q[row, t], V[row, s], extra[s]) for s in range(length)])
            assert_close(weights[row, t, :length], expected)
            past = [p * cumulative + float(w) for p, w in zip(past, expected, strict=True)]


@pytest.mark.parametrize("max_fertility", [None, 2.0, 3.5])
@torch.no_grad()
def test_coverage_attention(max_fertility):
    a = make("CoverageAttention", max_fertility=max_fertility)
    weights = a(Q, a.remember(V, LENGTHS)).weights
    for row, length in ROWS:
        coverage = torch.zeros(length, dtype=V.dtype)
        fertility = max_fertility * sigmoid(V[row, :length] @ a.fertility.weight[0]) if max_fertility else 1.0
        for t in range(3):
            extra = [a.coverage.weight[:, 0] * c for c in coverage]
            expected = normalised([additive(a, Q[row, t], V[row, s], extra[s]) for s in range(length)])
            assert_close(weights[row, t, :length], expected)
            coverage = coverage + expected / fertility


@pytest.mark.parametrize("score", ["DotAttention", "GeneralAttention", "ConcatAttention"])
@torch.no_grad()
def test_local_attention_that_moves_on_by_one(score):
    a = make("LocalMonotonicAttention", score=lambda q, v: make(score), window=1)
    queries = random(4, 7, 4)
    weights = a(queries, a.remember(V, LENGTHS)).weights
    for row, length in ROWS:
        for t in range(7):
            p = min(t, length - 1)
            inside = [s for s in range(length) if p - 1 <= s <= p + 1]
            expected = normalised([SCORES[score](a.score, queries[row, t], V[row, s]) for s in inside])
            assert_close(weights[row, t, inside], expected)
            assert weights[row, t].nonzero().flatten().tolist() == inside


@pytest.mark.parametrize("score", ["DotAttention", "GeneralAttention", "ConcatAttention"])
@torch.no_grad()
def test_local_attention_that_predicts_its_centre_is_in_proportion_to_the_papers(score):
    a = make("LocalPredictiveAttention", score=lambda q, v: make(score), window=2)
    queries = random(4, 7, 4, scale=2.0)
    weights = a(queries, a.remember(V, LENGTHS)).weights
    hidden, out = a.position[0].weight, a.position[2].weight[0]
    centres = set()
    for row, length in ROWS:
        for t, q in enumerate(queries[row]):
            p = float(length * sigmoid(out @ tanh(hidden @ q)))
            inside = [s for s in range(length) if abs(s - p) <= 2]
            centres.add(round(p))
            aligned = normalised([SCORES[score](a.score, q, V[row, s]) for s in inside])
            gaussian = [math.exp(-((s - p) ** 2) / (2 * 1.0**2)) for s in inside]  # sigma is 2 / 2
            papers = aligned * tensor(gaussian, dtype=V.dtype)
            assert_close(weights[row, t, inside], papers / papers.sum())
            assert weights[row, t].nonzero().flatten().tolist() == inside
    assert len(centres) > 2


def test_multi_head_attention_equals_torchs():
    a = make("MultiHeadAttention", size=6, num_heads=3)
    queries, values = random(4, 3, 6), random(4, 5, 6)
    lengths = tensor([5, 3, 2, 1])  # torch gives NaN for an empty row
    attended = a(queries, a.remember(values, lengths))
    key, value = a.key_value.weight.chunk(2)

    def heads(x):
        return x.view(4, -1, 3, 2).transpose(1, 2)

    q, k, v = heads(queries @ a.query.weight.T), heads(values @ key.T), heads(values @ value.T)
    mask = (torch.arange(5) < lengths[:, None])[:, None, None]
    context = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).reshape(4, 3, 6) @ a.out.weight.T
    assert_close(attended.context, context)
    by_head = F.scaled_dot_product_attention(q, k, torch.eye(5, dtype=V.dtype).expand(4, 3, 5, 5), mask)
    assert_close(attended.weights, by_head.mean(1))


@torch.no_grad()
def energies(a, queries, values):
    vector = a.gain * a.vector / a.vector.norm()
    inside = [[tanh(a.query.weight @ q + a.key.weight @ v + a.key.bias) for v in values] for q in queries]
    return tensor([[float(vector @ x + a.offset) for x in row] for row in inside], dtype=V.dtype)


@pytest.mark.parametrize("sharpness", [1.0, 1e4])
def test_monotonic_attention_expects_what_all_paths_together_give(sharpness):
    """The probability of every way in which three queries can stop, added up; with certain stops too."""
    a = make("MonotonicAttention")
    with torch.no_grad():
        a.gain.mul_(5 * sharpness)
    weights = a(Q, a.remember(V, LENGTHS)).weights
    for row, length in ROWS:
        stop = sigmoid(energies(a, Q[row], V[row, :length]))
        stop[:, -1] = 1  # the last position takes who stopped nowhere
        expected = torch.zeros(3, length, dtype=V.dtype)
        for path in itertools.combinations_with_replacement(range(length), 3):
            probability, start = 1.0, 0
            for t, place in enumerate(path):
                probability = probability * stop[t, place] * (1 - stop[t, start:place]).prod()
                start = place
            for t, place in enumerate(path):
                expected[t, place] += probability
        assert_close(weights[row, :, :length], expected)


def test_monotonic_attention_stops_where_the_process_does():
    a = make("MonotonicAttention").eval()
    queries, values, lengths = random(40, 6, 4, scale=2.0), random(40, 5, 4, scale=2.0), torch.arange(40) % 5 + 1
    weights = a(queries, a.remember(values, lengths)).weights
    moved, forced = set(), 0
    for row, length in enumerate(lengths.tolist()):
        place = 0
        for t, energy in enumerate(energies(a, queries[row], values[row, :length])):
            chosen = [s for s in range(place, length) if energy[s] > 0]
            moved.add((chosen[0] if chosen else length - 1) - place)
            forced += not chosen
            place = chosen[0] if chosen else length - 1
            assert weights[row, t].tolist() == [float(s == place) for s in range(5)]
    assert len(moved) > 2
    assert forced


def test_the_noise_of_monotonic_attention_is_drawn_while_training_alone():
    a = make("MonotonicAttention", noise=1.0)
    memory = a.remember(V)
    assert not torch.equal(a(Q, memory).weights, a(Q, memory).weights)
    assert torch.equal(a.eval()(Q, memory).weights, a(Q, memory).weights)


def test_monotonic_attention_is_finite_where_energies_are_extreme():
    a = make("MonotonicAttention").float()
    with torch.no_grad():
        a.gain.fill_(1e6)
    values, queries = torch.randn(2, 400, 4), torch.randn(2, 30, 4).requires_grad_()
    weights = a(queries, a.remember(values)).weights
    weights.square().sum().backward()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 30))
    assert bool(queries.grad.isfinite().all())


def test_coverage_loss():
    weights = random(3, 6, 5).softmax(-1)
    lengths = tensor([6, 0, 2])
    terms = []
    for row, length in enumerate(lengths):
        for t in range(length):
            before = weights[row, :t].sum(0)
            terms.append(sum(min(float(w), float(c)) for w, c in zip(weights[row, t], before, strict=True)))
    assert float(coverage_loss(weights, lengths)) == pytest.approx(sum(terms) / 8)
    assert_close(coverage_loss(weights[:1]), coverage_loss(weights[:1], tensor([6])))
    assert float(coverage_loss(weights, tensor([0, 0, 0]))) == 0
    assert float(coverage_loss(torch.eye(4)[None])) == 0  # looks at nothing twice
    assert float(coverage_loss(torch.ones(1, 4, 1).half())) == pytest.approx(3 / 4)


def test_self_attention_equals_torchs():
    layer = SelfAttention(6, num_heads=3).double()
    randomize(layer)
    torchs = torch.nn.MultiheadAttention(6, 3, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        torchs.in_proj_weight.copy_(torch.cat([layer.attention.query.weight, layer.attention.key_value.weight]))
        torchs.out_proj.weight.copy_(layer.attention.out.weight)
    inputs, lengths = random(4, 5, 6), tensor([5, 3, 1, 2])
    valid = torch.arange(5) < lengths[:, None]
    attended, _ = torchs(inputs, inputs, inputs, key_padding_mask=~valid)
    expected = F.layer_norm(inputs + attended, (6,), layer.norm.weight, layer.norm.bias)
    assert_close(layer(inputs, lengths)[valid], expected[valid])
    assert bool((layer(inputs, lengths)[~valid] == 0).all())


def test_self_attention_reads_no_padding():
    layer = SelfAttention(4, num_heads=2, dropout=0.5).double().eval()
    randomize(layer)
    inputs = random(4, 5, 4)
    garbage = inputs.clone()
    garbage[~(torch.arange(5) < LENGTHS[:, None])] = float("nan")
    results = []
    for given in (inputs, garbage):
        given.requires_grad_()
        outputs = layer(given, LENGTHS)
        layer.zero_grad()
        outputs.square().sum().backward()
        results.append([outputs, given.grad, *(parameter.grad for parameter in layer.parameters())])
    assert_close(*results)
    assert all(bool(result.isfinite().all()) for result in results[1])
    assert_close(layer(inputs[1:2, :3])[0], results[0][0][1, :3])
    assert torch.autograd.gradcheck(layer, (inputs, LENGTHS))


def test_self_attention_drops_while_training_alone():
    layer = SelfAttention(4, num_heads=2, dropout=0.5).double()
    assert not torch.equal(layer(V), layer(V))
    assert torch.equal(layer.eval()(V), layer(V))


def test_a_softmax_over_nothing_is_zero_and_has_no_gradient():
    scores = torch.randn(2, 3, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):  # refuses a NaN on the way back, even one that is dropped later
        weights = masked_softmax(scores, tensor([[True, False, True], [False, False, False]]))
        weights.square().sum().backward()
    assert weights[1].tolist() == [0, 0, 0]
    assert scores.grad[1].tolist() == [0, 0, 0]
    assert float(scores.grad[0, 1]) == 0
    assert float(scores.grad[0, 0].abs()) > 0


def test_scores_of_half_precision_keep_what_tells_them_apart():
    """In float16 both products are infinite; in truth one of them is far larger."""
    attention = DotAttention(2, 2)
    values = tensor([[[1e4, 1e4], [2e4, 1e4]]]).half()
    assert bool((values @ values.mT).isinf().all())
    weights = attention(values[:, :1], attention.remember(values)).weights
    assert weights.tolist() == [[[0.0, 1.0]]]


def test_keys_that_half_precision_cannot_hold_are_its_largest_number():
    attention = GeneralAttention(2, 2).half()
    torch.nn.init.ones_(attention.key.weight)
    values = tensor([[[6e4, 6e4], [1.0, 1.0]]]).half()
    assert bool(attention.key(values)[0, 0].isinf().all())
    weights = attention(torch.ones(1, 1, 2).half(), attention.remember(values)).weights
    assert weights.tolist() == [[[1.0, 0.0]]]

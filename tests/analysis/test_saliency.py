"""Saliency: closed forms, finite differences, complete parts, and a planted token that every method has to find."""

import math

import pytest
import torch
from torch import nn

from seqmodels.analysis import (
    SALIENCY_METHODS,
    Attribution,
    agreement,
    completeness,
    explain,
    gradient,
    gradient_times_input,
    integrated_gradients,
    occluded,
    occlusion,
    reading,
    smooth_gradient,
    watchable,
)
from seqmodels.models import Embedding, Identity, LanguageModel, LastState, SequenceModel, WordsWithCharacters
from seqmodels.nn import ElmanCell, GRUCell, LSTMCell

CELLS = [ElmanCell, GRUCell, LSTMCell, nn.RNN, nn.GRU, nn.LSTM]


def classifier(cell, frontend, output_size=2, seed=0, **options):
    torch.manual_seed(seed)
    return SequenceModel(frontend, cell, output_size, readout=LastState, hidden_size=12, **options).eval()


def test_of_a_linear_model_every_part_is_its_weight_times_its_input():
    weights = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    vectors = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    baseline = torch.full((6, 3), 0.5)

    def score(rows):
        return (rows * weights).flatten(1).sum(1) + 7

    parts = weights * (vectors - baseline)
    assert torch.equal(gradient(score, vectors).values, weights)
    assert torch.equal(gradient_times_input(score, vectors).values, weights * vectors)
    assert torch.allclose(gradient_times_input(score, vectors, baseline).values, parts)
    assert torch.allclose(integrated_gradients(score, vectors, baseline).values, parts, atol=1e-5)
    assert torch.allclose(smooth_gradient(score, vectors).values, weights, atol=1e-6)
    assert torch.allclose(occlusion(score, vectors, baseline).signed, parts.sum(1), atol=1e-5)
    assert completeness(score, vectors, gradient_times_input(score, vectors, baseline), baseline).error < 1e-5
    assert agreement(gradient_times_input(score, vectors), occlusion(score, vectors)) == pytest.approx(1)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_agrees_with_finite_differences(cell):
    model = watchable(classifier(cell, Identity(2), num_layers=2)).double()
    vectors = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def score(rows):
        return model(rows)[0][:, 1]

    found = gradient(score, vectors).values
    step = 1e-5
    for place in torch.cartesian_prod(torch.arange(5), torch.arange(2)).tolist():
        nudge = torch.zeros_like(vectors)
        nudge[tuple(place)] = step
        with torch.no_grad():
            above, below = score(torch.stack([vectors + nudge, vectors - nudge])).tolist()
        assert float(found[tuple(place)]) == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_integrated_gradients_sum_to_what_the_score_gains(cell, bidirectional):
    model = classifier(cell, Embedding(20, 8), num_layers=2, bidirectional=bidirectional)
    with torch.no_grad():  # far from linear, but short of chaos, where gradients tell nothing of what is near
        for parameter in model.recurrent.parameters():
            parameter.mul_(1.05 if cell in (ElmanCell, nn.RNN) else 1.3)
    tokens = torch.randint(20, (30,), generator=torch.Generator().manual_seed(2))
    found = explain(model, tokens, lambda outputs: outputs[:, 1])["integrated gradients"]
    with torch.no_grad():
        vectors = model.frontend(tokens)
        reached, begun = model.outputs(model.recurrent(torch.stack([vectors, torch.zeros_like(vectors)]))[0])[:, 1]
    assert float(found.signed.sum()) == pytest.approx(float(reached - begun), rel=0.01)


def test_more_points_are_taken_where_few_do_not_do():
    def score(rows):
        return torch.sigmoid(60 * (rows.flatten(1).sum(1) - 0.5))

    vectors = torch.tensor([[0.5], [0.5]])
    few = integrated_gradients(score, vectors, points=4, max_points=4)
    many = integrated_gradients(score, vectors, points=4)
    assert completeness(score, vectors, few).error > 0.1
    assert completeness(score, vectors, many).error < 0.01


@pytest.mark.parametrize("cell", [LSTMCell, nn.LSTM])
@pytest.mark.parametrize("token", [8, 9])
def test_every_method_puts_the_one_token_first_that_a_planted_unit_reads(cell, token):
    model = classifier(cell, Embedding(10, 2), output_size=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        table = model.frontend.table.weight
        table[:, 0].uniform_(-0.5, 0.5)
        table[8:] = torch.tensor([[1.0, 1.0], [-1.0, 1.0]])  # what counts, and that it counts
        weights = dict(model.named_parameters())
        layer = "recurrent.layers." if cell is nn.LSTM else "recurrent.cells.0."
        (read,) = (tensor for name, tensor in weights.items() if name.startswith(layer + "weight_ih"))
        bias = next(tensor for name, tensor in weights.items() if name.startswith(layer + "bias_ih"))
        for gate, features, constant in zip("ifgo", ([0, 20], [0, 0], [1, 0], [0, 0]), (-10, 10, 0, 10), strict=True):
            row = "ifgo".index(gate) * 12
            read[row], bias[row] = torch.tensor(features, dtype=torch.float32), constant
        model.head.weight[0, 0] = 1
    tokens = torch.tensor([1, 5, 0, 7, token, 3, 6, 2, 4])
    found = explain(model, tokens, lambda outputs: outputs[:, 0])
    assert set(found) == set(SALIENCY_METHODS)
    for name, attribution in found.items():
        assert int(attribution.importance.argmax()) == 4, name
        assert attribution.importance[4] > 1.5 * attribution.importance.sort().values[-2], name
    for name in ("gradient x input", "integrated gradients", "occlusion"):
        assert float(found[name].signed[4]) * (1 if token == 8 else -1) > 0, name


def test_of_a_trained_model_the_token_that_tells_the_class_has_the_largest_part():
    planted = 2  # where it stands
    torch.manual_seed(1)
    model = SequenceModel(Embedding(8, 6), GRUCell, 4, readout=LastState, hidden_size=24)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        texts = torch.randint(8, (64, 8))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(texts)[0], texts[:, planted] // 2).backward()
        optimizer.step()
    texts = torch.randint(8, (8, 8))
    assert torch.equal(model(texts)[0].argmax(-1), texts[:, planted] // 2)
    methods = {name: SALIENCY_METHODS[name] for name in ("integrated gradients", "occlusion")}
    for tokens in texts:
        label = int(tokens[planted]) // 2
        found = explain(model, tokens, lambda outputs, label=label: outputs[:, label], methods=methods)
        for name, attribution in found.items():
            assert int(attribution.signed.argmax()) == planted, name


def test_models_with_torchs_layers_are_explained_as_ours_with_their_weights():
    native = classifier(nn.LSTM, Embedding(20, 8))
    tokens = torch.randint(20, (9,), generator=torch.Generator().manual_seed(0))
    native.train()
    weights = {name: tensor.clone() for name, tensor in native.state_dict().items()}
    found = explain(native, tokens, lambda outputs: outputs[:, 0])
    ours = explain(watchable(native), tokens, lambda outputs: outputs[:, 0])
    for name in SALIENCY_METHODS:
        assert torch.equal(found[name].values, ours[name].values)
    assert native.training
    assert isinstance(native.recurrent.layers, nn.LSTM)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in native.state_dict().items())
    assert all(parameter.grad is None for parameter in native.parameters())


def test_of_a_language_model_a_step_does_not_depend_on_those_after_it():
    torch.manual_seed(0)
    model = LanguageModel(vocab_size=11, cell=GRUCell, hidden_size=8, embedding_size=None)
    tokens = torch.randint(11, (10,))
    found = explain(model, tokens, lambda logits: logits[:, 5].log_softmax(-1)[:, 3])
    for name, attribution in found.items():
        assert attribution.values.shape[0] == 10
        assert attribution.importance[:6].min() > 0, name
        assert not attribution.importance[6:].any(), name


def test_occlusion_is_the_definition_step_by_step():
    model = classifier(GRUCell, Identity(3))
    vectors, baseline = torch.randn(40, 3), torch.randn(40, 3)

    def score(rows):
        return model(rows)[0][:, 0]

    found = occlusion(score, vectors, baseline).signed
    both = occluded(lambda rows: model(rows)[0], vectors, baseline)
    with torch.no_grad():
        for step in (0, 17, 39):
            variant = vectors.clone()
            variant[step] = baseline[step]
            lost = (model(vectors[None])[0] - model(variant[None])[0])[0]
            assert float(found[step]) == pytest.approx(float(lost[0]), abs=1e-6)
            assert torch.allclose(both[step], lost, atol=1e-6)


def test_words_are_explained_through_the_vectors_of_words_and_characters():
    model = classifier(GRUCell, WordsWithCharacters(num_words=9, num_characters=7, size=4, character_features=3))
    words = torch.randint(1, 7, (6, 1 + 4), generator=torch.Generator().manual_seed(0))
    found = explain(model, words, lambda outputs: outputs[:, 1])
    with torch.no_grad():
        other = model.frontend(words[None]).clone()
        other[0, 3] = 0
        lost = model(words[None])[0] - model.outputs(model.recurrent(other)[0])
    assert found["integrated gradients"].values.shape == (6, 7)
    assert float(found["occlusion"].signed[3]) == pytest.approx(float(lost[0, 1]), abs=1e-6)


def test_smoothing_averages_over_noise_of_its_own():
    def score(rows):
        return rows.flatten(1).pow(3).sum(1)

    vectors = torch.tensor([[1.0], [3.0]])
    before = torch.get_rng_state()
    smooth = smooth_gradient(score, vectors, noise=0.5, samples=2000).values
    assert torch.equal(torch.get_rng_state(), before)
    # the mean of 3 (x + e)^2 is 3 (x^2 + variance of e), here 1
    assert torch.allclose(smooth, 3 * (vectors.square() + 1), rtol=0.1)
    assert torch.allclose(smooth_gradient(score, vectors, noise=0.0).values, gradient(score, vectors).values)
    assert torch.equal(smooth_gradient(score, vectors).values, smooth_gradient(score, vectors).values)


def test_front_ends_hand_on_what_they_are_told_call_by_call():
    table = nn.Embedding(4, 2)
    ids, first, third = torch.tensor([1, 3]), torch.zeros(2, 2), torch.ones(2, 2)
    with reading(table, first, None, third):
        assert [table(ids) is tensor for tensor in (first, first, third)] == [True, False, True]
        assert torch.equal(table(ids), table.weight[ids])
    assert torch.equal(table(ids), table.weight[ids])


def test_methods_that_tell_no_steps_apart_agree_with_none():
    flat, rising = Attribution(torch.ones(4, 1), True), Attribution(torch.arange(4.0)[:, None], True)
    assert math.isnan(agreement(flat, rising))
    assert math.isnan(completeness(lambda rows: rows.flatten(1).sum(1) * 0, torch.ones(2, 1), flat).error)


@pytest.mark.parametrize("method, name", [(integrated_gradients, "points"), (smooth_gradient, "samples")])
def test_no_points_and_no_samples_are_refused(method, name):
    with pytest.raises(ValueError, match=f"{name}=0: expected at least 1"):
        method(lambda rows: rows.flatten(1).sum(1), torch.ones(2, 1), **{name: 0})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("cell", CELLS)
def test_evaluation_on_a_gpu_gives_what_the_cpu_gives(cell):
    model = classifier(cell, Embedding(20, 8), num_layers=2)
    tokens = torch.randint(20, (15,), generator=torch.Generator().manual_seed(0))
    methods = {name: method for name, method in SALIENCY_METHODS.items() if name != "SmoothGrad"}  # other noise
    here = explain(model, tokens, lambda outputs: outputs[:, 0], methods=methods)
    there = explain(model.cuda(), tokens.cuda(), lambda outputs: outputs[:, 0])
    for name in methods:
        assert torch.allclose(there[name].values.cpu(), here[name].values, atol=1e-4), name
    assert there["SmoothGrad"].values.isfinite().all()


def test_a_module_of_ones_own_is_refused_in_one_line_that_leads_to_variants():
    with pytest.raises(TypeError, match=r"expected a SequenceModel, got LSTM; .* `variants`") as error:
        explain(nn.LSTM(3, 4), torch.zeros(5, 3), lambda outputs: outputs[:, -1, 0])
    assert "\n" not in str(error.value)

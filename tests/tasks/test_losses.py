"""Losses against their formulas, what is not scored, what they predict, what they refuse."""

import math

import pytest
import torch
from scipy import stats
from torch.nn import functional

from seqmodels.errors import UserError
from seqmodels.tasks import (
    MAE,
    MSE,
    MSLE,
    BinaryCrossEntropy,
    CrossEntropy,
    Gaussian,
    KLDivergence,
    MultiLabelCrossEntropy,
    Quantile,
    StudentT,
)
from seqmodels.tasks.losses import mean_loss

CLASSES = {"kind": "classes", "classes": ["a", "b", "c"], "counts": [8, 2, 2]}
LABELS = {"kind": "labels", "labels": ["x", "y"]}
NUMBERS = {"kind": "numbers", "names": ["n"]}
DISTRIBUTION = {"kind": "distribution", "classes": ["a", "b"]}
NAN = float("nan")


def mean(loss, outputs, targets):
    total, count = loss(outputs, targets)
    return float(total / count)


def test_cross_entropy_is_torchs():
    outputs, targets = torch.randn(2, 5, 3), torch.randint(3, (2, 5))
    targets[0, 2:] = -100
    flat = outputs.flatten(0, 1), targets.flatten()
    assert mean(CrossEntropy(), outputs, targets) == pytest.approx(float(functional.cross_entropy(*flat)))
    smooth = functional.cross_entropy(*flat, label_smoothing=0.2)
    assert mean(CrossEntropy(label_smoothing=0.2), outputs, targets) == pytest.approx(float(smooth))
    weighted = functional.cross_entropy(*flat, torch.tensor([0.5, 2.0, 2.0]))
    balanced = CrossEntropy("balanced").fitted(CLASSES)
    assert balanced.class_weights == [0.5, 2.0, 2.0]
    assert mean(balanced, outputs, targets) == pytest.approx(float(weighted))


def test_a_class_that_was_never_seen_has_no_balanced_weight():
    balanced = CrossEntropy("balanced").fitted({"kind": "classes", "classes": ["a", "b", "never"], "counts": [6, 2, 0]})
    assert balanced.class_weights == pytest.approx([8 / 12, 2.0, 0.0])


def test_a_mean_over_small_weights_is_still_a_mean():
    outputs, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    small = mean_loss(*CrossEntropy([0.001] * 3)(outputs, targets))
    torch.testing.assert_close(small, mean_loss(*CrossEntropy()(outputs, targets)))
    assert float(mean_loss(*CrossEntropy()(outputs, torch.full((4,), -100)))) == 0


def test_binary_cross_entropy_is_that_of_two_classes():
    logit, targets = torch.randn(4, 1), torch.tensor([0, 1, 1, -100])
    two = torch.cat([torch.zeros(4, 1), logit], 1)
    assert mean(BinaryCrossEntropy(), logit, targets) == pytest.approx(mean(CrossEntropy(), two, targets), rel=1e-5)
    described, expected = BinaryCrossEntropy().describe(logit), CrossEntropy().describe(two)
    torch.testing.assert_close(described["probabilities"], expected["probabilities"])
    assert described["class"].tolist() == expected["class"].tolist()


def test_labels_are_summed_and_rows_of_nan_left_out():
    outputs, targets = torch.randn(3, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0], [NAN, NAN]])
    expected = functional.binary_cross_entropy_with_logits(outputs[:2], targets[:2], reduction="sum") / 2
    assert mean(MultiLabelCrossEntropy(), outputs, targets) == pytest.approx(float(expected))


def test_divergence_of_a_distribution_from_itself_is_zero_and_else_positive():
    target = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    assert mean(KLDivergence(), target.clamp(min=1e-30).log(), target) == pytest.approx(0, abs=1e-6)
    expected = (0.2 * math.log(0.2 / 0.5) + 0.8 * math.log(0.8 / 0.5) + math.log(2)) / 2
    assert mean(KLDivergence(), torch.zeros(2, 2), target) == pytest.approx(expected)


def test_point_losses_are_their_formulas():
    outputs, targets = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[3.0, 1.0, NAN]])
    assert mean(MSE(), outputs, targets) == pytest.approx((4 + 1) / 2)
    assert mean(MAE(), outputs, targets) == pytest.approx(1.5)
    prediction = MSLE().describe(outputs)["value"]
    expected = (prediction[0, :2].log1p() - targets[0, :2].log1p()).square().mean()
    assert mean(MSLE(), outputs, targets) == pytest.approx(float(expected))
    with pytest.raises(UserError, match="loss=msle: needs targets of at least 0, got -1"):
        MSLE()(torch.zeros(1, 1), torch.tensor([[-1.0]]))


def test_the_best_constants_for_the_quantile_loss_are_the_quantiles():
    targets = torch.randn(2001, 1, generator=torch.Generator().manual_seed(0))
    outputs = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        total, count = Quantile()(outputs.expand(2001, 3), targets)
        (total / count).backward()
        optimizer.step()
    expected = torch.quantile(targets, torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(outputs.detach(), expected, atol=0.05, rtol=0)


def test_quantiles_never_cross():
    described = Quantile([0.1, 0.5, 0.9]).describe(torch.tensor([[3.0, 1.0, 2.0]]))
    assert described["quantiles"].tolist() == [[[1.0, 2.0, 3.0]]]
    assert described["value"].tolist() == [[2.0]]


@pytest.mark.parametrize("loss", [Gaussian(), StudentT()])
def test_likelihoods_are_scipys(loss):
    outputs, targets = torch.randn(5, 2 * loss.num_parameters), torch.randn(5, 2)
    targets[1, 0] = NAN
    located = loss.of(outputs)
    loc, scale = located.loc.numpy(), located.scale.numpy()
    frozen = stats.norm(loc, scale) if isinstance(loss, Gaussian) else stats.t(located.df.numpy(), loc, scale)
    expected = -frozen.logpdf(targets.numpy())
    assert mean(loss, outputs, targets) == pytest.approx(float(expected[~targets.isnan().numpy()].mean()), rel=1e-5)
    quantiles = loss.describe(outputs)["quantiles"]
    for place, level in enumerate(loss.levels):
        torch.testing.assert_close(quantiles[..., place], torch.from_numpy(frozen.ppf(level)).float())


@pytest.mark.parametrize("loss", [Gaussian(), StudentT(), Quantile([0.05, 0.25, 0.5, 0.75, 0.95])])
def test_samples_follow_the_distribution(loss):
    torch.manual_seed(0)
    outputs = torch.linspace(-1, 1, loss.output_size(1)).expand(20_000, -1)
    samples = loss.sample(outputs)
    described = loss.describe(outputs[:1])
    known = list(zip(loss.levels, described["quantiles"][0, 0].tolist(), strict=True))
    for level, quantile in known[1:-1] if isinstance(loss, Quantile) else known:
        assert float((samples <= quantile + 1e-6).float().mean()) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize(
    "loss,targets,output_size",
    [
        (CrossEntropy(), CLASSES, 3),
        (BinaryCrossEntropy(), {**CLASSES, "classes": ["a", "b"]}, 1),
        (MultiLabelCrossEntropy(), LABELS, 2),
        (KLDivergence(), DISTRIBUTION, 2),
        (MSE(), NUMBERS, 1),
        (Quantile(), NUMBERS, 3),
        (Gaussian(), NUMBERS, 2),
        (StudentT(), NUMBERS, 3),
    ],
)
def test_a_loss_knows_its_outputs_and_refuses_other_targets(loss, targets, output_size):
    fitted = loss.fitted(targets)
    assert (
        fitted.output_size(len(targets.get("classes") or targets.get("labels") or targets.get("names"))) == output_size
    )
    for other in (CLASSES, LABELS, NUMBERS, DISTRIBUTION):
        if other["kind"] != targets["kind"]:
            with pytest.raises(UserError, match=rf"fits {targets['kind']}.* are {other['kind']}; fitting: loss="):
                loss.fitted(other)


@pytest.mark.parametrize(
    "fit,message",
    [
        (lambda: BinaryCrossEntropy().fitted(CLASSES), "fits two classes, and these data have 3"),
        (lambda: CrossEntropy([1.0]).fitted(CLASSES), "a weight for each of the 3 classes, got 1"),
        (lambda: CrossEntropy("balanced").fitted({"kind": "classes", "classes": ["a"]}), "these data count no classes"),
        (lambda: CrossEntropy(label_smoothing=1.0), "label_smoothing=1.0"),
        (lambda: Quantile([0.9, 0.1]), "levels="),
        (lambda: Gaussian([0.0]), "levels="),
    ],
)
def test_values_out_of_range_are_named(fit, message):
    with pytest.raises((UserError, ValueError), match=message):
        fit()

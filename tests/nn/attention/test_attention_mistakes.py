"""What is refused, and how it is told."""

from functools import partial

import pytest
import torch

from seqmodels.nn import (
    AdditiveAttention,
    CoverageAttention,
    DotAttention,
    GeneralAttention,
    LocalMonotonicAttention,
    LocalPredictiveAttention,
    LocationSensitiveAttention,
    MonotonicAttention,
    MultiHeadAttention,
    ScaledDotAttention,
    SelfAttention,
    coverage_loss,
)

MISTAKES = {
    "query_size=0: expected an integer of at least 1": partial(GeneralAttention, 0, 4),
    "value_size=-1: expected an integer of at least 1": partial(GeneralAttention, 4, -1),
    "attention_size=0: expected": partial(AdditiveAttention, 4, 4, attention_size=0),
    "query_size=4: expected the value_size, 6": partial(DotAttention, 4, 6),
    "query_size=4: expected the value_size, 8": partial(ScaledDotAttention, 4, 8),
    "num_heads=3: expected a number that divides attention_size=8": partial(MultiHeadAttention, 8, 4, num_heads=3),
    "num_heads=0: expected an integer": partial(MultiHeadAttention, 8, 4, num_heads=0),
    "num_heads=3: expected a number that divides attention_size=4": partial(SelfAttention, 4, num_heads=3),
    "dropout=1.0: expected a probability": partial(SelfAttention, 4, dropout=1.0),
    "window=0: expected": partial(LocalMonotonicAttention, 4, 4, GeneralAttention, window=0),
    "score=MonotonicAttention: expected": partial(LocalMonotonicAttention, 4, 4, MonotonicAttention),
    "score=CoverageAttention: expected": partial(LocalPredictiveAttention, 4, 4, CoverageAttention),
    "score=MultiHeadAttention: expected": partial(LocalPredictiveAttention, 4, 4, MultiHeadAttention),
    "score=Linear: expected": partial(LocalPredictiveAttention, 4, 4, torch.nn.Linear),
    "kernel_size=4: expected an odd number": partial(LocationSensitiveAttention, 4, 4, kernel_size=4),
    "num_filters=0: expected": partial(LocationSensitiveAttention, 4, 4, num_filters=0),
    "max_fertility=0.0: expected": partial(CoverageAttention, 4, 4, max_fertility=0.0),
    "noise=-1.0: expected": partial(MonotonicAttention, 4, 4, noise=-1.0),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_arguments_out_of_range(message):
    with pytest.raises(ValueError) as raised:
        MISTAKES[message]()
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_shapes_that_do_not_fit():
    attention = GeneralAttention(2, 3)
    values = torch.randn(2, 5, 3)
    memory = attention.remember(values)
    for wrong in (torch.randn(2, 5, 4), torch.randn(2, 3), torch.randn(2, 0, 3)):
        with pytest.raises(ValueError, match=r"^values: expected shape \(batch, source, 3\), got"):
            attention.remember(wrong)
    for wrong in (torch.randn(2, 1, 3), torch.randn(2, 2), torch.randn(3, 1, 2)):
        with pytest.raises(ValueError, match=r"^queries: expected shape \(2, time, 2\), got"):
            attention(wrong, memory)
    with pytest.raises(ValueError, match=r"^lengths: expected 0 to 5, got 2 to 6"):
        attention.remember(values, torch.tensor([2, 6]))
    with pytest.raises(ValueError, match=r"^weights: expected shape"):
        coverage_loss(torch.randn(2, 3))
    with pytest.raises(ValueError, match=r"^lengths: expected 0 to 3"):
        coverage_loss(torch.rand(1, 3, 2), torch.tensor([4]))

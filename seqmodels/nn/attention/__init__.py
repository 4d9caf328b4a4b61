"""Attention: what a decoder reads of a source at each step. Needs torch alone.

attention = AdditiveAttention(query_size=32, value_size=64)
memory = attention.remember(encoder_outputs, lengths)  # keys are made here, once
context, weights, state = attention(decoder_outputs, memory)
"""

from seqmodels.nn.attention.additive import AdditiveAttention, ConcatAttention
from seqmodels.nn.attention.attention import Attended, Attention, Memory
from seqmodels.nn.attention.dot import DotAttention, GeneralAttention, ScaledDotAttention
from seqmodels.nn.attention.local import LocalAttention, LocalMonotonicAttention, LocalPredictiveAttention
from seqmodels.nn.attention.monotonic import MonotonicAttention
from seqmodels.nn.attention.multi_head import MultiHeadAttention, SelfAttention
from seqmodels.nn.attention.past import CoverageAttention, LocationSensitiveAttention, PastAttention, coverage_loss

__all__ = [
    "AdditiveAttention",
    "Attended",
    "Attention",
    "ConcatAttention",
    "CoverageAttention",
    "DotAttention",
    "GeneralAttention",
    "LocalAttention",
    "LocalMonotonicAttention",
    "LocalPredictiveAttention",
    "LocationSensitiveAttention",
    "Memory",
    "MonotonicAttention",
    "MultiHeadAttention",
    "PastAttention",
    "ScaledDotAttention",
    "SelfAttention",
    "coverage_loss",
]

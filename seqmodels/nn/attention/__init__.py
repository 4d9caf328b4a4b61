"""Attention: what a decoder looks at in a source."""

from seqmodels.nn.attention.attention import Attended, Attention, Memory

__all__ = ["Attended", "Attention", "Memory"]

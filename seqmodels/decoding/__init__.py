"""Making sequences with any model that can take one step."""

from seqmodels.decoding.sampling import Sampling, generate
from seqmodels.decoding.text import TextWriter

__all__ = ["Sampling", "TextWriter", "generate"]

"""Making sequences with any model that can take one step."""

from seqmodels.decoding.condition import Condition, read_context
from seqmodels.decoding.sampling import Sampling, generate
from seqmodels.decoding.text import TextWriter

__all__ = ["Condition", "Sampling", "TextWriter", "generate", "read_context"]

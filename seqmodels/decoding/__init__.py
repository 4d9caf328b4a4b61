"""Making sequences with any model that can take one step."""

from seqmodels.decoding.beam import BeamSearch, FoundText, Hypotheses
from seqmodels.decoding.condition import Condition, read_context
from seqmodels.decoding.constraints import Constraints
from seqmodels.decoding.ctc import Labelling, collapse, likeliest_path, prefix_beam_search
from seqmodels.decoding.sampling import Sampling, generate
from seqmodels.decoding.search import beam_search
from seqmodels.decoding.text import TextWriter
from seqmodels.decoding.writing import Writing

__all__ = [
    "BeamSearch",
    "Condition",
    "Constraints",
    "FoundText",
    "Hypotheses",
    "Labelling",
    "Sampling",
    "TextWriter",
    "Writing",
    "beam_search",
    "collapse",
    "generate",
    "likeliest_path",
    "prefix_beam_search",
    "read_context",
]

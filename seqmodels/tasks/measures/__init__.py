"""Measures: figures of what was predicted, over a whole part of the data."""

from seqmodels.tasks.measures.alignments import Alignments
from seqmodels.tasks.measures.bag_of_words import BagOfWords
from seqmodels.tasks.measures.captions import Captions
from seqmodels.tasks.measures.classes import Classification
from seqmodels.tasks.measures.exact import ExactMatch
from seqmodels.tasks.measures.frames import FrameAccuracy
from seqmodels.tasks.measures.free_running import FreeRunning
from seqmodels.tasks.measures.hypotheses import Hypotheses, TextComparison, Transcripts
from seqmodels.tasks.measures.labels import Labels
from seqmodels.tasks.measures.likelihood import StepNLL
from seqmodels.tasks.measures.measure import Measure, default_measures
from seqmodels.tasks.measures.numbers import Regression
from seqmodels.tasks.measures.spans import SpanF1
from seqmodels.tasks.measures.tolerance import Solved
from seqmodels.tasks.measures.written import ClassVerdict, WrittenTunes

__all__ = [
    "Alignments",
    "BagOfWords",
    "Captions",
    "ClassVerdict",
    "Classification",
    "ExactMatch",
    "FrameAccuracy",
    "FreeRunning",
    "Hypotheses",
    "Labels",
    "Measure",
    "Regression",
    "Solved",
    "SpanF1",
    "StepNLL",
    "TextComparison",
    "Transcripts",
    "WrittenTunes",
    "default_measures",
]

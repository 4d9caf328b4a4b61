"""Front ends: what turns the inputs of a step into a vector that the recurrent layers read."""

from seqmodels.models.frontends.frames import StackedFrames
from seqmodels.models.frontends.frontend import Frontend
from seqmodels.models.frontends.images import SmallCNN, TorchVision
from seqmodels.models.frontends.tokens import ClassEmbedding, Embedding, OneHot, SourceEmbedding
from seqmodels.models.frontends.vectors import Identity, Linear
from seqmodels.models.frontends.words import WordsWithCharacters

__all__ = [
    "ClassEmbedding",
    "Embedding",
    "Frontend",
    "Identity",
    "Linear",
    "OneHot",
    "SmallCNN",
    "SourceEmbedding",
    "StackedFrames",
    "TorchVision",
    "WordsWithCharacters",
]

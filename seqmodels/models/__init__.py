"""Plain `nn.Module`s for the shapes a sequence task takes."""

from seqmodels.models.forecaster import Forecaster
from seqmodels.models.frontends import (
    ClassEmbedding,
    Embedding,
    Frontend,
    Identity,
    Linear,
    OneHot,
    SmallCNN,
    TorchVision,
    WordsWithCharacters,
)
from seqmodels.models.language_model import LanguageModel
from seqmodels.models.readouts import AttentionPooling, LastState, MaxPooling, MeanPooling, Readout
from seqmodels.models.sequence_model import SequenceModel

__all__ = [
    "AttentionPooling",
    "ClassEmbedding",
    "Embedding",
    "Forecaster",
    "Frontend",
    "Identity",
    "LanguageModel",
    "LastState",
    "Linear",
    "MaxPooling",
    "MeanPooling",
    "OneHot",
    "Readout",
    "SequenceModel",
    "SmallCNN",
    "TorchVision",
    "WordsWithCharacters",
]

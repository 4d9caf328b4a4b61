"""Plain `nn.Module`s for the shapes a sequence task takes."""

from seqmodels.models.encoder import Bridge, Encoder
from seqmodels.models.encoder_decoder import EncoderDecoder
from seqmodels.models.forecaster import Forecaster
from seqmodels.models.frontends import (
    ClassEmbedding,
    Embedding,
    Frontend,
    Identity,
    Linear,
    OneHot,
    SmallCNN,
    SourceEmbedding,
    StackedFrames,
    TorchVision,
    WordsWithCharacters,
)
from seqmodels.models.language_model import LanguageModel
from seqmodels.models.readouts import AttentionPooling, LastState, MaxPooling, MeanPooling, Readout
from seqmodels.models.sequence_model import SequenceModel
from seqmodels.models.transcriber import Transcriber

__all__ = [
    "AttentionPooling",
    "Bridge",
    "ClassEmbedding",
    "Embedding",
    "Encoder",
    "EncoderDecoder",
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
    "SourceEmbedding",
    "StackedFrames",
    "TorchVision",
    "Transcriber",
    "WordsWithCharacters",
]

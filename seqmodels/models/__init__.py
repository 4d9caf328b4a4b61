"""Plain `nn.Module`s for the shapes a sequence task takes."""

from seqmodels.models.language_model import LanguageModel

__all__ = ["LanguageModel"]

"""What the generated problems that are made of text share."""

from typing import ClassVar

from seqmodels.data.synthetic.problem import GeneratedProblem
from seqmodels.data.tokenizers import Tokenizer


class TextProblem(GeneratedProblem):
    """A problem whose inputs are the tokens of a text.

    Attributes:
        tokenizer: Makes tokens of such a text; its `to_spec` is the "tokenizer" of `spec`.
    """

    tokenizer: ClassVar[Tokenizer]

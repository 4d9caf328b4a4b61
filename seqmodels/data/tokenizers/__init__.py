"""Tokenizers: text to token ids and back."""

from typing import Any

from seqmodels.data.tokenizers.base import IncrementalDecoder, Tokenizer
from seqmodels.data.tokenizers.bpe import BPETokenizer
from seqmodels.data.tokenizers.characters import ByteTokenizer, CharTokenizer
from seqmodels.data.tokenizers.words import WordTokenizer
from seqmodels.errors import UserError

__all__ = [
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "IncrementalDecoder",
    "Tokenizer",
    "WordTokenizer",
    "tokenizer_from_spec",
]

_CLASSES = {cls.kind: cls for cls in (BPETokenizer, ByteTokenizer, CharTokenizer, WordTokenizer)}


def tokenizer_from_spec(spec: dict[str, Any]) -> Tokenizer:
    """Rebuilds a tokenizer from what its `to_spec` gave. Nothing of the spec is executed.

    Args:
        spec: Plain data, as it comes out of a run's `spec.json`.

    Raises:
        UserError: Where it describes no tokenizer.

    Example:
        >>> tokenizer_from_spec({"kind": "byte", "special": ["<bos>"]}).vocab_size
        257
    """
    if not isinstance(spec.get("kind"), str) or spec["kind"] not in _CLASSES:
        raise UserError(f"tokenizer kind={spec.get('kind')!r}: expected one of {', '.join(sorted(_CLASSES))}")
    try:
        tokenizer: Tokenizer = _CLASSES[spec["kind"]].from_spec(spec)
        tokenizer.add_special_tokens(spec["special"])
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"the description of the {spec['kind']} tokenizer is damaged: {error!r}") from error
    return tokenizer

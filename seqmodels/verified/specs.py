"""What a spec says of texts and classes, held against itself before anything is made of it."""

from collections.abc import Mapping
from typing import Any

from seqmodels.data import tokenizer_from_spec
from seqmodels.errors import UserError

_LONGEST = 1_000_000
_TOKENIZERS = (("", "vocab_size"), ("inputs", "vocab_size"), ("context", "source_vocab_size"))


def check_spec(spec: Mapping[str, Any]) -> None:
    """Refuses a spec whose vocabularies, sizes and tokens do not go together.

    Args:
        spec: What was read.

    Raises:
        UserError: With the key and what it has.
    """
    for name in ("inputs", "context", "targets"):
        if not isinstance(spec.get(name) or {}, Mapping):
            raise UserError(f"{name}: expected a mapping, got {type(spec[name]).__name__}")
    for name, key in _TOKENIZERS:
        part = (spec.get(name) or {}) if name else spec
        tokenizer = part.get("tokenizer") or (spec.get("tokenizer") if name == "inputs" else None)
        if tokenizer is not None and key in part:
            _check_tokens(f"{name}.".lstrip("."), part, tokenizer, key)
    longest = spec.get("longest_target")
    if longest is not None and (type(longest) is not int or not 1 <= longest <= _LONGEST):
        raise UserError(f"longest_target={longest}: expected an integer from 1 to {_LONGEST:,}")
    classes = (spec.get("targets") or {}).get("classes")
    if classes is not None:
        _check_texts("targets.classes", classes)


def _check_tokens(place: str, part: Mapping[str, Any], tokenizer: Any, key: str) -> None:
    """Holds a vocabulary against its size, and the tokens that have a meaning against both."""
    if not isinstance(tokenizer, Mapping):
        raise UserError(f"{place}tokenizer: expected a mapping, got {type(tokenizer).__name__}")
    for name in ("words", "tokens", "special"):
        if tokenizer.get(name) is not None:
            _check_texts(f"{place}tokenizer.{name}", tokenizer[name])
    made = tokenizer_from_spec(dict(tokenizer))
    size = made.vocab_size
    if part[key] != size or type(part[key]) is not int:
        raise UserError(f"{place}{key}={part[key]}: its tokenizer has {size}")
    for name in ("unk", "bos", "eos"):
        token = part.get(name)
        if token is not None and (type(token) is not int or not 0 <= token < size):
            raise UserError(f"{place}{name}={token}: expected null or a token from 0 to {size - 1}")
        if name != "unk" and token is not None and made.special_id(f"<{name}>") != token:
            raise UserError(f"{place}{name}={token}: its tokenizer has {made.special_id(f'<{name}>')}")


def _check_texts(place: str, texts: Any) -> None:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{place}: expected a list of texts")
    if len(set(texts)) != len(texts):
        raise UserError(f"{place}: the same text stands there twice")

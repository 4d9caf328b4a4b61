import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    IncrementalDecoder,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_spec,
)
from seqmodels.errors import UserError

TEXT = "the cat, the dog.\n\tA “naïve” 猫 🐈 saw the theatre\n"


def fitted(kind: str) -> Tokenizer:
    classes = {"char": CharTokenizer, "byte": ByteTokenizer, "word": WordTokenizer}
    tokenizer = BPETokenizer(300) if kind == "bpe" else classes[kind]()
    tokenizer.fit([TEXT[:20], TEXT[20:]])
    return tokenizer


KINDS = ["char", "byte", "word", "bpe"]


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_nothing_is_lost(kind: str) -> None:
    tokenizer = fitted(kind)
    ids = tokenizer.encode(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert ids.max() < tokenizer.vocab_size
    assert tokenizer.unknown_id not in ids


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_know_every_text(kind: str, text: str) -> None:
    tokenizer = BYTE_LEVEL[kind]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.unknown(text) == []


BYTE_LEVEL = {kind: fitted(kind) for kind in ("byte", "bpe")}


@pytest.mark.parametrize("kind", KINDS)
def test_spec_survives_json(kind: str) -> None:
    tokenizer = fitted(kind)
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    rebuilt = tokenizer_from_spec(json.loads(json.dumps(tokenizer.to_spec())))
    assert rebuilt.fitted
    assert rebuilt.vocab_size == tokenizer.vocab_size
    assert (rebuilt.encode(TEXT) == tokenizer.encode(TEXT)).all()
    assert rebuilt.decode(range(tokenizer.vocab_size)) == tokenizer.decode(range(tokenizer.vocab_size))
    assert rebuilt.special_id("<eos>") == tokenizer.special_id("<eos>") == tokenizer.vocab_size - 1


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_last_and_decode_to_nothing(kind: str) -> None:
    tokenizer = fitted(kind)
    size = tokenizer.vocab_size
    text = tokenizer.decode(tokenizer.encode("the cat"))
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    tokenizer.add_special_tokens(["<bos>"])
    assert [tokenizer.special_id(name) for name in ("<bos>", "<eos>", "<pad>")] == [size, size + 1, None]
    assert tokenizer.vocab_size == size + 2
    assert tokenizer.decode([size, *tokenizer.encode("the cat"), size + 1]) == text


@pytest.mark.parametrize("kind", KINDS)
def test_empty_text(kind: str) -> None:
    tokenizer = fitted(kind)
    assert len(tokenizer.encode("")) == 0
    assert np.issubdtype(tokenizer.encode("").dtype, np.integer)
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_text_shown_as_it_is_made_is_the_whole_text(kind: str) -> None:
    tokenizer = fitted(kind)
    decoder = IncrementalDecoder(tokenizer)
    ids = tokenizer.encode(TEXT)
    pieces = [decoder.push(token) for token in ids]
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) + decoder.flush() == tokenizer.decode(ids)


def test_bytes_that_never_complete_a_character_are_shown() -> None:
    decoder = IncrementalDecoder(ByteTokenizer())
    assert "".join([decoder.push(0xE7) for _ in range(8)]) + decoder.flush() == "\ufffd" * 8
    assert decoder.flush() == ""


def test_characters_below_min_count_are_unknown() -> None:
    tokenizer = CharTokenizer(min_count=2)
    tokenizer.fit(["aab", "bc"])
    assert tokenizer.vocab_size == 3
    assert tokenizer.encode("abcz😀").tolist() == [1, 2, 0, 0, 0]
    assert tokenizer.unknown("czcab😀") == ["c", "z", "😀"]
    assert tokenizer.decode([1, 0]) == "a\ufffd"


def test_words_below_min_count_are_unknown() -> None:
    tokenizer = WordTokenizer(min_count=2)
    tokenizer.fit(["a b a", "b c"])
    assert tokenizer.encode("c a b").tolist() == [0, 1, 2]
    assert tokenizer.unknown("c a d c") == ["c", "d"]


def test_frequent_words_come_first() -> None:
    tokenizer = WordTokenizer()
    tokenizer.fit(["a b", " b c b c"])
    assert tokenizer.encode("b c a").tolist() == [1, 2, 3]


def test_words_keep_line_ends_and_most_spaces() -> None:
    tokenizer = fitted("word")
    assert tokenizer.decode(tokenizer.encode("the cat, the dog.\nA 猫")) == "the cat, the dog.\nA 猫"


def test_bpe_merges_what_is_frequent() -> None:
    tokenizer = BPETokenizer(260)
    tokenizer.fit(["the the the the other"] * 4)
    assert tokenizer.vocab_size == 260
    assert len(tokenizer.encode("the")) < 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CharTokenizer(0), "tokenizer.min_count=0"),
        (lambda: WordTokenizer(-1), "tokenizer.min_count=-1"),
        (lambda: BPETokenizer(255), "tokenizer.vocab_size=255"),
        (lambda: tokenizer_from_spec({"kind": "os.system"}), "kind='os.system': expected one of bpe, byte, char, word"),
        (lambda: tokenizer_from_spec({"kind": "char", "min_count": 1}), "char tokenizer is damaged"),
        (lambda: tokenizer_from_spec({"kind": "char", "min_count": 1, "codes": "ab", "special": []}), "is damaged"),
        (lambda: tokenizer_from_spec({"kind": "bpe", "vocab_size": 300, "tokens": ["a"], "merges": [["a", "b"]],
                                      "special": []}), "is damaged"),
    ],
)  # fmt: skip
def test_mistakes_are_told(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bpe_is_the_same_every_time() -> None:
    specs = []
    for _ in range(3):
        tokenizer = BPETokenizer(400)
        tokenizer.fit([Path(__file__).read_text("utf-8")])
        specs.append(tokenizer.to_spec())
    assert specs[0] == specs[1] == specs[2]

"""Pairs whose sources have words that the vocabulary lacks: their numbers, in sources, targets and texts."""

import pytest

from seqmodels.data import CharTokenizer, ParallelText, WordTokenizer, tokenizer_from_spec
from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.pairs.encoding import PairTokenizers
from seqmodels.data.pairs.limits import LengthLimits
from seqmodels.errors import UserError


def fitted(copy_unknown=True):
    pairs = [TextPair("greet the man", "hello the man")] * 3
    return PairTokenizers.fitted(pairs, WordTokenizer(pretokenized=True), joint=True, copy_unknown=copy_unknown)


def test_words_are_numbered_in_order_of_appearance_each_once():
    tokenizers = fitted()
    size = tokenizers.target.vocab_size
    pair = TextPair("greet Ada the Bob Ada", "hello Bob Ada Cleo the")
    example = tokenizers.encode(pair)
    assert example.words == ("Ada", "Bob")
    numbers = [int(id) - size for id in example.context if id >= size]
    assert numbers == [0, 1, 0]
    ids = example.targets.tolist()
    assert ids[1:4] == [size + 1, size, tokenizers.target.unknown_id], "Cleo is in no source"
    assert example.inputs.tolist()[1:] == ids[:-1]
    assert tokenizers.target.extended(example.words).decode(ids) == "hello Bob Ada <unk> the"
    assert tokenizers.source.extended(example.words).decode(example.context) == pair.source


def test_without_the_key_all_stays_as_it_was():
    plain, copied = fitted(copy_unknown=False), fitted()
    pair = TextPair("greet Ada", "hello Ada")
    example = plain.encode(pair)
    assert example.words is None
    assert example.context.max() < plain.target.vocab_size
    assert "copied_unk" not in plain.spec({"train": [pair]})["context"]
    known = TextPair("greet the man", "hello man")
    for one, other in zip(plain.encode(known)[:3], copied.encode(known)[:3], strict=True):
        assert one.tolist() == other.tolist()


def test_a_spec_makes_the_same_tokenizers_again():
    tokenizers = fitted()
    again = PairTokenizers.from_spec(tokenizers.spec({"train": [TextPair("a", "b")]}))
    pair = TextPair("greet Ada", "hello Ada")
    assert again.encode(pair).targets.tolist() == tokenizers.encode(pair).targets.tolist()
    assert again.request("greet Ada").words == ("Ada",)


def test_what_is_cut_from_a_source_cannot_be_copied_from_it():
    tokenizers = fitted()
    size, unknown = tokenizers.target.vocab_size, tokenizers.target.unknown_id
    limits = LengthLimits(source=2, too_long="cut")
    example = limits.encode([TextPair("Ada the Bob", "Bob Ada hello")], tokenizers, training=True)[0]
    assert example.context.tolist()[:2] == [size, tokenizers.source.encode("the")[0]]
    assert example.targets.tolist()[:2] == [unknown, size]
    only_known = limits.encode([TextPair("the man Bob", "Bob hello")], tokenizers, training=True)[0]
    assert only_known.targets.max() < size
    assert only_known.targets[0] == unknown


def module(tmp_path, **settings):
    file = tmp_path / "pairs.tsv"
    file.write_text("".join(f"greet name{n}\thello name{n}\n" for n in range(40)))
    tokenizer = WordTokenizer(min_count=3)
    settings = {"tokenizer": tokenizer, "joint": True, "copy_unknown": True, "batch_size": 8, **settings}
    made = ParallelText(str(file), **settings)
    made.setup()
    return made


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_bring_the_words_of_their_rows(tmp_path, num_workers):
    data = module(tmp_path, num_workers=num_workers)
    tokenizer = tokenizer_from_spec(data.spec["tokenizer"])
    assert data.spec["context"]["copied_unk"] == tokenizer.unknown_id
    seen = set()
    for window in data.train_dataloader():
        for source, targets, words in zip(window.context, window.targets, window.words, strict=True):
            own = tokenizer.extended(words)
            name = own.decode(source).removeprefix("greet ")
            assert own.decode(targets[targets >= 0]) == f"hello {name}"
            seen.add(name)
    assert len(seen) == data.train_dataloader().dataset.examples.lengths.size


def test_requests_and_single_sources_bring_theirs(tmp_path):
    data = module(tmp_path)
    again = ParallelText(str(tmp_path / "pairs.tsv"), joint=True, copy_unknown=True, spec=data.spec)
    assert again.read_source("greet Zoe").words == ("Zoe",)
    (tmp_path / "in.txt").write_text("greet Zoe\ngreet greet\n")
    assert [request.example.words for request in again.read_requests(str(tmp_path / "in.txt"))] == [("Zoe",), ()]


@pytest.mark.parametrize("settings", [{"joint": False}, {"tokenizer": CharTokenizer()}])
def test_what_does_not_fit_is_told(tmp_path, settings):
    with pytest.raises(
        UserError, match=r"data\.copy_unknown=true: copies words; expected data.joint=true and tokenizer"
    ):
        module(tmp_path, **settings)


def test_other_tokens_than_words_are_extended_by_nothing():
    tokenizer = CharTokenizer()
    assert tokenizer.extended(()) is tokenizer
    with pytest.raises(TypeError, match="char: these tokens are no words"):
        tokenizer.extended(["Ada"])


def test_an_extended_tokenizer_leaves_the_first_one_alone():
    tokenizer = WordTokenizer()
    tokenizer.fit(["hello , you"])
    tokenizer.add_special_tokens(["<eos>"])
    extended = tokenizer.extended(["Ada"])
    ids = extended.encode("hello Ada , you")
    assert extended.decode(ids) == "hello Ada, you"
    assert extended.unknown("Ada Bob") == ["Bob"]
    assert (extended.vocab_size, extended.special_id("<eos>")) == (tokenizer.vocab_size, tokenizer.special_id("<eos>"))
    assert tokenizer.unknown("Ada") == ["Ada"]
    assert tokenizer.decode([*ids, extended.special_id("<eos>")]) == "hello, you"

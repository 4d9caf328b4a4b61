import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from seqmodels.data.synthetic.sentences import NEGATIVE, POSITIVE, SentenceOrder
from seqmodels.data.synthetic.tags import BracketsDepth, PrefixParity


def sentences(count: int, seed: int) -> tuple[list[str], list[int]]:
    problem = SentenceOrder()
    drawn = [problem.words(np.random.default_rng([seed, index])) for index in range(count)]
    return [" ".join(words) for words, _ in drawn], [sentiment for _, sentiment in drawn]


def test_bag_of_words_stays_at_chance() -> None:
    texts, sentiments = sentences(4000, 0)
    bag = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 1))
    model = LogisticRegression(max_iter=1000).fit(bag.fit_transform(texts), sentiments)
    other_texts, other_sentiments = sentences(2000, 1)
    assert model.score(bag.transform(other_texts), other_sentiments) <= 0.6
    # Order does decide: pairs of words are enough.
    pairs = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2))
    model = LogisticRegression(max_iter=1000).fit(pairs.fit_transform(texts), sentiments)
    assert model.score(pairs.transform(other_texts), other_sentiments) > 0.8


def test_each_sentence_has_a_twin_of_the_same_words() -> None:
    problem = SentenceOrder()
    generator = np.random.default_rng(0)
    for _ in range(500):
        negative, positive = problem.pair(generator)
        assert sorted(positive) == sorted(negative)
        assert positive != negative


def test_what_is_said_decides() -> None:
    problem = SentenceOrder()
    found = 0
    for index in range(500):
        words, sentiment = problem.words(np.random.default_rng(index))
        text = " ".join(words)
        if " was always " in text:
            said = text.partition(" was always ")[2].split()[0]
            assert (said in problem.good) == (sentiment == POSITIVE)
            assert (said in problem.bad) == (sentiment == NEGATIVE)
            found += 1
    assert found > 10


@pytest.mark.parametrize("max_words", [12, 20, 30])
def test_sentences_are_balanced_varied_and_within_their_length(max_words: int) -> None:
    problem = SentenceOrder(max_words)
    drawn = [problem.draw(np.random.default_rng([0, index])) for index in range(2000)]
    lengths = [len(example.inputs) for example in drawn]
    assert max(lengths) <= max_words
    assert len(set(lengths)) >= 6
    assert 0.46 < np.mean([example.targets for example in drawn]) < 0.54
    assert len({example.inputs.tobytes() for example in drawn}) > 1900
    used = set(np.concatenate([example.inputs for example in drawn]).tolist())
    assert used <= set(range(1, problem.tokenizer.vocab_size))


def test_twenty_words_are_reached() -> None:
    assert max(len(SentenceOrder().words(np.random.default_rng(index))[0]) for index in range(2000)) == 20


def test_draws_are_a_function_of_the_generator() -> None:
    for problem in (SentenceOrder(), BracketsDepth(), PrefixParity()):
        first, again, other = (problem.draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
        assert first.inputs.tolist() == again.inputs.tolist()
        assert first.targets.tolist() == again.targets.tolist()
        assert first.inputs.tolist() != other.inputs.tolist()
        assert first.inputs.dtype == first.targets.dtype == np.int64


def test_depths_are_those_of_the_brackets() -> None:
    problem = BracketsDepth(length=50, shortest=5, max_depth=3)
    seen = set()
    for seed in range(300):
        example = problem.draw(np.random.default_rng(seed))
        text = problem.tokenizer.decode(example.inputs)
        assert 5 <= len(text) <= 50
        depths = [text[: end + 1].count("(") - text[: end + 1].count(")") for end in range(len(text))]
        assert min(depths) >= 0
        assert example.targets.tolist() == [min(depth, 3) for depth in depths]
        seen |= set(depths)
    assert {0, 1, 2, 3, 4, 5} <= seen  # deeper than what is told apart, too
    assert problem.spec["targets"]["classes"] == ["0", "1", "2", "3+"]


def test_parities_are_those_of_the_bits() -> None:
    for seed in range(100):
        problem = PrefixParity(length=30, shortest=1)
        example = problem.draw(np.random.default_rng(seed))
        bits = [int(bit) for bit in problem.tokenizer.decode(example.inputs)]
        assert example.targets.tolist() == [sum(bits[: end + 1]) % 2 for end in range(len(bits))]


def test_settings_out_of_range_are_told() -> None:
    for make, message in [
        (lambda: SentenceOrder(11), "^length=11: expected at least 12"),
        (lambda: BracketsDepth(max_depth=0), "^max_depth=0: expected at least 1"),
        (lambda: BracketsDepth(5, 0), "^shortest=0: expected at least 1"),
        (lambda: PrefixParity(5, 6), "^length=5: expected at least 6"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()

"""The front end of words with their characters."""

import pytest
import torch

from seqmodels.data.tagged.words import WordEncoder
from seqmodels.models import WordsWithCharacters

WORDS = ["walking", "Talk", "a"]


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder.fitted([WORDS], min_count=1, max_characters=8)


def frontend(encoder: WordEncoder, **keywords) -> WordsWithCharacters:
    torch.manual_seed(0)
    return WordsWithCharacters(**encoder.sizes, size=6, character_size=5, character_features=4, **keywords)


def encode(encoder: WordEncoder, *words: str) -> torch.Tensor:
    return torch.from_numpy(encoder.encode(words))


@pytest.mark.parametrize("width", [1, 2, 3, 12])
def test_a_word_is_the_same_whatever_stands_beside_it(encoder: WordEncoder, width: int) -> None:
    model = frontend(encoder, width=width).eval()
    alone = model(encode(encoder, "a"))
    together = model(encode(encoder, "walking", "a", "Talk", "a"))
    assert together.shape == (4, 10)
    torch.testing.assert_close(together[1], alone[0])
    torch.testing.assert_close(together[3], alone[0])
    batch = torch.stack([encode(encoder, "a", "Talk"), torch.zeros(2, 9, dtype=torch.long)])
    torch.testing.assert_close(model(batch)[0], together[[1, 2]])
    assert model(batch).isfinite().all()


def test_characters_tell_words_apart_that_are_not_known(encoder: WordEncoder) -> None:
    model = frontend(encoder).eval()
    first, other, known, capital = model(encode(encoder, "talking", "gnilkat", "talk", "Talk"))
    torch.testing.assert_close(first[:6], other[:6])  # both are unknown
    assert not torch.allclose(first[6:], other[6:])
    torch.testing.assert_close(known[:6], capital[:6])  # the same word
    assert not torch.allclose(known[6:], capital[6:])


def test_spelling_is_the_convolution_by_hand(encoder: WordEncoder) -> None:
    model = frontend(encoder, width=3).eval()
    inputs = encode(encoder, "Talk")
    letters = model.characters(inputs[0, 1:5])
    padded = torch.cat([torch.zeros(2, 5), letters, torch.zeros(2, 5)])
    weight, bias = model.convolution.weight, model.convolution.bias
    windows = [torch.einsum("ocw,wc->o", weight, padded[start : start + 3]) + bias for start in range(6)]
    torch.testing.assert_close(model(inputs)[0, 6:], torch.stack(windows).amax(0))


def test_words_are_dropped_in_training_alone(encoder: WordEncoder) -> None:
    model = frontend(encoder, word_dropout=0.5)
    inputs = encode(encoder, "walking").expand(1000, -1)
    torch.manual_seed(0)
    unknown = (model(inputs)[:, :6] == model.words.weight[0]).all(-1)
    assert 400 < int(unknown.sum()) < 600
    assert not (model.eval()(inputs)[:, :6] == model.words.weight[0]).all(-1).any()
    # The spelling stays.
    assert len(model.train()(inputs)[:, 6:].unique(dim=0)) == 1


def test_gradients_reach_words_and_characters(encoder: WordEncoder) -> None:
    model = frontend(encoder)
    model(encode(encoder, *WORDS)).sum().backward()
    assert model.words.weight.grad is not None
    assert model.characters.weight.grad is not None
    assert model.characters.weight.grad[0].eq(0).all()  # none, past the end
    assert model.characters.weight.grad[2:].ne(0).any()


@pytest.mark.parametrize("setting", [{"size": 0}, {"character_size": 0}, {"width": 0}, {"word_dropout": 1.0}])
def test_settings_out_of_range_are_refused(setting: dict) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=f"^{name}="):
        WordsWithCharacters(10, 10, **setting)

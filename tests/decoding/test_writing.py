"""Texts that a beam search finds with a language model, and with an encoder-decoder."""

import pytest
import torch

from seqmodels.data import CharTokenizer
from seqmodels.decoding import BeamSearch, Constraints, Sampling, TextWriter
from seqmodels.errors import UserError
from seqmodels.models import ClassEmbedding, Encoder, EncoderDecoder, LanguageModel, SourceEmbedding
from seqmodels.nn import AdditiveAttention, GRUCell

STOP = 10


def writer_of(model):
    """A writer of ids 0 (unknown), 1 to 8 (letters), 9 (the beginning) and 10 (the end)."""
    for parameter in model.parameters():
        parameter.data *= 3  # far from indifferent
    tokenizer = CharTokenizer()
    tokenizer.fit(["abcdefgh"])
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    spec = {"kind": "text", "tokenizer": tokenizer.to_spec(), "unk": 0, "bos": 9, "eos": STOP}
    return TextWriter.from_spec(model.eval(), spec)


@pytest.fixture
def writer():
    torch.manual_seed(1)
    return writer_of(LanguageModel(11, GRUCell, hidden_size=16, embedding_size=8, context=ClassEmbedding(3, 8)))


@torch.no_grad()
def log_probability(logits, ids):
    return float(logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum())


def test_found_texts_have_the_probability_that_the_model_gives_them(writer):
    contexts = torch.tensor([2, 0, 1, 2])
    search = BeamSearch(beam_size=6, n_best=4, length_penalty=0.8)
    found = writer.search("a", 12, search, 4, contexts)
    assert found[0] == found[3]
    assert found[0] != found[1]
    for texts, context in zip(found, contexts, strict=True):
        assert [text.score for text in texts] == sorted((text.score for text in texts), reverse=True)
        assert len({text.text for text in texts}) == 4
        for text in texts:
            written = writer.tokenizer.encode(text.text).tolist()
            written = written if len(written) == 12 else [*written, STOP]
            ids = [9, *writer.tokenizer.encode("a").tolist(), *written]
            with torch.no_grad():
                logits, _ = writer.model(torch.tensor([ids[:-1]]), context=context[None])
            expected = log_probability(logits[0, -len(written) :], written)
            assert text.log_probability == pytest.approx(expected, abs=1e-4)
            assert text.score == pytest.approx(expected / ((5 + len(written)) / 6) ** 0.8, abs=1e-4)


def test_the_best_is_written_in_a_batch_and_alone_and_a_beam_of_one_is_greedy(writer):
    contexts = torch.tensor([0, 1, 2])
    search = BeamSearch(beam_size=5)
    texts = writer.write("b", 20, search, 3, contexts=contexts)
    assert texts == [writer.write("b", 20, search, 1, contexts=context[None])[0] for context in contexts]
    assert texts == [found[0].text for found in writer.search("b", 20, search, 3, contexts)]
    greedy = writer.write("b", 20, Sampling(0), 3, contexts=contexts)
    assert writer.write("b", 20, BeamSearch(beam_size=1), 3, contexts=contexts) == greedy


def test_writing_leaves_the_model_as_it_was(writer):
    writer.model.train()
    writer.search("a", 3, BeamSearch(2), contexts=torch.tensor([0]))
    assert writer.model.training


def test_constraints_hold_in_texts(writer):
    contexts = torch.tensor([1, 1])
    rules = Constraints(min_length=15, no_repeat_ngram=2)
    drawn = writer.write("a", 20, Sampling(2.0), 2, 0, contexts, constraints=rules)
    streamed = "".join(writer.stream("a", 20, Sampling(2.0), 0, contexts[0], rules))
    found = writer.search("a", 20, BeamSearch(4, n_best=4), 1, contexts[:1], constraints=rules)[0]
    for text in (*drawn, streamed, *(one.text for one in found)):
        assert len(text) >= 15
        pairs = [("a" + text)[at : at + 2] for at in range(len(text))]
        assert len(pairs) == len(set(pairs))


def test_required_texts_appear(writer):
    rules = writer.requiring(["hgf", "dd"])
    assert writer.search("a", 20, BeamSearch(5, n_best=5), 1, torch.tensor([0]), constraints=rules)[0]
    for text in writer.search("a", 20, BeamSearch(5, n_best=5), 1, torch.tensor([0]), constraints=rules)[0]:
        assert "hgf" in text.text
        assert "dd" in text.text
    with pytest.raises(UserError, match="required='xyz': the vocabulary of this run lacks 'x', 'y', 'z'"):
        writer.requiring(["a", "xyz"])


def test_a_beam_wider_than_the_vocabulary_is_told(writer):
    with pytest.raises(UserError, match="beam_size=12: expected at most 11, the size of the vocabulary"):
        writer.search("a", 5, BeamSearch(12), contexts=torch.tensor([0]))


def test_a_model_without_attention_has_no_coverage(writer):
    with pytest.raises(UserError, match=r"coverage_penalty=0\.2: the model gives no attention weights"):
        writer.search("a", 5, BeamSearch(3, coverage_penalty=0.2), contexts=torch.tensor([0]))


@pytest.mark.parametrize("feeding", [False, True])
def test_sources_are_repeated_for_the_beam_and_their_padding_changes_nothing(feeding):
    torch.manual_seed(0)
    encoder = Encoder(SourceEmbedding(source_vocab_size=9, size=8), GRUCell, hidden_size=8)
    model = EncoderDecoder(
        encoder, 11, GRUCell, attention=AdditiveAttention, hidden_size=16, embedding_size=8, input_feeding=feeding
    )
    writer = writer_of(model)
    sources = torch.tensor([[3, 1, 4, 1, 5], [2, 7, 0, 0, 0], [8, 2, 8, 0, 0]])
    lengths = torch.tensor([5, 2, 3])
    search = BeamSearch(beam_size=4, n_best=3, length_penalty=0.5, coverage_penalty=0.4)
    found = writer.search(None, 10, search, 3, sources, lengths)
    for row, texts in enumerate(found):
        size = int(lengths[row])
        alone = writer.search(None, 10, search, 1, sources[row : row + 1, :size], lengths[row : row + 1])[0]
        assert [text.text for text in texts] == [text.text for text in alone]
        for text, other in zip(texts, alone, strict=True):
            assert text.score == pytest.approx(other.score, abs=1e-4)
            written = [*writer.tokenizer.encode(text.text).tolist(), STOP][:10]
            with torch.no_grad():
                hidden, _ = model.hidden(
                    torch.tensor([[9, *written[:-1]]]), memory=model.remember(sources[row : row + 1, :size], None)
                )
                weights, logits = model.split(hidden)[1][0], model.outputs(hidden)[0]
            assert text.attention.shape == (len(written), size)
            assert torch.allclose(text.attention, weights, atol=1e-5)
            assert text.log_probability == pytest.approx(log_probability(logits, written), abs=1e-4)

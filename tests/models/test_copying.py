"""Copying what the vocabulary lacks: probabilities by definition, gradients, and nothing changed where it lacks nothing."""

import pytest
import torch

from seqmodels.models import Embedding, Encoder, EncoderDecoder
from seqmodels.models.copying import as_known, mix_copies
from seqmodels.nn import AdditiveAttention, GRUCell
from seqmodels.nn.attention import Memory

VOCABULARY, UNK = 6, 0
# The first source has two words beyond the vocabulary, one of them twice; the second has one; the third none.
SOURCE = torch.tensor([[3, 6, 4, 7, 6], [2, 6, 1, 0, 0], [5, 0, 0, 0, 0]])
LENGTHS = torch.tensor([5, 3, 1])
TARGET = torch.tensor([[1, 6, 3, 7], [5, 6, 1, 2], [3, 3, 3, 3]])


def make(copied_unk=UNK, **options):
    torch.manual_seed(0)
    encoder = Encoder(Embedding(VOCABULARY, 4), GRUCell, hidden_size=6)
    options = {"hidden_size": 8, "embedding_size": 4, "copying": True, "copied_unk": copied_unk, **options}
    return EncoderDecoder(encoder, VOCABULARY, GRUCell, AdditiveAttention, **options).double().eval()


def test_what_the_vocabulary_lacks_is_only_copied():
    model = make()
    memory = model.remember(SOURCE, LENGTHS)
    hidden, _ = model.hidden(TARGET, memory=memory)
    vectors, weights = model.split(hidden)
    logs = model.outputs(hidden, memory=memory)
    assert logs.shape == (3, 4, 8)
    gate = model.copying(vectors).sigmoid()
    expected = torch.zeros(3, 4, 8, dtype=torch.double)
    expected[..., :VOCABULARY] = gate * model.head(vectors).softmax(-1)
    for row in range(3):
        for step in range(LENGTHS[row]):
            expected[row, :, SOURCE[row, step]] += ((1 - gate) * weights[..., step : step + 1])[row, :, 0]
    torch.testing.assert_close(logs.exp(), expected)
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(3, 4, dtype=torch.double))
    assert logs[1, :, 7].eq(-torch.inf).all(), "a number that this source does not use can never be written"
    assert logs[2, :, 6:].eq(-torch.inf).all()
    assert logs[0].isfinite().all()


def test_it_is_read_as_unknown_in_sources_and_in_targets():
    model = make()
    known, known_target = (ids.masked_fill(ids >= VOCABULARY, UNK) for ids in (SOURCE, TARGET))
    hidden, _ = model.hidden(TARGET, memory=model.remember(SOURCE, LENGTHS))
    expected, _ = model.hidden(known_target, memory=model.remember(known, LENGTHS))
    torch.testing.assert_close(hidden, expected, rtol=0, atol=0)
    likely = torch.nn.functional.one_hot(TARGET, 8).double()
    mixed, _ = model.hidden(likely, memory=model.remember(SOURCE, LENGTHS))
    torch.testing.assert_close(mixed, expected)


def test_a_batch_of_known_words_gives_the_same_bits_as_before():
    source, target = SOURCE % VOCABULARY, TARGET % VOCABULARY
    with_words, _ = make()(target, context=source, context_lengths=LENGTHS)
    without, _ = make(copied_unk=None)(target, context=source, context_lengths=LENGTHS)
    assert torch.equal(with_words, without)


def test_other_sources_of_a_batch_change_nothing_but_the_width():
    model = make()
    whole, _ = model(TARGET, context=SOURCE, context_lengths=LENGTHS)
    alone, _ = model(TARGET[1:2], context=SOURCE[1:2, :3])
    assert alone.shape[-1] == 7
    torch.testing.assert_close(alone, whole[1:2, :, :7])


@pytest.mark.parametrize("input_feeding", [False, True])
def test_one_call_is_what_single_steps_of_repeated_rows_are(input_feeding):
    model = make(input_feeding=input_feeding)
    whole, _ = model(TARGET, context=SOURCE, context_lengths=LENGTHS)
    memory, state, steps = model.repeat(model.remember(SOURCE, LENGTHS), 2), None, []
    for step in range(TARGET.shape[1]):
        hidden, state = model.hidden(TARGET[:, step : step + 1].repeat_interleave(2, 0), state, memory=memory)
        steps.append(model.outputs(hidden, memory=memory))
    torch.testing.assert_close(torch.cat(steps, 1)[::2], whole)


def test_gradients_agree_with_differences():
    torch.manual_seed(0)
    logits, gate = (torch.randn(3, 4, size, dtype=torch.double, requires_grad=True) for size in (VOCABULARY, 1))
    scores = torch.randn(3, 4, 5, dtype=torch.double, requires_grad=True)
    valid = torch.arange(5) < LENGTHS[:, None]

    def of_targets(logits, gate, scores):
        weights = scores.masked_fill(~valid[:, None], -torch.inf).softmax(-1)
        return mix_copies(logits, gate, weights, SOURCE, width=8).gather(-1, TARGET[..., None])

    assert torch.autograd.gradcheck(of_targets, (logits, gate, scores))
    of_targets(logits, gate, scores).sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (logits, gate, scores))


def test_everything_learns_from_a_word_that_is_copied():
    model = make()
    logs, _ = model(TARGET, context=SOURCE, context_lengths=LENGTHS)
    logs[0, 1, 6].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert model.copying.weight.grad.abs().sum() > 0
    assert model.encoder.frontend.table.weight.grad[UNK].abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_finite_where_something_can_be_written(dtype):
    logits, gate = torch.full((3, 1, VOCABULARY), 100.0, dtype=dtype), torch.tensor(50.0, dtype=dtype).expand(3, 1, 1)
    weights = torch.zeros(3, 1, 5, dtype=dtype)
    weights[..., 0] = 1
    found = mix_copies(logits, gate, weights, SOURCE, width=8)
    assert found.dtype == torch.float32
    assert found[0].isfinite().all()
    assert not found.isnan().any()


def test_probabilities_of_what_is_lacking_go_to_the_unknown_token():
    likely = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    torch.testing.assert_close(as_known(likely, 2, unk=1), torch.tensor([[0.1, 0.9]]))
    assert torch.equal(as_known(likely, 4, unk=1), likely)


def test_numbers_of_words_need_a_model_that_copies():
    with pytest.raises(ValueError, match=r"copying=false: data\.copy_unknown=true numbers words"):
        make(copying=False)


def test_the_memory_of_a_model_that_does_not_copy_is_as_wide_as_its_vocabulary():
    memory = make(copied_unk=None, copying=False).remember(SOURCE % VOCABULARY, LENGTHS)
    assert memory.width == VOCABULARY
    assert memory.ids is None
    assert isinstance(memory.attended, Memory)

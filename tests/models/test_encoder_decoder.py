"""The encoder-decoder: what reaches the decoder, padding, one call against single steps, and its options."""

from functools import partial

import pytest
import torch
from torch import nn

from seqmodels.models import Bridge, Embedding, Encoder, EncoderDecoder, SourceEmbedding
from seqmodels.nn import (
    AdditiveAttention,
    ClockworkCell,
    CoverageAttention,
    DotAttention,
    ElmanCell,
    GeneralAttention,
    GRUCell,
    LocationSensitiveAttention,
    LSTMCell,
    MultiHeadAttention,
    RecurrentDropoutCell,
    SLSTMCell,
    Stacking,
    make_recurrent,
    map_state,
)

SOURCE = torch.tensor([[3, 1, 4, 1, 5], [2, 7, 1, 0, 0], [6, 0, 0, 0, 0]])
LENGTHS = torch.tensor([5, 3, 1])
TARGET = torch.tensor([[1, 2, 3, 4], [5, 6, 1, 2], [3, 3, 3, 3]])


def make_encoder(cell=GRUCell, **options):
    return Encoder(SourceEmbedding(9, 4), cell, **{"hidden_size": 6, **options})


def make(cell=GRUCell, encoder=None, **options):
    torch.manual_seed(0)
    encoder = encoder or make_encoder(cell)
    made = EncoderDecoder(encoder, 9, cell, **{"hidden_size": 8, "embedding_size": 4, **options})
    return made.double().eval()


FORMS = {
    "plain": {},
    "summary": {"summary": True},
    "input_feeding": {"input_feeding": True},
    "attention": {"attention": AdditiveAttention},
    "luong": {"attention": GeneralAttention, "input_feeding": True, "num_layers": 2},
    "both": {"attention": AdditiveAttention, "input_feeding": True, "summary": True},
    "coverage": {"attention": CoverageAttention},
    "location": {"attention": LocationSensitiveAttention, "input_feeding": True},
    "copying": {"attention": AdditiveAttention, "copying": True},
    "lstm": {"cell": LSTMCell, "attention": AdditiveAttention, "num_layers": 2},
    "native": {"cell": nn.LSTM, "attention": AdditiveAttention},
    "residual": {"num_layers": 3, "stacking": Stacking(connections="residual"), "embedding_size": 8},
}


def form(name):
    options = dict(FORMS[name])
    cell = options.pop("cell", GRUCell)
    encoder = Encoder(Embedding(9, 4), cell, hidden_size=6) if options.get("copying") else None
    return make(cell, encoder, **options)


@pytest.mark.parametrize("name", FORMS)
def test_one_call_is_what_single_steps_are_with_the_state_handed_on(name):
    model = form(name)
    whole, end = model(TARGET, context=SOURCE, context_lengths=LENGTHS)
    memory, state, steps = model.remember(SOURCE, LENGTHS), None, []
    for step in range(TARGET.shape[1]):
        hidden, state = model.hidden(TARGET[:, step : step + 1], state, memory=memory)
        steps.append(model.outputs(hidden, memory=memory))
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    for one, other in zip(state, end, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", FORMS)
def test_padding_of_the_source_changes_no_output_and_no_gradient(name):
    model = form(name)
    found = []
    for padding in (0, 8):
        source = SOURCE.masked_fill(torch.arange(5) >= LENGTHS[:, None], padding)
        logits, _ = model(TARGET, context=source, context_lengths=LENGTHS)
        model.zero_grad()
        logits.square().sum().backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        found.append((logits.detach(), gradients))
    (logits, gradients), (others, other_gradients) = found
    torch.testing.assert_close(logits, others, rtol=0, atol=1e-12)
    for name_, gradient in gradients.items():
        torch.testing.assert_close(gradient, other_gradients[name_], rtol=0, atol=1e-9)
    alone, _ = model(TARGET[1:2], context=SOURCE[1:2, :3])
    torch.testing.assert_close(alone, logits[1:2])


@pytest.mark.parametrize("name", FORMS)
def test_every_row_of_a_state_can_be_taken_by_itself(name):
    model = form(name)
    memory = model.remember(SOURCE, LENGTHS)
    _, state = model.hidden(TARGET, memory=memory)
    rows = torch.tensor([2, 0])
    chosen = map_state(lambda tensor: tensor.index_select(1, rows), state)
    expected, _ = model.hidden(TARGET, state, memory=memory)
    few = model.remember(SOURCE[rows], LENGTHS[rows])
    got, _ = model.hidden(TARGET[rows], chosen, memory=few)
    torch.testing.assert_close(model.outputs(got, memory=few), model.outputs(expected, memory=memory)[rows])


@pytest.mark.parametrize("name", FORMS)
def test_repeated_memories_are_those_of_repeated_sources(name):
    model = form(name)
    memory = model.repeat(model.remember(SOURCE, LENGTHS), 2)
    expected = model.remember(SOURCE.repeat_interleave(2, 0), LENGTHS.repeat_interleave(2))
    rows = TARGET.repeat_interleave(2, 0)
    for made in (memory, expected):
        hidden, _ = model.hidden(rows, memory=made)
        logits = model.outputs(hidden, memory=made)
        torch.testing.assert_close(logits[::2], model(TARGET, context=SOURCE, context_lengths=LENGTHS)[0])
        torch.testing.assert_close(logits[1::2], logits[::2])


def test_without_attention_the_source_comes_by_the_first_state_alone():
    model = make(bridge="zero")
    one, _ = model(TARGET, context=SOURCE, context_lengths=LENGTHS)
    other, _ = model(TARGET, context=SOURCE.flip(0), context_lengths=LENGTHS.flip(0))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    model = make(bridge="zero", summary=True)
    one, _ = model(TARGET, context=SOURCE, context_lengths=LENGTHS)
    other, _ = model(TARGET, context=SOURCE.flip(0), context_lengths=LENGTHS.flip(0))
    assert not torch.allclose(one, other)


def test_summary_is_the_last_state_of_the_last_layer_from_both_ends():
    encoder = make_encoder(LSTMCell, num_layers=2, hidden_size=[6, 5])
    model = make(LSTMCell, encoder, summary=True)
    memory = model.remember(SOURCE, LENGTHS)
    outputs = model.encoder(SOURCE, LENGTHS).outputs
    for row, length in enumerate(LENGTHS.tolist()):
        expected = torch.cat([outputs[row, length - 1, :5], outputs[row, 0, 5:]])
        torch.testing.assert_close(memory.summary[row], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_reversed_source_is_read_from_its_end_and_its_outputs_stay_in_place(bidirectional):
    torch.manual_seed(0)
    encoder = make_encoder(bidirectional=bidirectional, reverse=True).eval()
    given = encoder(SOURCE, LENGTHS)
    turned = torch.tensor([[5, 1, 4, 1, 3], [1, 7, 2, 0, 0], [6, 0, 0, 0, 0]])
    encoder.reverse = False
    expected = encoder(turned, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(given.outputs[row, :length], expected.outputs[row, :length].flip(0))
    torch.testing.assert_close(given.state[0], expected.state[0])


def test_bridges_hand_on_what_they_say():
    torch.manual_seed(0)
    encoder = make_encoder(LSTMCell, num_layers=2)
    state = encoder(SOURCE, LENGTHS).state
    decoder = make_recurrent(LSTMCell, 4, 12, num_layers=2)
    copied = Bridge("copy", encoder.recurrent, decoder)(state)
    for tensor, read in zip(copied, state, strict=True):
        for layer in range(2):
            torch.testing.assert_close(tensor[layer], torch.cat([read[2 * layer], read[2 * layer + 1]], -1))
    last = Bridge("last", encoder.recurrent, make_recurrent(LSTMCell, 4, 12, num_layers=3))(state)
    assert all(
        torch.equal(tensor[layer], other[1]) for tensor, other in zip(last, copied, strict=True) for layer in range(3)
    )
    linear = Bridge("linear", encoder.recurrent, make_recurrent(GRUCell, 4, [5, 3], num_layers=2))(state)
    assert [tuple(tensor.shape) for tensor in linear] == [(2, 3, 5)]
    assert not linear[0][1, :, 3:].any()
    assert linear[0].abs().max() < 1
    assert Bridge("zero", encoder.recurrent, decoder)(state) is None


@pytest.mark.parametrize(
    "options,message",
    [
        ({"bridge": "copy"}, r"bridge=copy: .* the encoder has \[12\] and 1 states, the decoder \[8\] and 1"),
        (
            {"bridge": "last", "cell": LSTMCell, "hidden_size": 12},
            r"the encoder has \[12\] and 1 states, .* 2; bridge=lin",
        ),
        ({"attention": DotAttention}, r"attention\.query_size=8: .* the decoder's outputs, 8 wide, values .*, 12\)"),
        ({"attention": partial(MultiHeadAttention, num_heads=3)}, r"attention\.num_heads=3: expected"),
        ({"bridge": "sum"}, "bridge=sum: expected one of copy, linear, last, zero"),
        ({"copying": True}, "copying=true: .*expected an attention"),
        ({"share_embeddings": True, "vocab_size": 7}, "of one vocabulary .*, of 7 tokens"),
        ({"hidden_size": 0}, "hidden_size=0: expected at least 1"),
    ],
)
def test_parts_that_do_not_fit_are_told(options, message):
    settings = {"encoder": make_encoder(), "vocab_size": 9, "cell": GRUCell, "hidden_size": 8, "embedding_size": 4}
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(**(settings | options))


def test_shared_and_tied_embeddings_are_one_table():
    model = make(share_embeddings=True, tie_weights=True)
    assert model.frontend.table.weight is model.encoder.frontend.table.weight is model.head.weight
    names = [name for name, _ in model.named_parameters()]
    assert sum("table" in name or name == "head.weight" for name in names) == 1


def test_copying_mixes_what_is_predicted_with_what_is_looked_at():
    model = form("copying")
    memory = model.remember(SOURCE, LENGTHS)
    hidden, _ = model.hidden(TARGET, memory=memory)
    vectors, weights = model.split(hidden)
    probabilities = model.outputs(hidden, memory=memory).exp()
    gate = model.copying(vectors).sigmoid()
    expected = gate * model.head(vectors).softmax(-1)
    for row in range(3):
        for step in range(5):
            expected[row, :, SOURCE[row, step]] += ((1 - gate) * weights[..., step : step + 1])[row, :, 0]
    torch.testing.assert_close(probabilities, expected.to(probabilities.dtype), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones_like(probabilities[..., 0]))


def test_a_step_reads_what_the_step_before_predicted_from():
    model = make(input_feeding=True, attention=AdditiveAttention)
    memory = model.remember(SOURCE, LENGTHS)
    hidden, state = model.hidden(TARGET[:, :2], memory=memory)
    torch.testing.assert_close(state[-1][0], model.split(hidden)[0][:, 1])
    changed = (*state[:-1], state[-1] + 1)
    one, _ = model.hidden(TARGET[:, 2:3], state, memory=memory)
    other, _ = model.hidden(TARGET[:, 2:3], changed, memory=memory)
    assert not torch.allclose(one, other)


def test_gradients_reach_everything_and_agree_with_differences():
    torch.manual_seed(0)
    encoder = Encoder(SourceEmbedding(9, 2), ElmanCell, hidden_size=2)
    model = EncoderDecoder(
        encoder, 9, ElmanCell, AdditiveAttention, hidden_size=3, embedding_size=2, input_feeding=True, summary=True
    ).double()
    names, parameters = zip(*model.named_parameters(), strict=True)

    def run(*values):
        call = partial(torch.func.functional_call, model, dict(zip(names, values, strict=True)))
        return call((TARGET[:2, :2],), {"context": SOURCE[:2], "context_lengths": LENGTHS[:2]})[0]

    assert torch.autograd.gradcheck(run, parameters, atol=1e-6)


@pytest.mark.parametrize("cell", [SLSTMCell, ClockworkCell, partial(RecurrentDropoutCell, cell=LSTMCell)])
def test_what_a_cell_counts_or_draws_begins_as_it_says_whatever_the_encoder_left(cell):
    model = make(cell, make_encoder(GRUCell))
    state = model.initial_state(3, model.remember(SOURCE, LENGTHS))
    own = model.recurrent.initial_state(3)
    free = model.recurrent.num_free
    assert 0 < free < len(state) == len(own)
    assert all(torch.equal(one, other) for one, other in zip(state[free:], own[free:], strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(state[:free], own[:free], strict=True))
    hidden, _ = model.hidden(TARGET, memory=model.remember(SOURCE, LENGTHS))
    assert hidden.abs().max() < 1

"""The task of sequence to sequence with words that the vocabulary lacks: losses, feeds, windows, searches, pictures."""

from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy

from seqmodels.data import TBPTT, Form, WordTokenizer, collate, plan_windows
from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.pairs.encoding import PairTokenizers
from seqmodels.decoding import BeamSearch, Constraints, Sampling, TextWriter
from seqmodels.errors import UserError
from seqmodels.models import Embedding, Encoder, EncoderDecoder
from seqmodels.nn import AdditiveAttention, GRUCell
from seqmodels.tasks import (
    Alignments,
    ConstantForcing,
    FreeRunning,
    Hypotheses,
    ProfessorForcing,
    SequenceToSequence,
)
from seqmodels.tasks.free_running import run_freely

PAIRS = [
    TextPair("greet Ada", "hello Ada"),
    TextPair("greet the man Bob", "hello the man Bob"),
    TextPair("greet the man", "hello the man"),
]
TOKENIZERS = PairTokenizers.fitted(PAIRS * 2, WordTokenizer(min_count=5), joint=True, copy_unknown=True)
SPEC = TOKENIZERS.spec({"train": PAIRS})
SIZE = SPEC["vocab_size"]
EXAMPLES = [TOKENIZERS.encode(pair) for pair in PAIRS]
WINDOW = collate(EXAMPLES, form=Form.of(SPEC))


def make_task(copying=True, unk=SPEC["context"]["copied_unk"], **options):
    torch.manual_seed(0)
    encoder = Encoder(Embedding(SIZE, 4), GRUCell, hidden_size=4)
    model = EncoderDecoder(
        encoder, SIZE, GRUCell, AdditiveAttention, hidden_size=6, embedding_size=4, copying=copying, copied_unk=unk
    )
    return SequenceToSequence(model, torch.optim.SGD, **options)


def likely(task):
    return task.model(WINDOW.inputs, context=WINDOW.context, context_lengths=WINDOW.context_lengths)[0]


@pytest.fixture(scope="module")
def trained():
    """A model that has learned these pairs."""
    task = make_task()
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = cross_entropy(likely(task).flatten(0, 1), WINDOW.targets.flatten())
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    return task.eval()


def test_the_words_of_this_file_are_beyond_the_vocabulary():
    assert [example.words for example in EXAMPLES] == [("Ada",), ("Bob",), ()]
    assert int((WINDOW.targets >= SIZE).sum()) == 2
    assert WINDOW.words == (("Ada",), ("Bob",), ())


def test_the_loss_is_the_likelihood_of_words_that_are_copied_too():
    task = make_task()
    logs = likely(task).log_softmax(-1)
    scored = WINDOW.targets != -100
    expected = -logs.gather(-1, WINDOW.targets.clamp(min=0)[..., None])[..., 0][scored].mean()
    torch.testing.assert_close(task.training_step(WINDOW, 0), expected)


def test_smoothed_labels_give_nothing_to_what_the_vocabulary_lacks():
    task = make_task(label_smoothing=0.2)
    logs = likely(task).log_softmax(-1)
    scored = WINDOW.targets != -100
    smoothed = 0.8 * torch.nn.functional.one_hot(WINDOW.targets.clamp(min=0), SIZE + 1)
    smoothed[..., :SIZE] += 0.2 / SIZE
    expected = -(smoothed * logs.clamp(min=-1e4)).sum(-1)[scored].mean()
    loss = task.training_step(WINDOW, 0)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in task.model.parameters())
    known = collate(EXAMPLES[2:], form=Form.of(SPEC))
    logits = task.model(known.inputs, context=known.context)[0]
    usual = cross_entropy(logits[0], known.targets[0], label_smoothing=0.2, reduction="sum") / len(known.targets[0])
    assert torch.equal(task.training_step(known, 0), usual)


@pytest.mark.parametrize("feed", ["argmax", "sample", "mixed"])
def test_a_word_that_was_copied_is_fed_back_as_unknown(trained, feed):
    memory = trained.model.remember(WINDOW.context, WINDOW.context_lengths)
    free = torch.zeros_like(WINDOW.inputs, dtype=torch.bool)
    torch.manual_seed(0)
    _, logits, _ = run_freely(trained.model, WINDOW.inputs, free, feed, memory=memory)
    assert logits.shape[-1] == SIZE + 1
    assert torch.equal(logits.argmax(-1)[WINDOW.targets != -100], WINDOW.targets[WINDOW.targets != -100])


@pytest.mark.parametrize("feed", ["argmax", "sample", "mixed"])
@pytest.mark.parametrize("forcing", [0.0, 0.5])
def test_training_on_its_own_words_has_finite_gradients(feed, forcing):
    task = make_task(feed=feed, teacher_forcing=ConstantForcing(forcing))
    task.training_step(WINDOW, 0).backward()
    for name, parameter in task.model.named_parameters():
        assert parameter.grad.isfinite().all(), name


def test_professor_forcing_runs_over_copied_words():
    task = make_task(professor=partial(ProfessorForcing, cell=GRUCell, hidden_size=4))
    loss = task.training_step(WINDOW, 0)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in task.model.parameters())


@pytest.mark.parametrize("forcing", [1.0, 0.5])
def test_windows_of_a_target_have_its_whole_source(forcing):
    torch.manual_seed(0)
    task = make_task(teacher_forcing=ConstantForcing(forcing, per="sequence"))
    whole = make_task().training_step(WINDOW, 0).detach() * (WINDOW.targets != -100).sum()
    parts = []
    for plan in plan_windows(WINDOW.inputs.shape[1], TBPTT(2, 3)):
        part = collate(EXAMPLES, plan, Form.of(SPEC))
        assert part.words == WINDOW.words
        loss = task.training_step(part, 0)
        assert loss.isfinite()
        parts.append(loss.detach() * (part.targets != -100).sum())
    if forcing == 1:
        torch.testing.assert_close(sum(parts), whole)


def write(task, decoding, window=WINDOW, **options):
    writer = TextWriter.from_spec(task.model, SPEC).knowing(window.words)
    contexts = {"contexts": window.context, "context_lengths": window.context_lengths}
    return writer.write(None, 8, decoding, len(window.inputs), 0, **contexts, **options)


def test_greedy_and_beam_write_words_that_the_vocabulary_lacks(trained):
    wanted = [pair.target for pair in PAIRS]
    assert write(trained, Sampling(0)) == write(trained, BeamSearch(4)) == wanted
    assert write(trained, BeamSearch(4), constraints=Constraints(no_repeat_ngram=2, repetition_penalty=1.1)) == wanted
    drawn = write(trained, Sampling(2.0, top_p=0.9))
    assert not any("<unk>" in text for text in drawn)


def test_several_texts_of_a_beam_have_their_own_words(trained):
    writer = TextWriter.from_spec(trained.model, SPEC).knowing(WINDOW.words)
    search = BeamSearch(6, n_best=6, beam_groups=2, diversity=0.5)
    found = writer.search(None, 4, search, 3, WINDOW.context, WINDOW.context_lengths)
    texts = [[one.text for one in row] for row in found]
    assert any("Ada" in text for text in texts[0])
    assert not any("Bob" in text for text in texts[0] + texts[2])
    assert not any("Ada" in text for text in texts[1] + texts[2])


def test_one_source_lets_given_texts_have_its_words(trained):
    writer = TextWriter.from_spec(trained.model, SPEC).knowing([("Ada",)])
    one = collate(EXAMPLES[:1], form=Form.of(SPEC))
    assert "".join(writer.stream("hello", 4, Sampling(0), context=one.context[0])) == " Ada"
    rules = writer.requiring(["Ada Ada"])
    (found,) = writer.search(None, 6, BeamSearch(4), contexts=one.context, constraints=rules)
    assert "Ada Ada" in found[0].text


def test_a_length_penalty_without_a_beam_is_refused(trained):
    told = r"length_penalty=0\.6: says something of a beam search; give a beam_size above 1 too"
    with pytest.raises(ValueError, match=told):
        Hypotheses(trained.model, SPEC, length_penalty=0.6)
    with pytest.raises(UserError, match=told):
        Hypotheses(trained.model, SPEC, beam_size=2, length_penalty=0.6).search_by(BeamSearch(1, 0.6))


def test_measures_tell_texts_and_pictures_by_their_words(trained):
    measures = [Hypotheses(trained.model, SPEC, length=8), FreeRunning(trained.model), Alignments(trained.model, SPEC)]
    trained.measures = measures
    trained.validation_step(WINDOW._replace(references=None), 0)
    assert measures[0].references == measures[0].hypotheses == [pair.target for pair in PAIRS]
    assert measures[0].sources == [pair.source for pair in PAIRS]
    assert measures[1].compute()["token_accuracy_free"] == 1.0
    kept = {tuple(target): source for source, target, _ in measures[2].kept}
    assert kept["hello", "Ada", "<eos>"] == ["greet", "Ada", "<eos>"]
    assert len(measures[2].pictures()) == 1

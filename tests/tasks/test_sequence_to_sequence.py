"""The task of sequence to sequence: what is added to its loss, professor forcing, alignments."""

import inspect
from functools import partial

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from seqmodels.commands.composing import compose
from seqmodels.data import TBPTT, CharTokenizer, Window
from seqmodels.decoding import BeamSearch, Constraints, Sampling, TextWriter
from seqmodels.errors import UserError
from seqmodels.models import Encoder, EncoderDecoder, SourceEmbedding
from seqmodels.nn import AdditiveAttention, GRUCell
from seqmodels.nn.attention import coverage_loss
from seqmodels.tasks import Alignments, ConstantForcing, Hypotheses, ProfessorForcing, SequenceToSequence

SOURCE, SOURCE_LENGTHS = torch.tensor([[3, 1, 4, 1], [2, 6, 0, 0]]), torch.tensor([4, 2])
TARGETS = torch.tensor([[1, 2, 3], [4, 5, -100]])
INPUTS, LENGTHS = torch.tensor([[0, 1, 2], [0, 4, 0]]), torch.tensor([3, 2])
WINDOW = Window(INPUTS, TARGETS, LENGTHS, True, 3, 0, SOURCE, SOURCE_LENGTHS)


def make_task(attention=AdditiveAttention, **options):
    torch.manual_seed(0)
    encoder = Encoder(SourceEmbedding(7, 4), GRUCell, hidden_size=4)
    model = EncoderDecoder(encoder, 7, GRUCell, attention, hidden_size=6, embedding_size=4)
    return SequenceToSequence(model, torch.optim.SGD, **options)


def likelihood(task):
    logits, _ = task.model(INPUTS, context=SOURCE, context_lengths=SOURCE_LENGTHS)
    return cross_entropy(logits.flatten(0, 1), TARGETS.flatten())


def test_penalties_are_added_to_the_loss_to_train_on_and_to_nothing_that_is_reported():
    task = make_task(coverage_penalty=2.0, activation_penalty=3.0)
    plain = likelihood(task)
    memory = task.model.remember(SOURCE, SOURCE_LENGTHS)
    vectors, weights = task.model.split(task.model.hidden(INPUTS, memory=memory)[0])
    squares = torch.cat([vectors[0], vectors[1, :2]]).square().mean()
    expected = plain + 2 * coverage_loss(weights, LENGTHS) + 3 * squares
    torch.testing.assert_close(task.training_step(WINDOW, 0), expected)
    assert task.train_loss.compute() == pytest.approx(float(plain.detach()))
    task.eval().validation_step(WINDOW, 0)
    assert task.evaluation_loss.compute() == pytest.approx(float(plain.detach()))


def test_labels_are_smoothed_in_training_alone():
    task = make_task(label_smoothing=0.2)
    logits, _ = task.model(INPUTS, context=SOURCE, context_lengths=SOURCE_LENGTHS)
    expected = cross_entropy(logits.flatten(0, 1), TARGETS.flatten(), label_smoothing=0.2)
    torch.testing.assert_close(task.training_step(WINDOW, 0), expected)
    task.eval().validation_step(WINDOW, 0)
    assert task.evaluation_loss.compute() == pytest.approx(float(likelihood(task).detach()))


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match="coverage_penalty=-1: expected at least 0"):
        make_task(coverage_penalty=-1)
    with pytest.raises(ValueError, match=r"coverage_penalty=1.0: asks something of attention"):
        make_task(None, coverage_penalty=1.0)
    task = make_task(professor=partial(ProfessorForcing, cell=GRUCell))
    task.check_tbptt(TBPTT(None, None))
    with pytest.raises(UserError, match=r"task\.professor: judges whole targets, and tbptt\.k1=2"):
        task.check_tbptt(TBPTT(2, 2))
    with pytest.raises(UserError, match=r"task\.coverage_penalty: judges whole targets, and tbptt\.k1=2"):
        make_task(coverage_penalty=1.0).check_tbptt(TBPTT(2, 4))
    with pytest.raises(ValueError, match="professor: compares with runs that always read the truth"):
        make_task(professor=partial(ProfessorForcing, cell=GRUCell), teacher_forcing=ConstantForcing(0.5))


@pytest.mark.parametrize("right", ["often", "seldom", "always"])
def test_professor_forcing_teaches_judge_and_model_within_its_bounds(right):
    torch.manual_seed(1)
    bounds = {"often": (1.0, 0.0), "seldom": (1.0, 1.0), "always": (0.0, 0.0)}[right]
    professor = ProfessorForcing(4, GRUCell, hidden_size=3, weight=2.0, learn_below=bounds[0], teach_above=bounds[1])
    forced = torch.randn(2, 3, 4, requires_grad=True)
    free = torch.randn(2, 3, 4, requires_grad=True)
    loss = professor(forced, free, LENGTHS)
    on_forced, on_free = professor.judge(forced, LENGTHS), professor.judge(free, LENGTHS)
    share = torch.cat([on_forced > 0, on_free < 0]).float().mean()
    learns, teaches = share < bounds[0], share > bounds[1]
    assert bool(learns) == (right != "always")
    assert bool(teaches) == (right != "seldom")
    judging = binary_cross_entropy_with_logits(
        torch.cat([on_forced, on_free]), torch.tensor([1.0, 1, 0, 0]), reduction="mean"
    )
    expected = (2 * judging if learns else 0) + (2 * softplus(-on_free).mean() if teaches else 0)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert forced.grad is None
    assert (free.grad is not None) == bool(teaches)
    given = {name: parameter.grad for name, parameter in professor.judge.named_parameters()}
    professor.zero_grad()
    if learns:
        (
            2
            * binary_cross_entropy_with_logits(
                torch.cat([professor.judge(forced.detach(), LENGTHS), professor.judge(free.detach(), LENGTHS)]),
                torch.tensor([1.0, 1, 0, 0]),
            )
        ).backward()
        for name, parameter in professor.judge.named_parameters():
            torch.testing.assert_close(given[name], parameter.grad)
    else:
        assert all(gradient is None for gradient in given.values())


def test_the_judge_reads_no_padding():
    professor = ProfessorForcing(4, GRUCell, hidden_size=3)
    hidden = torch.randn(2, 3, 4)
    expected = professor.judge(hidden, LENGTHS)
    hidden[1, 2] = 100.0
    torch.testing.assert_close(professor.judge(hidden, LENGTHS), expected)


def test_professor_forcing_is_trained_with_the_model_and_changes_no_evaluation():
    task = make_task(professor=partial(ProfessorForcing, cell=GRUCell, teach_above=0.0))
    task.make_optimizer = partial(torch.optim.SGD, lr=0.1)
    trained = {id(parameter) for group in task.configure_optimizers().param_groups for parameter in group["params"]}
    assert trained == {id(parameter) for parameter in task.parameters()}
    assert len(trained) > len(list(task.model.parameters()))
    loss = task.training_step(WINDOW, 0)
    assert loss > likelihood(task)
    loss.backward()
    assert all(parameter.grad is not None for parameter in task.professor.parameters())
    task.eval().validation_step(WINDOW, 0)
    assert task.evaluation_loss.compute() == pytest.approx(float(likelihood(task).detach()))


def spec(*, source=True):
    tokenizer = CharTokenizer()
    tokenizer.fit(["abcde"])
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    context = {"kind": "tokens", "tokenizer": tokenizer.to_spec()} if source else {"kind": "frames"}
    return {"tokenizer": tokenizer.to_spec(), "context": context}


def full_spec():
    return {**spec(), "shape": "sequence_to_sequence", "bos": 0, "eos": 6, "unk": None}


def test_alignments_are_the_models_weights_with_tokens_on_the_axes():
    task = make_task()
    measure = Alignments(task.model, spec(), num_drawn=2)
    assert measure.pictures() == {}
    measure.update({}, WINDOW)
    memory = task.model.remember(SOURCE, SOURCE_LENGTHS)
    weights = task.model.split(task.model.hidden(INPUTS, memory=memory)[0])[1].detach()
    (figure,) = measure.pictures().values()
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 2
    for row, (axes, length, steps) in enumerate(zip(drawn, (4, 2), (3, 2), strict=True)):
        torch.testing.assert_close(torch.tensor(axes.images[0].get_array()), weights[row, :steps, :length])
    assert [label.get_text() for label in drawn[0].get_xticklabels()] == ["c", "a", "d", "a"]
    assert [label.get_text() for label in drawn[1].get_yticklabels()] == ["d", "e"]
    ending = WINDOW._replace(targets=torch.tensor([[7, 2, 3], [4, 5, -100]]))
    ended = Alignments(task.model, spec(), num_drawn=1)
    ended.update({}, ending)
    (figure,) = ended.pictures().values()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["<eos>", "b", "c"]
    for _ in range(5):
        measure.update({}, WINDOW)
    turned = WINDOW._replace(context=SOURCE[[1, 0]], context_lengths=torch.tensor([2, 4]))
    measure.update({}, turned)
    (figure,) = measure.pictures().values()
    drawn = [axes for axes in figure.axes if axes.images]
    assert [len(axes.get_xticks()) for axes in drawn] == [4, 2]  # the first of all, and of the last batch
    measure.clear()
    assert measure.pictures() == {}
    assert measure.compute() == {}


def test_alignments_without_attention_or_without_tokens():
    nothing = Alignments(make_task(None).model, spec())
    nothing.update({}, WINDOW)
    assert nothing.pictures() == {}
    frames = Alignments(make_task().model, spec(source=False), num_drawn=1)
    frames.update({}, WINDOW)
    (figure,) = frames.pictures().values()
    assert len(figure.axes[0].images) == 1
    with pytest.raises(ValueError, match="num_drawn=0: expected at least 1"):
        Alignments(make_task().model, spec(), num_drawn=0)


@pytest.mark.parametrize("warm_start", [0, 2])
def test_hypotheses_are_what_a_beam_finds(warm_start):
    task = make_task()
    for parameter in task.model.parameters():
        parameter.data *= 3  # far from indifferent
    described, found = full_spec(), {}
    for name, settings in {
        "greedy": {},
        "beam": {"beam_size": 4},
        "long": {"beam_size": 4, "length_penalty": 3.0},
    }.items():
        measure = Hypotheses(task.model, described, length=6, warm_start=warm_start, **settings)
        measure.update({}, WINDOW)
        found[name] = measure.hypotheses
        if warm_start:
            assert [text[:2] for text in measure.hypotheses] == ["ab", "de"]
    given = Constraints(prefix=[row[:warm_start].tolist() for row in TARGETS])
    for name, penalty in (("beam", 0.0), ("long", 3.0)):
        search = BeamSearch(4, length_penalty=penalty)
        texts = TextWriter.from_spec(task.model, described).search(None, 6, search, 2, SOURCE, SOURCE_LENGTHS, given)
        assert found[name] == [text[0].text for text in texts]
    assert found["beam"] != found["greedy"]
    assert (found["long"] != found["beam"]) == (warm_start == 2)


def test_a_beam_of_hypotheses_is_in_range():
    model, described = make_task().model, full_spec()
    with pytest.raises(ValueError, match="beam_size=0: expected at least 1"):
        Hypotheses(model, described, beam_size=0)
    with pytest.raises(ValueError, match=r"length_penalty=-1\.0: expected a number of at least 0"):
        Hypotheses(model, described, length_penalty=-1.0)
    with pytest.raises(ValueError, match="beam_size=9: expected at most 8, the size of the vocabulary"):
        Hypotheses(model, described, beam_size=9)


def test_hypotheses_have_a_configuration_of_all_their_settings():
    configured = compose(["experiment=reversal"])["task"]["measures"]["hypotheses"]
    parameters = inspect.signature(Hypotheses).parameters
    assert {*configured} - {"_target_"} == {*parameters} - {"model", "spec"}
    assert all(value == parameters[name].default for name, value in configured.items() if name != "_target_")


def test_hypotheses_are_what_the_model_writes_after_the_tokens_that_it_is_given():
    task = make_task()
    described = full_spec()
    free, warm = (Hypotheses(task.model, described, length=6, warm_start=given) for given in (0, 2))
    for measure in (free, warm):
        measure.update({}, WINDOW)
        assert measure.references == ["abc", "de"]
        assert measure.sources == ["cada", "b"]  # and <eos>, which is no text
    assert [text[:2] for text in warm.hypotheses] == ["ab", "de"]
    assert [text[:2] for text in free.hypotheses] != ["ab", "de"]
    writer = TextWriter.from_spec(task.model, described)
    expected = writer.write(None, 6, Sampling(0), 2, contexts=SOURCE, context_lengths=SOURCE_LENGTHS)
    assert free.hypotheses == expected
    assert set(warm.compute()) == {"exact_match", "bleu", "chrf", "wer", "cer"}
    with pytest.raises(ValueError, match="warm_start=-1: expected at least 0"):
        Hypotheses(task.model, described, warm_start=-1)


def test_references_are_what_people_wrote_where_that_is_known():
    measure = Hypotheses(make_task().model, full_spec(), length=2)
    measure.update({}, WINDOW._replace(references=("ab c", "D E")))
    assert measure.references == ["ab c", "D E"]

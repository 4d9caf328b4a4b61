"""Measures of what a model writes: tunes by class, captions of images, and the likelihood of music."""

import numpy as np
import pytest
import torch

from seqmodels.data import CharTokenizer, ConditionedData, Example, Text, WordTokenizer, collate
from seqmodels.data.synthetic.tunes import RHYTHMS, compose_tune
from seqmodels.errors import UserError
from seqmodels.models import ClassEmbedding, LanguageModel, SmallCNN
from seqmodels.nn import GRUCell
from seqmodels.tasks import Captions, ClassVerdict, MultiLabelCrossEntropy, StepNLL, WrittenTunes

WINDOW = collate([Example(np.zeros(2, np.int64), np.zeros(2, np.int64))])


def spec_of(tokenizer, texts, context):
    tokenizer.fit(texts)
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    ends = {"bos": tokenizer.special_id("<bos>"), "eos": tokenizer.special_id("<eos>"), "unk": 0}
    return {"kind": "text", "tokenizer": tokenizer.to_spec(), "context": context, **ends}


class Known(ConditionedData):
    """Data of which only the texts of training are there."""

    def __init__(self, texts):
        self.training_texts = texts

    def load(self):
        raise NotImplementedError


@pytest.fixture
def tunes():
    """Generated tunes as data, with their spec and a model that has learned nothing."""
    drawn = [compose_tune(np.random.default_rng([1, number])) for number in range(150)]
    texts = [Text(tune, np.array(list(RHYTHMS).index(name))) for name, tune in drawn]
    classes = {"kind": "classes", "classes": list(RHYTHMS)}
    spec = spec_of(CharTokenizer(), [text.text for text in texts], classes)
    model = LanguageModel(64, GRUCell, hidden_size=8, embedding_size=4, context=ClassEmbedding(4, 4))
    return model, spec, Known(texts)


def test_the_verdict_tells_real_tunes_from_those_of_another_class(tunes, monkeypatch):
    measure = WrittenTunes(*tunes, num_samples=40)
    assert all(np.isnan(value) for value in measure.compute().values())  # nothing was evaluated yet
    measure.update({}, WINDOW)
    drawn = [compose_tune(np.random.default_rng([2, number])) for number in range(40)]
    right = [list(RHYTHMS).index(name) for name, _ in drawn]
    texts = [tune for _, tune in drawn]
    monkeypatch.setattr(measure, "write", lambda: (texts, right))
    figures = measure.compute()
    assert figures["parses"] == 1
    assert figures["verdict_on_real"] > 0.9
    assert figures["verdict"] > 0.9
    monkeypatch.setattr(
        measure, "write", lambda: ([text + "?" for text in texts[:10]] + texts[10:], right[1:] + right[:1])
    )
    figures = measure.compute()
    assert figures["parses"] == 0.75
    assert figures["verdict"] < 0.5
    measure.clear()
    assert np.isnan(measure.compute()["verdict"])


def test_the_classifier_is_shown_the_music_alone(tunes):
    measure = WrittenTunes(*tunes)
    assert measure.judged("X:1\nM:6/8\nK:D\nabc|\ndef|") == "abc|\ndef|"
    assert ClassVerdict(*tunes).judged("abc") == "abc"


def test_samples_are_asked_for_class_by_class(tunes):
    model, spec, data = tunes
    measure = WrittenTunes(model, spec, data, num_samples=6, length=7)
    asked = []
    model.context.register_forward_pre_hook(lambda module, inputs: asked.append(inputs[0].tolist()))
    texts, classes = measure.write()
    assert classes == [0, 1, 2, 3, 0, 1]
    assert asked[0] == classes
    assert [len(text) <= 7 for text in texts] == [True] * 6
    measure.update({}, WINDOW)
    assert measure.compute() == measure.compute()  # always from the same seed
    assert list(WrittenTunes(model, spec, num_samples=6).compute()) == ["parses"]  # no data, no classifier


def test_texts_that_are_not_written_by_class_are_refused(tunes):
    model, spec, _ = tunes
    for context in (None, {"kind": "images", "image_channels": 1, "image_size": [4, 4]}):
        with pytest.raises(UserError, match=r"task\.measures: .* by class"):
            ClassVerdict(model, {**spec, "context": context})


# Captions

PAIRS = [("one two", "one two"), ("three", "three four"), ("two two one", "one two three"), ("", "four")]


def captions_measure(monkeypatch):
    context = {"kind": "images", "image_channels": 1, "image_size": [4, 6]}
    spec = spec_of(WordTokenizer(), ["one two three four"], context)
    model = LanguageModel(8, GRUCell, hidden_size=4, embedding_size=4, context=SmallCNN(1, size=4))
    measure = Captions(model, spec)
    encode = measure.writer.tokenizer.encode
    examples = [
        Example(*(np.array([7, *encode(reference)], np.int64), np.array([*encode(reference), 6], np.int64)), image)
        for (_, reference), image in zip(PAIRS, np.zeros((4, 1, 4, 6), np.float32), strict=True)
    ]
    written = iter([[caption for caption, _ in PAIRS[:3]], [PAIRS[3][0]]])
    monkeypatch.setattr(measure.writer, "write", lambda *_, **__: next(written))
    for batch in (examples[:3], examples[3:]):
        measure.update({}, collate(batch))
    return measure


def test_captions_are_held_against_their_references(monkeypatch):
    figures = captions_measure(monkeypatch).compute()
    assert figures["exact_match"] == 0.25
    assert figures["word_accuracy"] == (2 + 1 + 1 + 0) / 8
    # By hand: 5 of 6 words are there, 1 of 3 pairs; no three in a row of the one possible, and none of four.
    assert 0 < figures["bleu"] < 100


def test_captions_are_shown_with_their_images(monkeypatch):
    measure = captions_measure(monkeypatch)
    axes = measure.pictures()["captions"].axes
    assert [(one.get_title(), one.title.get_color()) for one in axes[:4]] == [
        ("one two", "black"),
        ("three", "red"),
        ("two two one", "red"),
        ("-", "red"),
    ]
    assert axes[1].images[0].get_array().shape == (4, 6)
    measure.clear()
    assert measure.pictures() == {}
    assert np.isnan(measure.compute()["bleu"])


def test_captions_that_are_all_right_have_bleu_100(monkeypatch):
    measure = captions_measure(monkeypatch)
    measure.hypotheses = list(measure.references)
    right = {"exact_match": 1, "bleu": pytest.approx(100), "chrf": pytest.approx(100), "wer": 0, "cer": 0}
    assert measure.compute() == {**right, "word_accuracy": 1}


# Music


def test_nll_is_the_loss_of_a_step_and_in_the_mean_over_pieces_each_counts_once():
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    rolls = [(draw.random((steps, 88)) < 0.1).astype(np.float32) for steps in (3, 9, 5)]
    examples = [Example(roll[:-1], roll[1:]) for roll in rolls]
    measure, loss = StepNLL(), MultiLabelCrossEntropy()
    total, count, means = 0.0, 0, []
    for batch in (examples[:2], examples[2:]):
        window = collate(batch)
        logits = torch.randn(len(batch), window.inputs.shape[1], 88, dtype=torch.float64)
        measure.update(loss.describe(logits), window)
        for row, example in zip(logits, batch, strict=True):
            one, steps = loss(row[: len(example.inputs)], torch.from_numpy(example.targets))
            total, count, means = total + float(one), count + int(steps), [*means, float(one / steps)]
    assert count == 2 + 8 + 4
    assert measure.compute()["nll"] == pytest.approx(total / count, rel=1e-5)
    assert measure.compute()["nll_by_piece"] == pytest.approx(sum(means) / 3, rel=1e-5)
    measure.clear()
    assert np.isnan(measure.compute()["nll"])


@pytest.mark.parametrize("texts", [["ab"] * 20, [chr(100 + number) for number in range(20)]])
def test_the_verdict_is_left_out_where_no_classifier_can_be_fitted(tunes, texts):
    model, spec, _ = tunes
    classes = [0] * 20 if texts[0] == "ab" else [0, 1] * 10  # one class; or lines that have nothing in common
    known = Known([Text(text, np.array(number)) for text, number in zip(texts, classes, strict=True)])
    measure = ClassVerdict(model, spec, known, num_samples=2, length=3)
    assert measure.compute() == {}
    measure.update({}, WINDOW)
    assert measure.compute() == {}

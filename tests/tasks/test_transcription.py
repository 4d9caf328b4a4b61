"""Connectionist temporal classification: the loss by enumeration, a task that learns, sources that are too short."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from torch.nn.functional import ctc_loss

from seqmodels.data import IGNORE_INDEX, TBPTT, Example, Perturbation, Speech
from seqmodels.data.examples import Form, collate
from seqmodels.data.windows import WHOLE_SEQUENCES
from seqmodels.decoding import collapse
from seqmodels.errors import UserError
from seqmodels.models import Encoder, StackedFrames, Transcriber
from seqmodels.nn import GRUCell
from seqmodels.tasks import CTC, Transcription

PATTERN = r"(?P<label>[a-z]+)_\d+\.wav"


def test_the_loss_is_that_of_all_paths_that_say_the_target():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 4, dtype=torch.float64)
    targets = torch.tensor([[0, 1, 3], [1, 3, IGNORE_INDEX]])
    total, count = CTC(blank=2, end=3)(logits, targets)
    expected = 0.0
    for row, labels in zip(logits.softmax(-1), ([0, 1], [1]), strict=True):
        paths = (path for path in itertools.product(range(4), repeat=4) if collapse(path, 2) == labels)
        expected -= math.log(sum(math.prod(float(row[t, label]) for t, label in enumerate(path)) for path in paths))
    assert float(total) == pytest.approx(expected)
    assert int(count) == 3


def test_steps_that_say_the_blank_for_sure_are_no_steps():
    torch.manual_seed(1)
    encoder = Encoder(StackedFrames(3, 1), GRUCell, hidden_size=4)
    model = Transcriber(encoder, vocab_size=4, bos=2).double().eval()
    source, targets = torch.randn(2, 6, 3, dtype=torch.float64), torch.tensor([[0, 1, 3], [1, 1, 3]])
    lengths = torch.tensor([6, 4])
    total, _ = CTC(blank=2, end=3)(model(source, lengths), targets)
    logs = model(source, lengths).log_softmax(-1).transpose(0, 1)
    counts = torch.tensor([2, 2])
    expected = ctc_loss(logs, targets[:, :2], lengths, counts, blank=2, reduction="sum")
    assert float(total.detach()) == pytest.approx(float(expected.detach()))
    gradients = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    for found, right in zip(gradients, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        assert torch.allclose(found, right)
        assert found.isfinite().all()


SPEC = {"bos": 4, "eos": 5}


def transcription(factor=2, spec=SPEC):
    torch.manual_seed(0)
    model = Transcriber(Encoder(StackedFrames(3, factor), GRUCell, hidden_size=16), vocab_size=6, bos=4)
    return Transcription(model, functools.partial(torch.optim.Adam, lr=1e-2), spec)


def test_one_batch_is_learned_by_heart():
    draw = np.random.default_rng(0)
    examples = []
    for labels in ([0, 1], [2], [3, 3, 1], [1, 0, 2]):
        context = draw.normal(size=(16 + 2 * len(labels), 3)).astype(np.float32)
        examples.append(Example(np.array([4, *labels]), np.array([*labels, 5]), context))
    window, task = collate(examples, form=Form(context=True)), transcription()
    task.check_finite = lambda value, name: None
    optimizer = task.configure_optimizers()
    for _ in range(150):
        optimizer.zero_grad()
        loss = task.training_step(window, 0)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    path = task.run(window, None)[1].argmax(-1).tolist()
    assert [collapse(row, 4) for row in path] == [[0, 1], [2], [3, 3, 1], [1, 0, 2]]


def test_a_source_with_too_few_steps_is_told_by_its_file(tmp_path):
    for number in range(6):
        samples = np.random.default_rng(number).normal(0, 0.1, 1600).astype(np.float32)
        wavfile.write(tmp_path / f"yes_{number}.wav", 8000, samples)
    data = Speech(str(tmp_path), pattern=PATTERN, val_fraction=0.0, test_fraction=0.0)
    data.setup()
    transcription(18, data.spec).check_data(data)  # 18 frames are one step, and "yes" is one label
    wavfile.write(tmp_path / "aa_7.wav", 8000, samples)
    data = Speech(
        str(tmp_path),
        pattern=r"(?P<label>[a-z]*)_\d+\.wav",
        words={"yes": "yes", "aa": "yes yes"},
        val_fraction=0.0,
        test_fraction=0.0,
    )
    data.setup()
    transcription(6, data.spec).check_data(data)  # two labels alike need a blank between them: three steps
    with pytest.raises(UserError, match=r"aa_7\.wav: its 18 steps are 2 behind the front end, and its labels need 3"):
        transcription(7, data.spec).check_data(data)


def test_windows_are_refused():
    task = transcription()
    task.check_tbptt(WHOLE_SEQUENCES)
    with pytest.raises(UserError, match=r"tbptt\.k1=8: .* tbptt=whole"):
        task.check_tbptt(TBPTT(8, 8))


def test_a_row_that_is_too_short_has_an_infinite_loss_beside_longer_ones_too():
    draw = np.random.default_rng(0)
    short, long = (
        Example(np.array([4, 0, 1]), np.array([0, 1, 5]), draw.normal(size=(steps, 3)).astype(np.float32))
        for steps in (2, 16)
    )
    task = transcription()
    losses = []
    for examples in ([short], [short, long], [long]):
        window = collate(examples, form=Form(context=True))
        losses.append(float(task.score(task.loss, task.run(window, None)[1], window)[0].detach()))
    assert losses[:2] == [math.inf, math.inf]
    assert math.isfinite(losses[2])


def test_the_loss_of_a_row_is_the_same_beside_longer_ones():
    draw = np.random.default_rng(0)
    examples = [
        Example(np.array([4, 0, 1]), np.array([0, 1, 5]), draw.normal(size=(steps, 3)).astype(np.float32))
        for steps in (6, 9, 16)
    ]
    task = transcription().eval()

    def loss(chosen):
        window = collate(chosen, form=Form(context=True))
        return float(task.score(task.loss, task.run(window, None)[1], window)[0].detach())

    assert loss(examples) == pytest.approx(sum(loss([example]) for example in examples), rel=1e-5)


def test_a_speed_that_may_leave_too_few_steps_is_told(tmp_path):
    for number in range(6):
        samples = np.random.default_rng(number).normal(0, 0.1, 1600).astype(np.float32)  # 18 frames
        wavfile.write(tmp_path / f"yes_{number}.wav", 8000, samples)

    def check(factor, speed, **shares):
        words = {"yes": "yes no yes"}
        perturbation = None if speed is None else Perturbation(speed=speed)
        data = Speech(str(tmp_path), pattern=PATTERN, words=words, perturbation=perturbation, test_fraction=0.0)
        data.setup()
        transcription(factor, data.spec).check_data(data)

    check(6, None)
    check(6, 0.0)
    check(5, 0.1)  # at least 16 frames are 3 steps
    with pytest.raises(UserError) as caught:
        check(6, 0.1)
    assert str(caught.value).startswith("data.perturbation.speed=0.1: may leave 16 of the 18 steps of ")
    assert "which are 2 behind the front end, and its labels need 3; expected a lower speed" in str(caught.value)

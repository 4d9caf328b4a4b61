"""Questions about texts: what comes next, what a target is made of, and which labels a source says."""

from collections.abc import Iterator
from functools import partial
from typing import cast

import torch
from torch import Tensor

from seqmodels.analysis import variants, vectors_of
from seqmodels.data import Window
from seqmodels.models import EncoderDecoder, LanguageModel, Transcriber
from seqmodels.views.saliency_question import Choice, Question, outputs_of
from seqmodels.views.subject import Subject, shown, token_texts


def ask_text(subject: Subject, place: int, choice: Choice) -> Iterator[Question]:
    """Asks what mattered for each token that a language model writes: of a text that goes on after all of it."""
    model, window = cast(LanguageModel, subject.model), subject.window(place)
    whole = subject.spec.get("form") == "stream"
    read = window.inputs[0] if whole else window.inputs[0, : max(1, -(-window.inputs.shape[1] // 2))]
    ids = _continued(model, read, window, choice.ahead, subject.spec.get("eos") if not whole else None)
    written, inputs = ids[len(read) :], ids[:-1]
    run = partial(outputs_of, model, inputs, window)
    told = written.clone()
    close = min(choice.step or 1, len(written)) - 1
    if choice.output is not None and 0 <= choice.output < model.vocab_size:
        told[close] = choice.output

    def scores(rows: Tensor) -> Tensor:
        logs = run(rows)[:, len(read) - 1 :].log_softmax(-1)
        return logs.gather(-1, told.expand(len(rows), -1)[..., None])[..., 0]

    tokenizer = subject.tokenizer
    assert tokenizer is not None
    named = [shown(text) for text in token_texts(tokenizer, told.tolist())]
    yield Question(
        f"example {place + 1}: what comes after the prompt, the likeliest token each time",
        "prompt and text",
        vectors_of(model.frontend, inputs),
        scores,
        [f"log-probability of token {number} after the prompt, {name}" for number, name in enumerate(named, 1)],
        [close],
        token_texts(tokenizer, ids.tolist()),
        named,
        len(read),
    )


@torch.no_grad()
def _continued(model: LanguageModel, read: Tensor, window: Window, count: int, eos: int | None) -> Tensor:
    """Returns the ids of a prompt and of the likeliest token after each, up to the one that ends a text."""
    memory = model.remember(window.context)
    ids, state, last = [read], None, read
    for _ in range(count):
        hidden, state = model.hidden(last[None], state, None, memory)
        last = model.outputs(hidden[:, -1:], None, memory)[0].argmax(-1)
        ids.append(last)
        if int(last) == eos:
            break
    return torch.cat(ids)


# A target that is written for a source


def ask_translation(subject: Subject, place: int, choice: Choice) -> Iterator[Question]:
    """Asks what of the source, and what of the target so far, mattered for each token that is predicted of a target."""
    model, window = cast(EncoderDecoder, subject.model), subject.window(place)
    assert window.context is not None
    source, target = window.context[0], window.inputs[0, : choice.ahead]
    with torch.no_grad():
        logits = model(target[None], context=source[None])[0][0]
    told = logits.argmax(-1)
    close = min(choice.step or (len(target) + 1) // 2, len(target)) - 1
    if choice.output is not None and 0 <= choice.output < logits.shape[-1]:
        told[close] = choice.output
    tokenizer = subject.tokenizer
    assert tokenizer is not None
    words = window.words[0] if window.words else ()
    named = [shown(text) for text in token_texts(tokenizer.extended(words), told.tolist())]
    outputs = [f"log-probability of {name} at step {step}" for step, name in enumerate(named, 1)]
    labels = subject.labels(place)

    def picked(logits: Tensor) -> Tensor:
        return logits.log_softmax(-1).gather(-1, told.expand(len(logits), -1)[..., None])[..., 0]

    def of_source(rows: Tensor) -> Tensor:
        turned = model.encoder.reverse and not source.is_floating_point()  # its front end then reads from the end
        with variants(model.encoder.frontend, source, rows.flip(1) if turned else rows) as given:
            return picked(model(target.expand(len(rows), -1), context=given)[0])

    def of_target(rows: Tensor) -> Tensor:
        calls = int(model.frontend is model.encoder.frontend)  # where they share it, the source is read first
        with variants(model.frontend, target, rows, calls) as given:
            return picked(model(given, context=source.expand(len(rows), *source.shape))[0])

    title = f"example {place + 1}"
    through = vectors_of(model.encoder.frontend, source)
    yield Question(title, "source", through, of_source, outputs, [close], labels.source, named)
    through = vectors_of(model.frontend, target)
    read = None if labels.inputs is None else labels.inputs[: len(target)]
    yield Question(title, "target so far", through, of_target, outputs, [close], read, named)


# Labels of a source without their places


def ask_transcription(subject: Subject, place: int, choice: Choice) -> Iterator[Question]:
    """Asks what of the source mattered for the labels of the likeliest path."""
    model, window = cast(Transcriber, subject.model), subject.window(place)
    assert window.context is not None
    source = window.context[0]
    frontend = model.encoder.frontend
    with torch.no_grad():
        path = model(source[None])[0].argmax(-1)
    steps = (path != model.blank).nonzero()[:, 0]
    if choice.output is not None:
        steps = (path == choice.output).nonzero()[:, 0]
    named = "log-probability of the labels of the likeliest path"
    if not len(steps):
        named, steps = "log-probability of the likeliest path, which says no label", torch.arange(len(path))
    steps = steps.to(path.device)

    def scores(rows: Tensor) -> Tensor:
        with variants(frontend, source, rows) as given:
            logs = model(given).log_softmax(-1)
        return logs[:, steps].gather(-1, path[steps].expand(len(rows), -1)[..., None]).sum(1)

    yield Question(
        f"example {place + 1}",
        "source",
        vectors_of(frontend, source),
        scores,
        [named],
        [0],
        subject.labels(place).source,
    )

"""Which scores of a run are explained, and what they are explained through."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from seqmodels.analysis import vectors_of
from seqmodels.models import EncoderDecoder, Forecaster, LanguageModel, SequenceModel, Transcriber
from seqmodels.views.saliency_question import Choice, Question, outputs_of
from seqmodels.views.saliency_texts import ask_text, ask_transcription, ask_translation
from seqmodels.views.subject import Subject, shown

_ONE_OF = {"classes": "class ", "labels": "label "}


def questions(subject: Subject, place: int, choice: Choice) -> Iterator[Question]:
    """Yields what is asked of one example.

    Args:
        subject: The model and its examples.
        place: The example.
        choice: What of it.
    """
    model = subject.model
    kinds: list[tuple[type[nn.Module], Callable[[Subject, int, Choice], Iterator[Question]]]] = [
        (Forecaster, _forecast),
        (Transcriber, ask_transcription),
        (EncoderDecoder, ask_translation),
        (LanguageModel, ask_text),
        (SequenceModel, _sequence),
    ]
    for kind, ask in kinds:
        if isinstance(model, kind):
            yield from ask(subject, place, choice)
            return


def can_ask(model: nn.Module) -> bool:
    """Tells whether it is known how a model is asked."""
    return isinstance(model, (SequenceModel, EncoderDecoder, Transcriber))


# One prediction of a sequence, or one at each step


def _sequence(subject: Subject, place: int, choice: Choice) -> Iterator[Question]:
    model, window = cast(SequenceModel, subject.model), subject.window(place)
    run = partial(outputs_of, model, window.inputs[0], window)
    vectors = vectors_of(model.frontend, window.inputs[0])
    with torch.no_grad():
        outputs = run(vectors[None])[0]
    step = None if model.readout is not None else _step(subject, outputs, choice.step)
    output, name = _predicted(subject, outputs if step is None else outputs[step], choice.output)
    sign = -1.0 if output < 0 else 1.0  # one output alone is the logit of the second of two classes
    number = 0 if output < 0 else output

    def scores(rows: Tensor) -> Tensor:
        found = run(rows) if step is None else run(rows)[:, step]
        return sign * found[:, number, None]

    labels = subject.labels(place).inputs
    if step is not None:
        name += f" at step {step + 1}" + (f" ({shown(labels[step])})" if labels else "")
    title = f"example {place + 1}" + (f": {subject.outcome(place)}" if subject.outcome(place) else "")
    yield Question(title, "input", vectors, scores, [name], [0], labels)


def _step(subject: Subject, outputs: Tensor, step: int | None) -> int:
    """Returns the step that is asked for; otherwise of the second half the one it is least sure of, or the last."""
    if step is not None:
        return min(step, len(outputs)) - 1
    if subject.spec.get("targets", {}).get("kind") != "classes":
        return len(outputs) - 1
    half = len(outputs) // 2  # before, a model is unsure because it has read little
    sure = subject.task.loss.describe(outputs)["probabilities"].amax(-1)
    return half + int(sure[half:].argmin())


def _predicted(subject: Subject, outputs: Tensor, output: int | None) -> tuple[int, str]:
    """Returns which of the head's outputs `(outputs,)` is explained, -1 for the negative of the only one, and its name.

    Of classes and labels it is the likeliest, of numbers the first.
    """
    targets = subject.spec.get("targets", {})
    kind = targets.get("kind", "numbers")
    names = targets.get({"labels": "labels", "numbers": "names"}.get(kind, "classes")) or []
    if len(outputs) == 1 and kind == "classes":
        label = output if output in (0, 1) else int(outputs[0] > 0)
        return label - 1, f"logit of class {shown(str(names[label]))}"
    if output is None or not 0 <= output < len(outputs):
        output = 0 if kind == "numbers" else int(outputs.argmax())
    name = names[output] if output < len(names) else output
    name = shown(str(name))
    return output, f"prediction of {name}" if kind == "numbers" else f"logit of {_ONE_OF.get(kind, '')}{name}"


# Values ahead


def _forecast(subject: Subject, place: int, choice: Choice) -> Iterator[Question]:
    model, window = cast(Forecaster, subject.model), subject.window(place)
    describe: Callable[[Tensor], Mapping[str, Any]] = subject.task.loss.describe
    target = choice.output if choice.output is not None and 0 <= choice.output < model.num_targets else 0
    steps = sorted({1, model.horizon} if choice.step is None else {min(choice.step, model.horizon)})

    inputs = window.inputs[0]
    origin = len(inputs) - model.horizon + 1
    read = len(inputs) if model.num_known else origin  # behind the origin only what is known of the future is read

    def scores(rows: Tensor) -> Tensor:
        rest = inputs[read:].expand(len(rows), *inputs[read:].shape)
        outputs = model.forecast(torch.cat([rows, rest], 1), lambda outputs: describe(outputs)["value"])[
            :, -model.horizon :
        ]
        return describe(outputs)["value"][:, [step - 1 for step in steps], target]

    name = subject.spec["targets"]["names"][target]
    yield Question(
        f"example {place + 1}: the forecast is made after step {origin}",
        "input",
        inputs[:read],
        scores,
        [f"forecast of {shown(name)}, {step} step{'s' * (step > 1)} ahead" for step in steps],
        list(range(len(steps))),
    )

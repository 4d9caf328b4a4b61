"""What is asked of a model: scores, and the sequence of vectors whose steps they are attributed to."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from seqmodels.analysis import Score, variants
from seqmodels.data import Window
from seqmodels.models import SequenceModel


class Choice(NamedTuple):
    """What of a run is explained.

    Attributes:
        ahead: Tokens that are written, or read of a target, at most.
        step: The step whose prediction is looked at closely, from 1; where `None`, see the questions below.
        output: The class, label, token or target that is explained in place of the one that is predicted.
    """

    ahead: int = 20
    step: int | None = None
    output: int | None = None


@dataclass(frozen=True)
class Question:
    """Scores of one example, and the sequence of vectors whose steps they are attributed to.

    Attributes:
        title: The example, in words.
        part: What the steps are: "input", "source", "target so far", "prompt and text".
        vectors: `(time, ...)`.
        scores: Makes `(rows, outputs)` of variants `(rows, time, ...)`.
        outputs: What each score is, in words.
        close: The places of the scores that all methods are asked about.
        labels: Names of the steps, and of what was written last and is not read; `None` of numbers.
        drawn: The names of the outputs where together they make a map.
        prompt: How many of the steps are of the prompt, of a text that goes on with what was written.
    """

    title: str
    part: str
    vectors: Tensor
    scores: Score
    outputs: list[str]
    close: list[int]
    labels: list[str] | None = None
    drawn: list[str] | None = None
    prompt: int | None = None


def outputs_of(model: SequenceModel, inputs: Tensor, window: Window, rows: Tensor) -> Tensor:
    """Returns a model's outputs of variants `(rows, time, ...)` of a sequence, conditioned as its window is."""
    context = None if window.context is None else window.context.expand(len(rows), *window.context.shape[1:])
    with variants(model.frontend, inputs, rows) as given:
        outputs: Tensor = model(given, context=context)[0]
    return outputs

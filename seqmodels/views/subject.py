"""What is looked at: a trained model with some examples of its data."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqmodels.analysis import CellRecord, Recording, watch
from seqmodels.data import IGNORE_INDEX, CharTokenizer, Example, Form, Tokenizer, Window, collate, tokenizer_from_spec
from seqmodels.tasks import Forecasting, SequenceTask, Transcription


class Ran(NamedTuple):
    """What running a batch gave.

    Attributes:
        window: The batch.
        recording: Every state of the recurrent layers.
        hidden: What the last map read, `(batch, time, features)`; see the models.
        outputs: The model's outputs.
    """

    window: Window
    recording: Recording
    hidden: Tensor
    outputs: Tensor


class Labels(NamedTuple):
    """Names of the steps of an example; `None` of steps that are numbers.

    Attributes:
        inputs: Of what is read: tokens or words.
        targets: Of what is to be predicted: tokens or classes.
        source: Of the source, where there is one.
    """

    inputs: list[str] | None
    targets: list[str] | None
    source: list[str] | None


@dataclass(frozen=True)
class Subject:
    """A trained model, and examples to look at it with.

    Args:
        task: The task around the model. Its recurrent layers are of our cells, see `seqmodels.analysis.watchable`.
        spec: What the model knows of the data.
        examples: Whole sequences; of a stream of text one long one.
        origin: Where these come from, such as "test part".
        untrained: The model as it was before training, where that can be made again.
        run_path: The run's directory, where there is one.
    """

    task: SequenceTask
    spec: Mapping[str, Any]
    examples: Sequence[Example]
    origin: str
    untrained: nn.Module | None = None
    run_path: Path | None = None
    _ran: dict[int, Ran] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> nn.Module:
        """The model, in evaluation mode."""
        return self.task.model

    @cached_property
    def longest(self) -> int:
        """The place of the longest of the examples."""
        lengths = [len(example.inputs) for example in self.examples]
        return lengths.index(max(lengths))

    def window(self, *places: int) -> Window:
        """Makes a batch of examples, on the model's device."""
        window = collate([self.examples[place] for place in places], form=Form.of(self.spec))
        return window.on(next(self.model.parameters()).device)

    def ran(self, place: int = 0) -> Ran:
        """Runs an example, once, without gradient."""
        if place not in self._ran:
            with torch.no_grad():
                self._ran[place] = self.run(self.model, self.window(place))
        return self._ran[place]

    def run(self, model: nn.Module, window: Window) -> Ran:
        """Runs a batch of examples of the same length through the model, or the one before training.

        Gradients are kept where they are enabled.
        """
        with self._with(model), watch(model) as recording:
            hidden, outputs, _ = self.task.run(window, None)
        return Ran(window, recording, hidden, outputs)

    @contextmanager
    def _with(self, model: nn.Module) -> Iterator[None]:
        """Has the task run a model."""
        own = self.task.model
        self.task.model = model  # type: ignore[assignment]
        try:
            yield
        finally:
            self.task.model = own

    def losses(self, window: Window, outputs: Tensor) -> Tensor:
        """Returns the loss of each scored step of a batch of one `(time,)`, in the units of the task's loss.

        Where one thing is learned of a whole sequence there is one loss, `(1,)`.
        """
        if self.spec.get("shape") == "many_to_one" or isinstance(self.task, Transcription):
            return self._loss(window, outputs)[None]
        targets = window.targets[:, -outputs.shape[1] :]
        outputs = outputs[:, -targets.shape[1] :]
        if isinstance(self.task, Forecasting):  # steps before the origin are scored only where training is asked to
            outputs, targets = (steps[:, -self.task.model.horizon :] for steps in (outputs, targets))
        steps = zip(outputs.split(1, 1), targets.split(1, 1), strict=True)
        return torch.stack([self._loss(window._replace(targets=target), output) for output, target in steps])

    def _loss(self, window: Window, outputs: Tensor) -> Tensor:
        total, count = self.task.score(self.task.loss, outputs, window)
        return total / torch.as_tensor(count).clamp(min=1)

    # In words

    @cached_property
    def tokenizer(self) -> Tokenizer | None:
        """Tells tokens of inputs and targets, where there are any."""
        return None if self.spec.get("tokenizer") is None else tokenizer_from_spec(self.spec["tokenizer"])

    @cached_property
    def source_tokenizer(self) -> Tokenizer | None:
        """Tells tokens of sources, where there are any."""
        node = (self.spec.get("context") or {}).get("tokenizer")
        return None if node is None else tokenizer_from_spec(node)

    def labels(self, place: int = 0) -> Labels:
        """Returns the names of an example's steps."""
        example = self.examples[place]
        source = None
        if self.source_tokenizer is not None and example.context is not None:
            source = token_texts(self.source_tokenizer.extended(example.words or ()), example.context.tolist())
        return Labels(self._inputs(example), self._targets(example), source)

    def _inputs(self, example: Example) -> list[str] | None:
        read = self.spec.get("inputs") or {}
        if read.get("kind") == "words":
            characters = CharTokenizer.from_spec(self.spec["words"]["characters"])
            return [characters.decode([number - 1 for number in row if number]) for row in example.inputs[:, 1:]]
        if self.tokenizer is not None and example.inputs.ndim == 1:
            return token_texts(self.tokenizer.extended(example.words or ()), example.inputs.tolist())
        return None

    def _targets(self, example: Example) -> list[str] | None:
        if "targets" in self.spec:
            classes = self.spec["targets"].get("classes")
            if classes is None or example.targets.ndim != 1:
                return None
            return [str(classes[number]) if number >= 0 else "" for number in example.targets.tolist()]
        if self.tokenizer is None:
            return None
        return token_texts(self.tokenizer.extended(example.words or ()), example.targets.tolist())

    def outcome(self, place: int = 0) -> str:
        """Tells in a line what is predicted of a whole sequence, and what is true."""
        if self.spec.get("shape") != "many_to_one":
            return ""
        with torch.no_grad():
            ((row,),) = self.task.predict_rows(self.window(place), self.spec)
        told = ", ".join(f"{name} {value}" for name, value in row.items() if name != "probability")
        return f"{told}; true: {self._truth(self.examples[place])}"

    def _truth(self, example: Example) -> str:
        if not scored(example).any():
            return "not known"
        targets = self.spec["targets"]
        if example.targets.ndim == 0 and "classes" in targets:
            return str(targets["classes"][int(example.targets)])
        if "labels" in targets:
            return str([name for name, holds in zip(targets["labels"], example.targets, strict=True) if holds > 0])
        return ", ".join(f"{value:.4g}" for value in example.targets.ravel())


def scored(example: Example) -> np.ndarray:
    """Tells which targets of an example are known and count, in their shape."""
    targets = example.targets
    return ~np.isnan(targets) if targets.dtype.kind == "f" else targets != IGNORE_INDEX


def shown(text: str, most: int = 20) -> str:
    """Returns a name of a user's, such as a token, as it can be seen on a picture, and no longer than fits there.

    Example:
        >>> shown("owl"), shown(" "), shown("a" * 5000, most=4)
        ('owl', "' '", 'aaa…')
    """
    seen = text if text.strip() else repr(text)
    return seen if len(seen) <= most else seen[: most - 1] + "…"


def named(text: str) -> str:
    """Returns a text to end a caption with, where there is one.

    Example:
        >>> "layer 1" + named("test part"), "layer 1" + named("")
        ('layer 1 (test part)', 'layer 1')
    """
    return f" ({text})" if text else ""


def state_name(record: CellRecord, number: int) -> str:
    """Names a tensor of a cell's state: "h" the first, "c" the second of two that a cell may begin with as it likes."""
    if number == 0:
        return "h"
    two = record.cell.num_states == 2 and record.cell.num_free in (None, 2)
    return "c" if two else f"state {number + 1}"


def token_texts(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Returns the text of each token; of a special one, such as `<eos>`, its name.

    Example:
        >>> from seqmodels.data import ByteTokenizer
        >>> token_texts(ByteTokenizer(), list(b"a b"))
        ['a', ' ', 'b']
    """
    special = {tokenizer.special_id(name): name for name in tokenizer.special_tokens}
    return [special[token] if token in special else tokenizer.decode([token]) for token in ids if token >= 0]

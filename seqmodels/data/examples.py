"""Examples of any sequence task: what one is, how several become a batch, and how parts of them are loaded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from seqmodels.data.batches import BucketedLines
from seqmodels.data.module import Batches, Loaded
from seqmodels.data.windows import IGNORE_INDEX, TBPTT, WHOLE_SEQUENCES, Window, WindowPlan
from seqmodels.errors import UserError

T = TypeVar("T")


class Example(NamedTuple):
    """One sequence and what is to be learned of it.

    Attributes:
        inputs: Token ids `(time,)`, words with their characters `(time, 1 + characters)`, vectors `(time, features)` or
            frames `(time, channels, height, width)`; int64 or float32.
        targets: Of the whole sequence `()` or `(targets,)`, of each step `(time,)` or `(time, targets)`. Classes are
            int64, with `IGNORE_INDEX` where nothing is scored; numbers and labels are float32, with NaN there.
        context: What a sequence is conditioned on: a class `()`, a vector `(features,)`, an image `(channels, height,
            width)`, or another sequence, which is a token's id at each step `(steps,)` or a vector `(steps, features)`;
            `None` where on nothing.
        reference: The text of a target as people wrote it, where its tokens may not tell all of it.
        words: What the context, a text, has beyond the vocabulary, each once: the ids from the size of the vocabulary
            on number these; `None` where they are not numbered.
    """

    inputs: np.ndarray
    targets: np.ndarray
    context: np.ndarray | None = None
    reference: str | None = None
    words: tuple[str, ...] | None = None


class Examples(Protocol):
    """Examples by number; a list of them is one."""

    def __len__(self) -> int:
        """Returns how many there are."""

    def __getitem__(self, index: int, /) -> Example:
        """Returns one."""


class Problem(Protocol):
    """A task whose examples are generated."""

    @property
    def max_steps(self) -> int:
        """Steps of its longest example."""

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example; a pure function of the generator."""


PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class GeneratedExamples:
    """Examples drawn when they are asked for, each a pure function of (seed, part, index); nothing is stored.

    Args:
        problem: What is drawn.
        seed: Of all draws.
        part: "train", "val" or "test", which share no example.
        count: How many; in training, how many an epoch, each epoch having others.
    """

    problem: Problem
    seed: int
    part: str
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        return self.problem.draw(np.random.default_rng([self.seed, PARTS.index(self.part), index]))


Key = tuple[np.ndarray, WindowPlan | None]
"""The numbers of a batch's examples `(batch,)`, and which steps of them; `None` for all steps of the longest."""


class FreshBatches:
    """Batches of generated examples, others in every epoch: number `i` of epoch `e` is example `e * count + i`.

    Args:
        count: Examples an epoch.
        batch_size: Examples in a batch; the last one may have fewer.
        windowing: How sequences are cut into windows.
        max_steps: Steps of the longest example.
    """

    def __init__(self, count: int, batch_size: int, windowing: TBPTT, max_steps: int):
        self.count = count
        self.batch_size = batch_size
        self.windowing = windowing
        self.max_steps = max_steps
        self.num_windows = 1 if windowing.k1 is None else windowing.count(max_steps)

    def __len__(self) -> int:
        return -(-self.count // self.batch_size) * self.num_windows

    def keys(self, epoch: int, start: int) -> Iterator[Key]:
        """Yields which examples and steps make each batch of `epoch`, from number `start` on."""
        for number in range(start, len(self)):
            batch, window = divmod(number, self.num_windows)
            first = batch * self.batch_size
            indices = epoch * self.count + np.arange(first, min(first + self.batch_size, self.count))
            yield indices, None if self.windowing.k1 is None else self.windowing.plan(self.max_steps, window)


class ExampleWindows(Dataset[Window]):
    """Batches of examples; an item is one window of some of them, padded.

    Args:
        examples: The examples.
        windowing: Gives the plan where a key leaves it open.
        form: What of them has steps.
    """

    def __init__(self, examples: Examples, windowing: TBPTT, form: "Form"):
        self.examples = examples
        self.windowing = windowing
        self.form = form
        self._latest: tuple[bytes, list[Example]] = (b"", [])

    def __getitem__(self, key: Key) -> Window:
        indices, plan = key
        if indices.tobytes() != self._latest[0]:  # the windows of one batch follow each other
            self._latest = indices.tobytes(), [self.examples[int(index)] for index in indices]
        return collate(self._latest[1], plan, self.form, self.windowing)


class Form(NamedTuple):
    """What of an example has steps, apart from its inputs.

    Attributes:
        targets: Whether every step has a target; otherwise each sequence has one.
        context: Whether the context is a sequence, of as many steps as it likes.
    """

    targets: bool = True
    context: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Form":
        """Reads it from the spec of data."""
        return cls(spec.get("shape") != "many_to_one", spec.get("shape") == "sequence_to_sequence")


def collate(
    examples: Sequence[Example],
    plan: WindowPlan | None = None,
    form: Form = Form(),  # noqa: B008 - it cannot be changed
    windowing: TBPTT = WHOLE_SEQUENCES,
) -> Window:
    """Makes one window of several examples.

    Args:
        examples: What is put together; their inputs differ in time alone.
        plan: Which steps; planned by `windowing` over the longest example where left out.
        form: What of them has steps; a target of the whole sequence is there whatever the plan.
        windowing: See `plan`.

    Returns:
        The window; inputs are padded with zeros.

    Example:
        >>> long = Example(np.array([1, 2, 3]), np.array([0, 1, 0]))
        >>> window = collate([long, Example(np.array([4]), np.array([1]))])
        >>> window.inputs.tolist(), window.targets.tolist(), window.lengths.tolist()
        ([[1, 2, 3], [4, 0, 0]], [[0, 1, 0], [1, -100, -100]], [3, 1])
    """
    lengths = np.array([len(example.inputs) for example in examples], np.int64)
    plan = plan or windowing.plan(int(lengths.max()), 0)
    steps = plan.stop - plan.start
    inputs = _padded([example.inputs[plan.start : plan.stop] for example in examples], steps, 0)
    if form.targets:
        begin = plan.stop - plan.num_targets
        rows = [example.targets[begin : plan.stop] for example in examples]
        targets = _padded(rows, plan.num_targets, _unscored(rows[0]))
    else:
        targets = torch.from_numpy(np.stack([example.targets for example in examples]))
    context, context_lengths = _contexts(examples, form)
    return Window(
        inputs=inputs,
        targets=targets,
        lengths=torch.from_numpy(np.clip(lengths - plan.start, 0, steps)),
        first=plan.first,
        handoff=plan.handoff,
        num_without_gradient=plan.num_without_gradient,
        context=context,
        context_lengths=context_lengths,
        references=_of_all([example.reference for example in examples]),
        words=_of_all([example.words for example in examples]),
    )


def _of_all(values: Sequence[T | None]) -> tuple[T, ...] | None:
    """Returns what each example has; `None` where one has nothing."""
    given = tuple(value for value in values if value is not None)
    return given if len(given) == len(values) else None


def _contexts(examples: Sequence[Example], form: Form) -> tuple[Tensor | None, Tensor | None]:
    contexts = [example.context for example in examples if example.context is not None]
    if not contexts:
        return None, None
    if not form.context:
        return torch.from_numpy(np.stack(contexts)), None
    lengths = torch.tensor([len(context) for context in contexts])
    return _padded(contexts, int(lengths.max()), 0), lengths


def _padded(rows: Sequence[np.ndarray], steps: int, padding: float) -> Tensor:
    padded = np.full((len(rows), steps, *rows[0].shape[1:]), padding, rows[0].dtype)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return torch.from_numpy(padded)


def _unscored(targets: np.ndarray) -> float:
    return float("nan") if targets.dtype.kind == "f" else IGNORE_INDEX


def load_examples(
    spec: dict[str, Any],
    parts: Mapping[str, Examples],
    batch_size: int,
    tbptt: TBPTT,
    seed: int,
    batch_tokens: int | None = None,
) -> Loaded:
    """Makes parts of examples ready to be trained and measured on.

    Sequences of about the same length share a batch; generated ones come as they are drawn.

    Args:
        spec: What a model has to know of the data. Its "shape" says whether each sequence has one target
            ("many_to_one") or every step has ("many_to_many", "one_to_many", "sequence_to_sequence").
        parts: The examples of "train", "val" and "test"; a part that has none is left out.
        batch_size: Examples in a batch.
        tbptt: Windows of training.
        seed: Of the order of batches.
        batch_tokens: In place of `batch_size`, see `BucketedLines`; not for generated examples.

    Raises:
        UserError: Where a setting does not fit; of training, where it is asked for.
    """
    if batch_size < 1:
        raise UserError(f"data.batch_size={batch_size}: expected an integer of at least 1")
    if batch_tokens is not None and batch_tokens < 1:
        raise UserError(f"data.batch_tokens={batch_tokens}: expected an integer of at least 1, or null")
    form = Form.of(spec)
    size = _BatchSize(batch_size, batch_tokens)
    parts = {part: examples for part, examples in parts.items() if len(examples)}
    return Loaded(
        spec,
        partial(_training, parts.get("train"), size, tbptt, seed, form),
        {part: partial(_evaluation, examples, size, form) for part, examples in parts.items()},
    )


class _BatchSize(NamedTuple):
    lines: int
    tokens: int | None


def _training(examples: Examples | None, size: _BatchSize, tbptt: TBPTT, seed: int, form: Form) -> Batches:
    if examples is None:
        raise UserError("data: there is no example to train on")
    if not form.targets and tbptt.k1 is not None:
        raise UserError(
            f"tbptt.k1={tbptt.k1}: here each sequence has one target, at its end, and so one update; expected null "
            "(tbptt=whole); tbptt.k2 may limit how far the gradient goes back"
        )
    windows = ExampleWindows(examples, tbptt, form)
    if isinstance(examples, GeneratedExamples):
        tbptt.check_against(examples.problem.max_steps)
        return Batches(windows, FreshBatches(len(examples), size.lines, tbptt, examples.problem.max_steps))
    order = _bucketed(examples, size, tbptt, seed, form)
    tbptt.check_against(int(order.lengths.max()))
    return Batches(windows, order)


def _evaluation(examples: Examples, size: _BatchSize, form: Form) -> Batches:
    windows = ExampleWindows(examples, WHOLE_SEQUENCES, form)
    if isinstance(examples, GeneratedExamples):
        order = FreshBatches(len(examples), size.lines, WHOLE_SEQUENCES, examples.problem.max_steps)
        return Batches(windows, order)
    return Batches(windows, _bucketed(examples, size, WHOLE_SEQUENCES, None, form))


def _bucketed(examples: Examples, size: _BatchSize, tbptt: TBPTT, seed: int | None, form: Form) -> BucketedLines:
    # Known of examples that are cut, or taken out of one array, when they are asked for.
    lengths, context_lengths = (getattr(examples, name, None) for name in ("lengths", "context_lengths"))
    if lengths is None:
        lengths = np.array([len(examples[index].inputs) for index in range(len(examples))], np.int64)
    if form.context and context_lengths is None:
        contexts = (examples[index].context for index in range(len(examples)))
        context_lengths = np.array([0 if context is None else len(context) for context in contexts], np.int64)
    return BucketedLines(lengths, size.lines, tbptt, seed, context_lengths, size.tokens)

"""What a sequence model's scores are explained through: the numbers it reads, or the vectors of the tokens it reads."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from seqmodels.analysis.recording import watchable
from seqmodels.analysis.saliency import SALIENCY_METHODS, Attribution, Method
from seqmodels.models import SequenceModel


@contextmanager
def reading(frontend: nn.Module, *vectors: Tensor | None) -> Iterator[None]:
    """Has a front end hand on these vectors in place of its own, which is how a model is asked about tokens.

    Args:
        frontend: The front end.
        vectors: What it hands on in its first call, its second, and so on; `None`, and each call after them, leaves it
            as it is.

    Example:
        >>> table = nn.Embedding(3, 2)
        >>> with reading(table, torch.zeros(1, 2)):
        ...     print(table(torch.tensor([1])))
        tensor([[0., 0.]])
    """
    given = iter(vectors)
    handle = frontend.register_forward_hook(lambda module, inputs, output: next(given, None))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def variants(frontend: nn.Module, inputs: Tensor, rows: Tensor, calls_before: int = 0) -> Iterator[Tensor]:
    """Gives a model variants of one sequence to read.

    Args:
        frontend: What reads it.
        inputs: The sequence `(time, ...)`: numbers, which variants replace, or token ids, whose vectors they replace.
        rows: The variants: numbers or vectors `(rows, time, ...)`.
        calls_before: How often the front end is called for something else first.

    Yields:
        The inputs of a model that is run in the context `(rows, time, ...)`.

    Example:
        >>> table, ids = nn.Embedding(3, 2), torch.tensor([2, 0])
        >>> with variants(table, ids, torch.zeros(5, 2, 2)) as inputs:
        ...     print(inputs.shape, table(inputs).any())
        torch.Size([5, 2]) tensor(False)
    """
    if inputs.is_floating_point():
        yield rows
        return
    with reading(frontend, *[None] * calls_before, rows):
        yield inputs.expand(len(rows), *inputs.shape)


@torch.no_grad()
def vectors_of(frontend: nn.Module, inputs: Tensor) -> Tensor:
    """Returns what a sequence `(time, ...)` is explained through: its numbers, or the vectors of its tokens.

    Example:
        >>> vectors_of(nn.Embedding(3, 2), torch.tensor([2, 0])).shape
        torch.Size([2, 2])
    """
    vectors: Tensor = inputs if inputs.is_floating_point() else frontend(inputs[None])[0]
    return vectors


def explain(
    model: SequenceModel,
    inputs: Tensor,
    choose: Callable[[Tensor], Tensor],
    baseline: Tensor | None = None,
    methods: Mapping[str, Method] = SALIENCY_METHODS,
) -> dict[str, Attribution]:
    """Attributes a score of a sequence model's outputs to the steps of its inputs.

    Args:
        model: A `SequenceModel`, such as a `LanguageModel`, with cells of any kind; it is left as it is.
        inputs: One sequence, on the model's device: numbers `(time, ...)`, or token ids `(time,)`, which are explained
            through the vectors that the front end makes of them.
        choose: Makes of the model's outputs, `(rows, time, outputs)` or with a readout `(rows, outputs)`, the score of
            each row `(rows,)`.
        baseline: A vector that stands for nothing, or one for each step; zeros where left out.
        methods: By name.

    Returns:
        By the same names, what each says.

    Raises:
        TypeError: The model is of another kind.

    Example:
        >>> from seqmodels.models import LanguageModel
        >>> from seqmodels.nn import GRUCell
        >>> model = LanguageModel(vocab_size=5, cell=GRUCell, hidden_size=4, embedding_size=3)
        >>> found = explain(model, torch.tensor([1, 4, 2]), lambda logits: logits[:, -1].log_softmax(-1)[:, 3])
        >>> found["integrated gradients"].values.shape
        torch.Size([3, 3])
    """
    if not isinstance(model, SequenceModel):
        raise TypeError(
            f"model: expected a SequenceModel, got {type(model).__name__}; of other models hand the methods of "
            "SALIENCY_METHODS a score of your own, which runs the model on `variants` of its inputs"
        )
    model = cast(SequenceModel, watchable(model))
    vectors = vectors_of(model.frontend, inputs)

    def score(rows: Tensor) -> Tensor:
        with variants(model.frontend, inputs, rows) as given:
            return choose(model(given)[0])

    nothing = torch.zeros_like(vectors) if baseline is None else baseline.expand_as(vectors)
    return {name: method(score, vectors, nothing) for name, method in methods.items()}

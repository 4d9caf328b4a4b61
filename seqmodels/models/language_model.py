"""The language model: embedding, recurrent layers, projection to the vocabulary."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqmodels.nn import Stacking, State, VariationalDropout, make_recurrent


class OneHot(nn.Module):
    """Turns ids `(batch, time)` into one-hot vectors `(batch, time, num_classes)`."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes

    def forward(self, ids: Tensor) -> Tensor:
        """Returns one-hot vectors in the default floating type."""
        return nn.functional.one_hot(ids, self.num_classes).to(torch.get_default_dtype())


class LanguageModel(nn.Module):
    """Predicts each next token of a text from the ones before it.

    `p(x[t+1] | x[..t]) = softmax(W h[t] + b)`, with `h` the output of the recurrent layers over the embedded tokens
    (Mikolov et al. 2010, "Recurrent neural network based language model"; tied weights after Press and Wolf 2017,
    "Using the output embedding to improve language models").

    Args:
        vocab_size: Number of tokens.
        cell: Makes one recurrent layer's cell from `(input_size, hidden_size)`: a class such as
            `seqmodels.nn.LSTMCell`, or `torch.nn.LSTM`, `torch.nn.GRU`, `torch.nn.RNN` for torch's own layers.
        hidden_size: Units in each recurrent layer: one number for all, or one for each.
        num_layers: Recurrent layers.
        embedding_size: Size of the learned embedding; `None` feeds one-hot vectors.
        input_dropout: Probability of zeroing an element of the embedding.
        dropout: The same between recurrent layers.
        output_dropout: The same before the projection to the vocabulary.
        tie_weights: Uses the embedding as the projection's weights. Where `embedding_size` and the width of the
            recurrent outputs differ, a linear layer between them is added.
        initial_state: "zero", "learned", or "noisy" while training.
        backend: How custom cells run, see `seqmodels.nn.backends`.
        stacking: How the recurrent layers are connected; its variational dropout holds for all three dropouts.
        noise: The standard deviation of a noisy initial state.

    Raises:
        ValueError: Where a size or a probability is out of range, or weights are tied without an embedding.

    Example:
        >>> from seqmodels.nn import LSTMCell
        >>> model = LanguageModel(vocab_size=65, cell=LSTMCell, hidden_size=16)
        >>> logits, state = model(torch.zeros(2, 7, dtype=torch.long))
        >>> logits.shape
        torch.Size([2, 7, 65])
    """

    def __init__(
        self,
        vocab_size: int,
        cell: Callable[..., nn.Module],
        hidden_size: int | Sequence[int] = 256,
        num_layers: int = 1,
        embedding_size: int | None = 64,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        tie_weights: bool = False,
        initial_state: Literal["zero", "learned", "noisy"] = "zero",
        backend: str = "auto",
        stacking: Stacking | None = None,
        noise: float = 0.1,
    ):
        super().__init__()
        _check_sizes(vocab_size=vocab_size, num_layers=num_layers, embedding_size=embedding_size)
        for size in [hidden_size] if isinstance(hidden_size, int) else hidden_size:
            _check_sizes(hidden_size=size)
        _check_probabilities(input_dropout=input_dropout, dropout=dropout, output_dropout=output_dropout)
        self.vocab_size = vocab_size
        self.embedding: nn.Module
        if embedding_size is None:
            self.embedding = OneHot(vocab_size)
        else:
            self.embedding = nn.Embedding(vocab_size, embedding_size)
        stacking = stacking or Stacking()
        make_dropout = VariationalDropout if stacking.variational_dropout else nn.Dropout
        self.input_dropout = make_dropout(input_dropout)
        self.recurrent = make_recurrent(
            cell,
            embedding_size or vocab_size,
            hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            initial_state=initial_state,
            backend=backend,
            stacking=stacking,
            noise=noise,
        )
        self.output_dropout = make_dropout(output_dropout)
        self.projection = _projection(self.recurrent.output_size, self.embedding, vocab_size, tie_weights)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Reads tokens and scores what comes after each.

        Args:
            ids: Token ids `(batch, time)`.
            state: What an earlier call handed back; `None` starts afresh.

        Returns:
            Logits `(batch, time, vocab_size)` and the state after the last token.
        """
        hidden, state = self.hidden(ids, state)
        return self.logits(hidden), state

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs the recurrent layers alone: `(batch, time)` to `(batch, time, features)` and the new state."""
        return self.recurrent(self.input_dropout(self.embedding(ids)), state)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores the vocabulary: `(batch, time, features)` to `(batch, time, vocab_size)`."""
        return self.projection(self.output_dropout(hidden))


def _projection(features: int, embedding: nn.Module, vocab_size: int, tie_weights: bool) -> nn.Module:
    if not tie_weights:
        return nn.Linear(features, vocab_size)
    if not isinstance(embedding, nn.Embedding):
        raise ValueError("tie_weights=true needs a learned embedding: set embedding_size to a number")
    tied = nn.Linear(embedding.embedding_dim, vocab_size)
    nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
    tied.weight = embedding.weight
    if embedding.embedding_dim == features:
        return tied
    return nn.Sequential(nn.Linear(features, embedding.embedding_dim), tied)


def _check_sizes(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name}={size}: expected at least 1")


def _check_probabilities(**probabilities: float) -> None:
    for name, probability in probabilities.items():
        if not 0 <= probability < 1:
            raise ValueError(f"{name}={probability}: expected a probability, 0 <= p < 1")

"""The language model: embedding, recurrent layers, projection to the vocabulary."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from torch import nn

from seqmodels.models.checks import check_sizes
from seqmodels.models.frontends import Embedding, Frontend, OneHot
from seqmodels.models.sequence_model import SequenceModel
from seqmodels.nn import Stacking


class LanguageModel(SequenceModel):
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
        context: Makes a vector of what each text is conditioned on, such as a class or an image.
        context_use: Where that goes: the initial state ("state"), each step's inputs ("inputs"), or "both".

    Raises:
        ValueError: Where a size or a probability is out of range, or weights are tied without an embedding.

    Example:
        >>> import torch
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
        context: Frontend | None = None,
        context_use: Literal["state", "inputs", "both"] = "both",
    ):
        check_sizes(vocab_size=vocab_size, embedding_size=embedding_size)
        embedded = OneHot(vocab_size) if embedding_size is None else Embedding(vocab_size, embedding_size)
        super().__init__(
            embedded,
            cell,
            vocab_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            input_dropout=input_dropout,
            dropout=dropout,
            output_dropout=output_dropout,
            initial_state=initial_state,
            backend=backend,
            stacking=stacking,
            noise=noise,
            context=context,
            context_use=context_use,
            head=partial(_tied, embedded) if tie_weights else nn.Linear,
        )
        self.vocab_size = vocab_size


def _tied(embedded: Frontend, features: int, vocab_size: int) -> nn.Module:
    """Makes the projection of the embedding's own weights."""
    if not isinstance(embedded, Embedding):
        raise ValueError("tie_weights=true needs a learned embedding: set embedding_size to a number")
    tied = nn.Linear(embedded.features, vocab_size)
    nn.init.normal_(embedded.table.weight, std=embedded.features**-0.5)
    tied.weight = embedded.table.weight
    if embedded.features == features:
        return tied
    return nn.Sequential(nn.Linear(features, embedded.features), tied)

"""Front ends of tokens and of other classes."""

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_sizes
from seqmodels.models.frontends.frontend import Frontend


class Embedding(Frontend):
    """A learned vector for each token.

    Args:
        vocab_size: Number of tokens.
        size: Features of a vector.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> Embedding(vocab_size=10, size=4)(torch.zeros(2, 7, dtype=torch.long)).shape
        torch.Size([2, 7, 4])
    """

    def __init__(self, vocab_size: int, size: int = 64):
        super().__init__()
        check_sizes(vocab_size=vocab_size, size=size)
        self.features = size
        self.table = nn.Embedding(vocab_size, size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Looks up ids `(...)`, or mixes by how likely each token is `(..., vocab_size)`: `(..., size)`."""
        return inputs @ self.table.weight if inputs.is_floating_point() else self.table(inputs)


class SourceEmbedding(Embedding):
    """A learned vector for each token of a source, which an encoder reads.

    Args:
        source_vocab_size: Number of tokens.
        size: Features of a vector.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> SourceEmbedding(source_vocab_size=10, size=4)(torch.zeros(2, 7, dtype=torch.long)).shape
        torch.Size([2, 7, 4])
    """

    def __init__(self, source_vocab_size: int, size: int = 64):
        check_sizes(source_vocab_size=source_vocab_size)
        super().__init__(source_vocab_size, size)


class ClassEmbedding(Frontend):
    """A learned vector for the class that a sequence is conditioned on.

    Args:
        num_classes: Number of classes.
        size: Features of a vector.

    Raises:
        ValueError: A size is below 1.

    Example:
        >>> ClassEmbedding(num_classes=4, size=8)(torch.tensor([3, 0])).shape
        torch.Size([2, 8])
    """

    def __init__(self, num_classes: int, size: int = 32):
        super().__init__()
        check_sizes(num_classes=num_classes, size=size)
        self.features = size
        self.table = nn.Embedding(num_classes, size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Looks up classes `(...)`: `(..., size)`."""
        return self.table(inputs)


class OneHot(Frontend):
    """A one for the token among zeros.

    Args:
        vocab_size: Number of tokens.

    Raises:
        ValueError: The size is below 1.

    Example:
        >>> OneHot(vocab_size=3)(torch.tensor([2, 0]))
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """

    def __init__(self, vocab_size: int):
        super().__init__()
        check_sizes(vocab_size=vocab_size)
        self.features = vocab_size

    def forward(self, inputs: Tensor) -> Tensor:
        """Turns ids `(...)` into vectors `(..., vocab_size)` of the default floating type; vectors stay as they are."""
        return (
            inputs
            if inputs.is_floating_point()
            else nn.functional.one_hot(inputs, self.features).to(torch.get_default_dtype())
        )

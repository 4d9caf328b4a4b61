"""Readouts: one vector for a whole sequence, of the outputs of its steps."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from seqmodels.nn import valid_mask


class Readout(nn.Module, ABC):
    """Reads one vector of a sequence.

    Args:
        is_backward: Which features of the outputs come from layers that read from the end `(features,)`, bool.
    """

    is_backward: Tensor

    def __init__(self, is_backward: Tensor):
        super().__init__()
        self.register_buffer("is_backward", is_backward, persistent=False)

    @abstractmethod
    def read(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Reads `(batch, time, features)`, of which each row's first `lengths` steps count: `(batch, features)`."""

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reads one vector of each row.

        Args:
            outputs: `(batch, time, features)`.
            lengths: Steps of each row `(batch,)`; all where left out.

        Returns:
            `(batch, features)`; zeros for a row without steps.
        """
        if lengths is None:
            lengths = torch.full(outputs.shape[:1], outputs.shape[1], device=outputs.device)
        return self.read(outputs, lengths)


class LastState(Readout):
    """The outputs after the last step of each row, in the direction in which it was read.

    Example:
        >>> last = LastState(is_backward=torch.tensor([False, True]))
        >>> last(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]]), torch.tensor([2]))
        tensor([[3., 2.]])
    """

    def read(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Takes the last valid step, and the first one of what was read from the end."""
        rows = torch.arange(len(outputs), device=outputs.device)
        last = outputs[rows, (lengths - 1).clamp(min=0)]
        return torch.where(self.is_backward, outputs[:, 0], last)


class MeanPooling(Readout):
    """The mean over the steps of each row.

    Example:
        >>> MeanPooling(torch.tensor([False]))(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2]))
        tensor([[2.]])
    """

    def read(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Averages the valid steps."""
        mask = valid_mask(lengths, outputs.shape[1])[..., None]
        return (outputs * mask).sum(1) / lengths.clamp(min=1)[:, None]


class MaxPooling(Readout):
    """The largest value of each feature over the steps of each row.

    Example:
        >>> MaxPooling(torch.tensor([False]))(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2]))
        tensor([[3.]])
    """

    def read(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Takes the largest of the valid steps."""
        mask = valid_mask(lengths, outputs.shape[1])[..., None]
        largest = outputs.masked_fill(~mask, -torch.inf).amax(1)
        return largest.masked_fill((lengths == 0)[:, None], 0)


class AttentionPooling(Readout):
    """A mean over the steps whose weights are learned: `softmax over t of v . tanh(W h[t] + b)`.

    Yang et al. 2016, "Hierarchical attention networks for document classification".

    Args:
        is_backward: See `Readout`.
        size: Features of what is scored.

    Raises:
        ValueError: The size is below 1.
    """

    def __init__(self, is_backward: Tensor, size: int = 64):
        super().__init__(is_backward)
        if size < 1:
            raise ValueError(f"size={size}: expected at least 1")
        self.map = nn.Linear(len(is_backward), size)
        self.score = nn.Linear(size, 1, bias=False)

    def weights(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Returns the weight of each step `(batch, time)`: zero in padding, and of sum one."""
        scores = self.score(torch.tanh(self.map(outputs))).squeeze(-1)
        mask = valid_mask(lengths, outputs.shape[1])
        # A row without steps would be a softmax over nothing; it gets zeros.
        return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(1) * mask

    def read(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Takes the weighted mean."""
        return torch.einsum("bt,btf->bf", self.weights(outputs, lengths), outputs)

"""Rows of different lengths: validation, the mask, and the order in which a loop can leave ended rows behind."""

import torch
from torch import Tensor


def check_lengths(lengths: Tensor, batch_size: int, time: int) -> None:
    """Refuses lengths that do not belong to a batch.

    Args:
        lengths: Steps of each row, (batch,).
        batch_size: Rows.
        time: Steps of the longest row that fits.

    Raises:
        ValueError: Wrong shape, dtype or value.
    """
    if not isinstance(lengths, Tensor):
        raise ValueError(f"lengths: expected a tensor of shape ({batch_size},), got {type(lengths).__name__}")
    if lengths.shape != (batch_size,):
        raise ValueError(f"lengths: expected shape ({batch_size},), got {tuple(lengths.shape)}")
    if lengths.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise ValueError(f"lengths: expected integers, got {lengths.dtype}")
    if batch_size and (lengths.min() < 0 or lengths.max() > time):
        raise ValueError(f"lengths: expected 0 to {time}, got {int(lengths.min())} to {int(lengths.max())}")


def valid_mask(lengths: Tensor, time: int) -> Tensor:
    """Marks the steps that belong to each row.

    Args:
        lengths: Steps of each row, (batch,).
        time: Steps of the batch.

    Returns:
        (batch, time) bool, True where valid.

    Example:
        >>> valid_mask(torch.tensor([2, 0]), 3)
        tensor([[ True,  True, False],
                [False, False, False]])
    """
    return torch.arange(time, device=lengths.device) < lengths[:, None]


class SortedRows:
    """The rows of a batch sorted by length, longest first, so that those still running are always the first.

    Args:
        lengths: Steps of each row, (batch,), already checked.
        device: Where the sequences are.

    Attributes:
        order: Row of the batch at each sorted place, (batch,).
        inverse: Sorted place of each row, (batch,).
        lengths: Steps of each sorted row, (batch,), on the CPU.
        batch_sizes: Rows still running at each step; its length is the longest row's, at least 1.
    """

    def __init__(self, lengths: Tensor, device: torch.device) -> None:
        lengths = lengths.to("cpu", torch.int64)
        longest = max(1, int(lengths.max()))
        order = lengths.argsort(descending=True, stable=True)
        self.lengths = lengths[order]
        mask = valid_mask(self.lengths, longest)
        flipped = self.lengths - 1 - torch.arange(longest)[:, None]
        steps = torch.where(mask.t(), flipped, torch.arange(longest)[:, None])
        self.batch_sizes: list[int] = mask.sum(0).tolist()
        self.order = order.to(device)
        self.inverse = order.argsort().to(device)
        self._mask = mask.t().unsqueeze(-1).to(device)
        self._reversed = (steps * len(order) + torch.arange(len(order))).flatten().to(device)

    def sort(self, inputs: Tensor) -> Tensor:
        """Sorts inputs, cuts what no row reaches, and zeroes the padding.

        Args:
            inputs: (time, batch, features).

        Returns:
            (longest, batch, features).
        """
        longest = len(self.batch_sizes)
        return self.clear(inputs[:longest].index_select(1, self.order))

    def clear(self, inputs: Tensor) -> Tensor:
        """Zeroes the padding of what is sorted, (longest, batch, features)."""
        return inputs.masked_fill(~self._mask, 0)

    def reverse(self, inputs: Tensor) -> Tensor:
        """Reverses each sorted row in time; padding stays last.

        Args:
            inputs: (longest, batch, features).

        Returns:
            The same shape.
        """
        return inputs.flatten(0, 1).index_select(0, self._reversed).view(inputs.shape)

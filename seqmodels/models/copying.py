"""Copying tokens from the source."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def mix_copies(logits: Tensor, gate: Tensor, weights: Tensor, ids: Tensor) -> Tensor:
    """Mixes predicted tokens with copied ones.

    `p(y) = g p_vocabulary(y) + (1 - g) sum of the attention to the steps of the source that are y`, with `g` the
    sigmoid of the gate (See, Liu and Manning 2017, "Get to the point", equation 9).

    Args:
        logits: Of the vocabulary `(batch, time, vocab_size)`.
        gate: How much is predicted `(batch, time, 1)`, before its sigmoid.
        weights: Of attention `(batch, time, steps)`.
        ids: The source's tokens `(batch, steps)`.

    Returns:
        Logarithms of probabilities `(batch, time, vocab_size)`.

    Example:
        >>> predicted, gate, weights = torch.zeros(1, 1, 3), torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
        >>> mix_copies(predicted, gate, weights, torch.tensor([[2]])).exp()
        tensor([[[0.1667, 0.1667, 0.6667]]])
    """
    predicted = logits.log_softmax(-1, torch.float32) + logsigmoid(gate)
    places = ids[:, None].expand(-1, weights.shape[1], -1)
    copied = torch.zeros_like(predicted).scatter_add(-1, places, weights.to(predicted.dtype))
    tiny = torch.finfo(copied.dtype).tiny
    return torch.logaddexp(predicted, copied.clamp(min=tiny).log() + logsigmoid(-gate))

"""Copying tokens from the source, those too that the vocabulary lacks."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad


def mix_copies(logits: Tensor, gate: Tensor, weights: Tensor, ids: Tensor, width: int | None = None) -> Tensor:
    """Mixes predicted tokens with copied ones.

    `p(y) = g p_vocabulary(y) + (1 - g) sum of the attention to the steps of the source that are y`, with `g` the
    sigmoid of the gate (See, Liu and Manning 2017, "Get to the point", equation 9).

    Args:
        logits: Of the vocabulary `(batch, time, vocab_size)`.
        gate: How much is predicted `(batch, time, 1)`, before its sigmoid.
        weights: Of attention `(batch, time, steps)`.
        ids: The source's tokens `(batch, steps)`. From `vocab_size` on they number what the vocabulary lacks, for each
            source by itself, which can only be copied (the extended vocabulary of section 2.2).
        width: One more than the largest of `ids`; `vocab_size` where left out, and at least that.

    Returns:
        Logarithms of probabilities `(batch, time, width)`; minus infinity for numbers that a row's source does not use.

    Example:
        >>> predicted, gate, weights = torch.zeros(1, 1, 3), torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
        >>> mix_copies(predicted, gate, weights, torch.tensor([[2]])).exp()
        tensor([[[0.1667, 0.1667, 0.6667]]])
        >>> mix_copies(predicted, gate, weights, torch.tensor([[3]]), width=4).exp()
        tensor([[[0.1667, 0.1667, 0.1667, 0.5000]]])
    """
    beyond = max(0, (width or 0) - logits.shape[-1])
    predicted = logits.log_softmax(-1, torch.promote_types(logits.dtype, torch.float32)) + logsigmoid(gate)
    if beyond:
        predicted = pad(predicted, (0, beyond), value=-torch.inf)
    places = ids[:, None].expand(-1, weights.shape[1], -1)
    copied = torch.zeros_like(predicted).scatter_add(-1, places, weights.to(predicted.dtype))
    tiny = torch.finfo(copied.dtype).tiny
    mixed = torch.logaddexp(predicted, copied.clamp(min=tiny).log() + logsigmoid(-gate))
    if not beyond:
        return mixed
    numbers = torch.arange(mixed.shape[-1], device=ids.device)
    unused = (numbers >= logits.shape[-1]) & (numbers > ids.amax(1, keepdim=True))
    return mixed.masked_fill(unused[:, None], -torch.inf)


def as_known(inputs: Tensor, vocab_size: int, unk: int) -> Tensor:
    """Returns what a model can read: what the vocabulary lacks becomes the unknown token.

    Args:
        inputs: Ids `(...)`, or how likely each is `(..., at least vocab_size)`.
        vocab_size: Ids from here on are beyond the vocabulary.
        unk: The id of the unknown token.

    Returns:
        Ids `(...)`, or how likely each is `(..., vocab_size)`.

    Example:
        >>> as_known(torch.tensor([2, 3, 5]), vocab_size=3, unk=0), as_known(torch.full((4,), 0.25), 3, unk=0)
        (tensor([2, 0, 0]), tensor([0.5000, 0.2500, 0.2500]))
    """
    if not inputs.is_floating_point():
        return inputs.masked_fill(inputs >= vocab_size, unk)
    known, beyond = inputs[..., :vocab_size], inputs[..., vocab_size:]
    place = torch.tensor([unk], device=inputs.device)
    return known.index_add(-1, place, beyond.sum(-1, keepdim=True)) if beyond.shape[-1] else known

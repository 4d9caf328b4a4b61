"""Every attention on a device, held to the same attention on the CPU."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import seqmodels.nn.attention as exported
from seqmodels.benchmarks.agreement import Disagreement, check, error
from seqmodels.nn.attention import Attention, GeneralAttention

ATTENTIONS: dict[str, Callable[..., Attention]] = {
    name: kind
    for name in exported.__all__
    if inspect.isclass(kind := getattr(exported, name)) and issubclass(kind, Attention) and not inspect.isabstract(kind)
}
"""All that `seqmodels.nn.attention` exports, by name."""

TOLERANCE = 1e-4
"""Share of the largest number in a tensor. Rounding in float32 without TF32 is about a hundredth of it."""

ROWS, QUERIES, STEPS, SIZE = 16, 9, 23, 64
# What an attention cannot be made without, and no noise: what is drawn differs between devices.
_OPTIONS: dict[str, Any] = {"score": GeneralAttention, "noise": 0.0}


def check_attention(name: str, device: str) -> float:
    """Holds an attention in float32 on a device to itself on the CPU, forward and backward, over ragged sources.

    Args:
        name: A key of `ATTENTIONS`.
        device: Such as "cuda".

    Returns:
        The largest difference of contexts, weights and gradients, each as a share of the largest number in it.

    Raises:
        Disagreement: Where one is beyond rounding.

    Example:
        >>> check_attention("DotAttention", "cpu")
        0.0
    """
    attention, sources = make(name), draw()
    right = run(attention, *sources)
    found = run(copy.deepcopy(attention).to(device), *(tensor.to(device) for tensor in sources))
    errors = {key: error(found[key].cpu(), right[key]) for key in right}
    check(errors, f"{name} on {device}", TOLERANCE)
    return max(errors.values())


def check_half(name: str, device: str, dtype: torch.dtype) -> None:
    """Runs an attention in half precision where its scores are beyond what that can hold.

    Args:
        name: A key of `ATTENTIONS`.
        device: Such as "cuda".
        dtype: Of its weights, queries and values.

    Raises:
        Disagreement: Where a weight is not finite, or padding of a source gets another weight than exactly zero.

    Example:
        >>> check_half("DotAttention", "cpu", torch.float16)
    """
    attention = make(name).to(device, dtype)
    queries, values, lengths = draw(scale=1e4)
    queries, values = (tensor.to(device, dtype) for tensor in (queries, values))
    memory = attention.remember(values, lengths.to(device))
    weights = attention(queries, memory).weights
    if not bool(weights.isfinite().all()):
        raise Disagreement(f"{name} on {device} in {dtype}: a weight is not finite")
    if bool(weights.masked_fill(memory.valid[:, None], 0).any()):
        raise Disagreement(f"{name} on {device} in {dtype}: padding of a source has a weight")


def make(name: str) -> Attention:
    """Makes an attention on the CPU that leaves nothing to chance; its weights are the same each time."""
    torch.manual_seed(0)
    kind = ATTENTIONS[name]
    known = inspect.signature(kind).parameters
    return kind(SIZE, SIZE, **{key: value for key, value in _OPTIONS.items() if key in known})


def draw(scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Draws queries, values and the lengths of sources, some short and one empty; the same each time."""
    generator = torch.Generator().manual_seed(1)
    queries, values = (scale * torch.randn(ROWS, n, SIZE, generator=generator) for n in (QUERIES, STEPS))
    return queries, values, torch.linspace(0, STEPS, ROWS).long()


def run(attention: Attention, queries: Tensor, values: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Runs an attention forward and backward.

    Returns:
        Contexts and weights as "outputs", and the gradients of queries, values and parameters that have any, by name.
    """
    queries, values = (tensor.clone().requires_grad_() for tensor in (queries, values))
    found = attention(queries, attention.remember(values, lengths))
    outputs = torch.cat([found.context, found.weights], -1)
    weighing = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2)).to(outputs.device)
    (outputs * weighing).sum().backward()
    of = {"queries": queries, "values": values, **dict(attention.named_parameters())}
    gradients = {name: tensor.grad for name, tensor in of.items() if tensor.grad is not None}
    return {"outputs": outputs.detach(), **gradients}

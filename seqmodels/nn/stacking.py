"""How recurrent layers are stacked: what each reads, what stands between them, what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.state import State

Connections = Literal["plain", "residual", "dense"]
Outputs = Literal["last", "sum", "concat"]


@dataclass(frozen=True)
class Stacking:
    """How the layers of a `Recurrent` are stacked.

    Between two layers, a layer's outputs go through the module of `between`, and then, on their way into the next
    layer, through dropout.

    - "plain" connections: each layer reads what the one below hands on.
    - "residual": the same, and what it hands on (before dropout) is added to the layer's outputs (Wu et al., 2016,
      arXiv:1609.08144, equation 6). The first layer adds the inputs where they are as wide as its outputs, and does
      without where they are not; every other layer must fit.
    - "dense": each layer reads the inputs and what all layers below hand on, side by side (Huang et al., 2017,
      arXiv:1608.06993).

    Args:
        connections: "plain", "residual" or "dense".
        outputs: What the stack puts out: the outputs of its "last" layer, or the "sum" or "concat" (side by side, from
            the first layer to the last) of all layers' (Graves, 2013, arXiv:1308.0850; Peters et al., 2018,
            arXiv:1802.05365).
        variational_dropout: Whether dropout between layers zeroes the same features at every step of a sequence (Gal
            and Ghahramani, 2016, arXiv:1512.05287). A mask is drawn for each row of each call, and anew at a reset.
        between: Makes a module for a number of features, such as `torch.nn.LayerNorm` or a `functools.partial` of
            `FeedForward`; one stands above each layer but the last, is applied to (..., features), step by step, and
            may change their number.

    Raises:
        ValueError: A choice is unknown.

    Example:
        >>> from seqmodels.nn import GRUCell, Recurrent
        >>> stacking = Stacking(connections="residual", outputs="concat", between=nn.LayerNorm)
        >>> layer = Recurrent(GRUCell, 3, 5, num_layers=3, dropout=0.2, stacking=stacking)
        >>> layer(torch.randn(2, 7, 3))[0].shape
        torch.Size([2, 7, 15])
    """

    connections: Connections = "plain"
    outputs: Outputs = "last"
    variational_dropout: bool = False
    between: Callable[[int], nn.Module] | None = None

    def __post_init__(self) -> None:
        for name, kind in (("connections", Connections), ("outputs", Outputs)):
            if getattr(self, name) not in get_args(kind):
                expected = ", ".join(get_args(kind))
                raise ValueError(f"stacking.{name}: expected one of {expected}, got {getattr(self, name)!r}")


def check_residual(layer: int, input_size: int, output_size: int) -> None:
    """Refuses a residual connection around a layer above the first whose inputs and outputs differ in width.

    Raises:
        ValueError: Names the layer and both widths.
    """
    if layer > 0 and input_size != output_size:
        raise ValueError(
            f"stacking.connections: expected layers as wide as what they read for residual, "
            f"got layer {layer} with {input_size} inputs and {output_size} outputs"
        )


def joined_size(outputs: Outputs, sizes: Sequence[int]) -> int:
    """Gives the features of what a stack puts out.

    Args:
        outputs: "last", "sum" or "concat".
        sizes: Features of each layer's outputs.

    Returns:
        The features of all.

    Raises:
        ValueError: Layers of different widths cannot be summed.
    """
    if outputs == "sum" and len(set(sizes)) > 1:
        raise ValueError(f"stacking.outputs: expected layers of one width for sum, got {list(sizes)}")
    return sum(sizes) if outputs == "concat" else sizes[-1]


def join(outputs: Outputs, sequences: list[Tensor]) -> Tensor:
    """Makes of all layers' outputs, each (..., features), what the stack puts out."""
    if outputs == "last" or len(sequences) == 1:
        return sequences[-1]
    return torch.cat(sequences, -1) if outputs == "concat" else sum(sequences[1:], start=sequences[0])


def width_after(module: nn.Module, size: int) -> int:
    """Measures how many features a module makes of `size`, by asking it once."""
    training = module.training
    with torch.no_grad():
        width = module.eval()(torch.zeros(1, 1, size)).shape[-1]
    module.train(training)
    return int(width)


def unstack_state(state: State, sizes: list[int]) -> list[State]:
    """Takes the state of a stack apart, as views.

    Args:
        state: Each (cells, batch, width).
        sizes: The width of each cell's own state.

    Returns:
        The state of each cell, each (batch, size).
    """
    if len(sizes) == 1:
        return [tuple([s.squeeze(0) for s in state])]
    states = zip(*(s.unbind(0) for s in state), strict=True)
    return [
        tuple(s if s.shape[1] == size else s[:, :size] for s in cell_state)
        for cell_state, size in zip(states, sizes, strict=True)
    ]


def stack_states(states: Sequence[State], width: int) -> State:
    """Makes one state of those of single cells, zero beyond each cell's own width; a view where there is one cell.

    Args:
        states: The state of each cell, each (batch, size).
        width: The widest size.

    Returns:
        Each (cells, batch, width).
    """
    if len(states) == 1:
        return tuple([s.unsqueeze(0) for s in states[0]])
    return tuple(
        torch.stack([s if s.shape[-1] == width else F.pad(s, (0, width - s.shape[-1])) for s in tensors])
        for tensors in zip(*states, strict=True)
    )

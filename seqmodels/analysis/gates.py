"""Gates of any cell: how far open they are, how often they are saturated, how long they let a unit remember."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seqmodels.analysis.gate_names import names_in_source
from seqmodels.analysis.recording import CellRecord
from seqmodels.nn import State

_GATES = {torch.sigmoid, Tensor.sigmoid, torch.special.expit, F.hardsigmoid}
_PRODUCTS = {F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__}
_PRODUCTS |= {torch.mm, Tensor.mm, torch.addmm, torch.bmm, torch.einsum}
_TORCH = str(Path(torch.__file__).parent)
_CHOSEN = "seqmodels.nn.cells.activations"  # a sigmoid from there is the function of a unit, which a user chose


class Gates(NamedTuple):
    """The gates of one cell along a sequence.

    Attributes:
        values: Of each gate by its name, from 0 to 1, (time, batch, units).
        retention: Of each tensor of the state, how much of a unit's old value is in its new one, (time, batch,
            hidden_size).
    """

    values: dict[str, Tensor]
    retention: State


class Saturation(NamedTuple):
    """How often each unit of a gate is as good as shut or as good as open.

    Attributes:
        left: Share of steps at which it is below 0.1, (hidden_size,).
        right: Share of steps at which it is above 0.9, (hidden_size,).
    """

    left: Tensor
    right: Tensor


def read_gates(record: CellRecord, steps: int | None = None) -> Gates:
    """Takes all steps of a recorded cell again, at once as the rows of one batch, and watches its gates.

    A gate is what comes out of a sigmoid inside the step and is not yet the state itself. Its name is read from the
    source of the cell. Retention of a unit j is d s'_j / d s_j of one step in which all products with matrices are held
    fixed: for an LSTM's c the forget gate, for a GRU's h the gate z, for an Elman network 0.

    Args:
        record: What a cell did.
        steps: How many of the first steps to take; all if None.

    Returns:
        The gates, none for a cell that has none, and the retention.

    Example:
        >>> from seqmodels.analysis import watch
        >>> from seqmodels.nn import LSTMCell, Recurrent
        >>> layer = Recurrent(LSTMCell, 3, 5)
        >>> with watch(layer) as recording, torch.no_grad():
        ...     _ = layer(torch.randn(2, 7, 3))
        >>> gates = read_gates(recording.cells[0])
        >>> {name: tuple(values.shape) for name, values in gates.values.items()}
        {'f': (7, 2, 5), 'i': (7, 2, 5), 'o': (7, 2, 5)}
        >>> bool(torch.allclose(gates.retention[1], gates.values["f"]))
        True
    """
    shape = record.inputs.shape[:2] if steps is None else (min(steps, len(record.inputs)), record.inputs.shape[1])
    inputs = record.inputs[: shape[0]].detach().flatten(0, 1)
    old = tuple(s[: shape[0]].detach().flatten(0, 1).requires_grad_() for s in record.previous)
    cell = record.cell
    with torch.enable_grad():
        with torch.no_grad():
            projected = cell.prepare(inputs)
        with _Watching(len(inputs)) as watching:
            _, new = cell.step(projected, old)
        retention = [_own_derivative(after, before) for after, before in zip(new, old, strict=True)]
    gates = [call for call in watching.calls if not any(call.result is after for after in new)]
    values = {name: part.detach().unflatten(0, shape) for name, part in _named(gates).items()}
    return Gates(values, tuple(share.unflatten(0, shape) for share in retention))


def saturation(values: Tensor, low: float = 0.1, high: float = 0.9) -> Saturation:
    """Counts how often the units of a gate are saturated (Karpathy et al., 2015, arXiv:1506.02078, figure 2).

    Args:
        values: Of one gate, (..., hidden_size).
        low: Below this a gate is saturated to the left.
        high: Above this a gate is saturated to the right.

    Returns:
        Shares from 0 to 1 for each unit.

    Example:
        >>> saturation(torch.tensor([[0.05, 0.5], [0.95, 0.5]]))
        Saturation(left=tensor([0.5000, 0.0000]), right=tensor([0.5000, 0.0000]))
    """
    rows = values.flatten(0, -2)
    return Saturation((rows < low).to(rows.dtype).mean(0), (rows > high).to(rows.dtype).mean(0))


def time_constants(retention: Tensor) -> Tensor:
    """Gives the steps after which a unit, left alone, is down to 1/e: -1 / ln of the size of its mean retention.

    Tallec and Ollivier (2018, arXiv:1804.11188) tie the forget gate to the time that a unit can span so.

    Args:
        retention: Of one tensor of the state, (..., hidden_size).

    Returns:
        Steps for each unit, (hidden_size,): 0 where nothing is kept, infinite where nothing is lost.

    Example:
        >>> time_constants(torch.tensor([[0.9, 0.0, 1.0], [0.9, 0.0, 1.0]]))
        tensor([9.4912, 0.0000,    inf])
    """
    mean = retention.flatten(0, -2).mean(0).abs().clamp(max=1)
    return 1 / mean.log().abs()


class _Call(NamedTuple):
    """What one call of a sigmoid gave, and what its gates, side by side in it, are called in the source."""

    result: Tensor
    names: list[str]


class _Watching(TorchFunctionMode):
    """Keeps what sigmoids give, and cuts the gradient at products with matrices."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.calls: list[_Call] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Makes one call of torch's."""
        result = func(*args, **(kwargs or {}))
        if func in _PRODUCTS:
            return result.detach()
        if func in _GATES and result.dim() > 1 and len(result) == self.rows:
            frame = _caller()
            if frame is None or frame.f_globals.get("__name__") != _CHOSEN:
                self.calls.append(_Call(result, [] if frame is None else names_in_source(frame)))
        return result


def _caller() -> FrameType | None:
    """Returns the frame that called torch: the first that belongs neither to torch nor to this file."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename == __file__ or frame.f_code.co_filename.startswith(_TORCH)):
        frame = frame.f_back
    return frame


def _own_derivative(after: Tensor, before: Tensor) -> Tensor:
    """Returns d after / d before, unit by unit: without products, units of a row do not meet."""
    if not after.requires_grad:
        return torch.zeros_like(before)
    (gradient,) = torch.autograd.grad(after.sum(), before, retain_graph=True, allow_unused=True, materialize_grads=True)
    return gradient


def _named(calls: list[_Call]) -> dict[str, Tensor]:
    """Gives every gate a name of its own: a number to one without, and to the second and later ones of a name."""
    named: dict[str, Tensor] = {}
    for call in calls:
        result = call.result.flatten(1)
        apart = result.shape[1] % max(1, len(call.names)) == 0
        names = call.names if call.names and apart else [f"gate {len(named) + 1}"]
        for name, part in zip(names, result.chunk(len(names), -1), strict=True):
            again = sum(other.partition(" ")[0] == name for other in named)
            named[f"{name} {again + 1}" if again else name] = part
    return named

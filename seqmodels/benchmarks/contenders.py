"""Who is measured against whom: our layers and torch's, on the same batch."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import seqmodels.nn as ours
from seqmodels.benchmarks.shapes import Shape
from seqmodels.nn import GatedCell, Recurrent, State

TORCH: dict[str, Callable[..., nn.RNNBase]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
NUM_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPWISE = "stepwise"


class UserLSTMCell(GatedCell):
    """An LSTM as a user writes it by the narrow contract, its arithmetic alone.

    Example:
        >>> layer = Recurrent(UserLSTMCell, 3, 5)
        >>> layer(torch.zeros(2, 4, 3))[0].shape
        torch.Size([2, 4, 5])
    """

    num_gates = 4
    num_states = 2

    def update(self, projected: Tensor, recurrent: Tensor, state: State) -> tuple[Tensor, State]:
        """Does the arithmetic of one step; see `GatedCell.update`."""
        _, c = state
        i, f, g, o = (projected + recurrent).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, (h, c)


class Targets(NamedTuple):
    """What a ratio should reach: its geometric mean over all shapes, and the worst of them."""

    mean: float
    worst: float


@dataclass(frozen=True)
class Contender:
    """One of our layers and what it is measured against.

    Args:
        title: What the table calls it.
        against: The layer of torch, a key of `TORCH`.
        cell: Makes the cell for `Recurrent`.
        backward: Targets of forward and backward together.
        dropin: Our layer in the place of torch's, measured instead of `Recurrent` where the backend is left open.
        forward: Targets of the forward pass alone; None where that is not measured.
        has_twin: Whether the same weights make it compute what torch's layer computes.
    """

    title: str
    against: str
    cell: Callable[..., ours.Cell]
    backward: Targets
    dropin: Callable[..., nn.RNNBase] | None = None
    forward: Targets | None = None
    has_twin: bool = True

    @property
    def num_gates(self) -> int:
        """Blocks of `hidden_size` rows in the weights of torch's layer."""
        return NUM_GATES[self.against]

    def make(self, shape: Shape, backend: str = "auto") -> nn.Module:
        """Makes our layer.

        Raises:
            ValueError: The backend does not fit the cell.
        """
        if self.dropin is not None and backend == "auto":
            return make_torch(self.dropin, shape)
        return Recurrent(
            self.cell,
            shape.input_size,
            shape.hidden_size,
            num_layers=shape.num_layers,
            bidirectional=shape.bidirectional,
            backend=backend,
        )

    def make_opponent(self, shape: Shape) -> nn.RNNBase:
        """Makes torch's layer."""
        return make_torch(TORCH[self.against], shape)


def make_torch(layer: Callable[..., nn.RNNBase], shape: Shape) -> nn.RNNBase:
    """Makes a layer by torch's constructor."""
    return layer(
        shape.input_size,
        shape.hidden_size,
        num_layers=shape.num_layers,
        bidirectional=shape.bidirectional,
        batch_first=True,
    )


_ALONE = Targets(1.2, 1.0)  # forward only
_VARIANT = Targets(0.9, 0.7)

CONTENDERS = {
    "lstm": Contender("LSTM", "LSTM", ours.LSTMCell, Targets(1.25, 1.0), ours.LSTM, _ALONE),
    "gru": Contender("GRU", "GRU", ours.GRUCell, Targets(2.5, 1.5), ours.GRU, _ALONE),
    "elman": Contender("Elman tanh", "RNN", ours.ElmanCell, Targets(2.0, 1.2), ours.RNN, _ALONE),
    "layer_norm_lstm": Contender("LSTM, layer norm", "LSTM", ours.LayerNormLSTMCell, _VARIANT, has_twin=False),
    "peephole_lstm": Contender("LSTM, peepholes", "LSTM", ours.PeepholeLSTMCell, _VARIANT),
    "zoneout_lstm": Contender(
        "LSTM, zoneout",
        "LSTM",
        partial(ours.ZoneoutCell, cell=ours.LSTMCell, probability=(0.05, 0.5)),
        _VARIANT,
        has_twin=False,
    ),
    "user_lstm": Contender("a user's LSTM", "LSTM", UserLSTMCell, Targets(0.7, 0.4)),
}


class Batch:
    """What both sides of a measurement are given.

    Args:
        shape: The sizes.
        dtype: The dtype.
        device: The device.

    Attributes:
        inputs: (batch, time, input_size), with a gradient.
        gradient: The gradient of the loss by the outputs, (batch, time, output_size).
        lengths: (batch,), or None.
    """

    def __init__(self, shape: Shape, dtype: torch.dtype = torch.float32, device: str = "cpu") -> None:
        generator = torch.Generator().manual_seed(1)
        sizes = [(shape.batch, shape.time, size) for size in (shape.input_size, shape.output_size)]
        inputs, gradient = (torch.randn(size, generator=generator).to(device, dtype) for size in sizes)
        self.inputs = inputs.requires_grad_()
        self.gradient = gradient
        self.lengths = shape.lengths()

    def double(self) -> "Batch":
        """Gives the same numbers in float64."""
        twin = copy.copy(self)
        twin.inputs, twin.gradient = self.inputs.detach().double().requires_grad_(), self.gradient.double()
        return twin

    def forward(self, layer: nn.Module) -> Tensor:
        """Runs a layer of either kind; gives the outputs (batch, time, output_size), zero beyond each length."""
        if not isinstance(layer, nn.RNNBase):
            return layer(self.inputs, lengths=self.lengths)[0]
        if self.lengths is None:
            return layer(self.inputs)[0]
        packed = pack_padded_sequence(self.inputs, self.lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=self.inputs.shape[1])[0]

    def backward(self, layer: nn.Module) -> tuple[Tensor, ...]:
        """Runs a layer forward and backward.

        Returns:
            The outputs, and the gradients of `(outputs * gradient).sum()` by the inputs and by each parameter.
        """
        outputs = self.forward(layer)
        return outputs, *torch.autograd.grad(outputs, [self.inputs, *layer.parameters()], self.gradient)

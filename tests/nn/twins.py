"""Torch's own layers as the measure of ours: same weights, and rows of different lengths run one by one."""

from functools import partial

import torch
from torch import Tensor, nn

from seqmodels.nn import ElmanCell, GRUCell, LSTMCell, NativeRecurrent, Recurrent, State

TWINS = {
    "tanh": (ElmanCell, nn.RNN),
    "relu": (partial(ElmanCell, activation="relu"), partial(nn.RNN, nonlinearity="relu")),
    "lstm": (LSTMCell, nn.LSTM),
    "gru": (GRUCell, nn.GRU),
}

CELLS = {
    **{name: cell for name, (cell, _) in TWINS.items()},
    "sigmoid": partial(ElmanCell, activation="sigmoid"),
    "identity": partial(ElmanCell, activation="identity"),
}

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def torch_name(layer: Recurrent, k: int, name: str) -> str:
    """Names in a torch layer what is `cells.k.name` in ours."""
    depth, direction = divmod(k, layer.num_directions)
    return f"{name}_l{depth}" + "_reverse" * direction


def pairs(layer: Recurrent, native: nn.RNNBase) -> list[tuple[str, Tensor, Tensor]]:
    """Lists (name, our parameter, torch's parameter)."""
    return [
        (torch_name(layer, k, name), getattr(cell, name), getattr(native, torch_name(layer, k, name)))
        for k, cell in enumerate(layer.cells)
        for name in PARAMETERS
        if getattr(cell, name) is not None
    ]


@torch.no_grad()
def copy_weights(layer: Recurrent, native: nn.RNNBase) -> None:
    """Copies ours into torch's."""
    for _, ours, theirs in pairs(layer, native):
        theirs.copy_(ours)


@torch.no_grad()
def randomize(layer: nn.Module) -> None:
    """Makes every parameter matter, biases and learned states too."""
    for parameter in layer.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))


def random_state(layer: Recurrent | NativeRecurrent, batch_size: int) -> State:
    shape = (layer.num_layers * layer.num_directions, batch_size, layer.hidden_size)
    return tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(layer.num_states))


def run_native(native: nn.RNNBase, inputs: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
    """Runs a torch layer (batch first), each row by itself where there are lengths."""
    if lengths is None:
        outputs, final = native(inputs, state if len(state) > 1 else state[0])
        return outputs, final if isinstance(final, tuple) else (final,)
    T = inputs.shape[1]
    all_outputs, all_states = [], []
    for b, length in enumerate(lengths.tolist()):
        row_state = tuple(s[:, b : b + 1].contiguous() for s in state)
        features = native.hidden_size * (2 if native.bidirectional else 1)
        outputs = inputs.new_zeros(1, 0, features)
        if length:
            outputs, row_state = run_native(native, inputs[b : b + 1, :length], row_state, None)
        all_outputs.append(nn.functional.pad(outputs, (0, 0, 0, T - length)))
        all_states.append(row_state)
    return torch.cat(all_outputs), tuple(torch.cat(s, 1) for s in zip(*all_states, strict=True))


def gradients(outputs: Tensor, final: State, wanted: list[Tensor]) -> list[Tensor]:
    """Gradients of a sum that weighs every number of outputs and final state differently."""
    loss = sum((torch.sin(torch.arange(x.numel(), dtype=x.dtype)).view(x.shape) * x).sum() for x in (outputs, *final))
    return list(torch.autograd.grad(loss, wanted))


def assert_close(ours: Tensor | list[Tensor] | State, theirs: Tensor | list[Tensor] | State) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)

"""The three layers: torch's own classes with another `forward`."""

from copy import copy
from typing import Any, TypeVar

from torch import Tensor
from torch.nn import GRU as TorchGRU
from torch.nn import LSTM as TorchLSTM
from torch.nn import RNN as TorchRNN
from torch.nn.utils.rnn import PackedSequence

from seqmodels.nn.dropin.loop import run

Inputs = TypeVar("Inputs", Tensor, PackedSequence)


class RNN(TorchRNN):
    """Elman network in the place of `torch.nn.RNN`: its arguments, parameters, results and `state_dict`.

        h = activation(W_ih x + b_ih + W_hh h + b_hh)

    Elman, 1990, "Finding Structure in Time". On what the kernels do not take (other devices than the CPU, half types,
    autocast, compiling, exporting, `torch.func`) and on what is refused, it is torch's own layer.

    Args:
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, and of the state.
        num_layers: Layers, each reading the outputs of the one below.
        nonlinearity: "tanh" or "relu".
        bias: Whether the products have biases.
        batch_first: Whether sequences are (batch, time, features) and not (time, batch, features).
        dropout: Probability of zeroing an output between layers, while training.
        bidirectional: Whether each layer also reads the sequence from its end.
        device: Where the parameters are.
        dtype: The dtype of the parameters.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument is of the wrong type.

    Example:
        >>> import torch
        >>> layer = RNN(3, 5, batch_first=True)
        >>> layer.load_state_dict(torch.nn.RNN(3, 5).state_dict())
        <All keys matched successfully>
        >>> outputs, h = layer(torch.randn(4, 7, 3))
        >>> outputs.shape, h.shape
        (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    """

    def forward(self, input: Inputs, hx: Tensor | None = None) -> tuple[Inputs, Tensor]:
        """Runs over sequences.

        Args:
            input: (time, batch, input_size), (batch, time, input_size) if `batch_first`, (time, input_size), or a
                `PackedSequence`.
            hx: The state before the first step, (num_layers * num_directions, batch, hidden_size), without batch where
                the input has none; zero if None.

        Returns:
            The outputs, in the form of the input with num_directions * hidden_size features, and the state after each
            row's last step, in the form of `hx`.

        Raises:
            RuntimeError: A shape or the dtype of `hx` does not fit.
            ValueError: The number of dimensions or the dtype of the input does not fit.
        """
        result = run(self, input, None if hx is None else (hx,))
        if result is None:
            return super().forward(input, hx)
        outputs, (h,) = result
        return outputs, h

    def __prepare_scriptable__(self) -> TorchRNN:
        """Gives `torch.jit.script` torch's own layer on the same parameters."""
        twin: Any = copy(self)
        twin.__class__ = TorchRNN
        return twin


class LSTM(TorchLSTM):
    """Long short-term memory in the place of `torch.nn.LSTM`: its arguments, parameters, results and `state_dict`.

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    With `proj_size`, h = W_hr (sigmoid(o) * tanh(c)). Gers et al., 2000, "Learning to Forget"; the projection is that
    of Sak et al., 2014, arXiv:1402.1128. On what the kernels do not take (other devices than the CPU, half types,
    projections, autocast, compiling, exporting, `torch.func`) and on what is refused, it is torch's own layer.

    Args:
        input_size: Features of the inputs.
        hidden_size: Features of the cell state, and of each direction's outputs unless `proj_size` is set.
        num_layers: Layers, each reading the outputs of the one below.
        bias: Whether the products have biases.
        batch_first: Whether sequences are (batch, time, features) and not (time, batch, features).
        dropout: Probability of zeroing an output between layers, while training.
        bidirectional: Whether each layer also reads the sequence from its end.
        proj_size: Features of h after its projection; 0 for none.
        device: Where the parameters are.
        dtype: The dtype of the parameters.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument is of the wrong type.

    Example:
        >>> import torch
        >>> layer = LSTM(3, 5, num_layers=2, bidirectional=True)
        >>> outputs, (h, c) = layer(torch.nn.utils.rnn.pack_sequence([torch.randn(7, 3), torch.randn(2, 3)]))
        >>> outputs.data.shape, h.shape
        (torch.Size([9, 10]), torch.Size([4, 2, 5]))
    """

    def forward(self, input: Inputs, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Inputs, tuple[Tensor, Tensor]]:
        """Runs over sequences.

        Args:
            input: (time, batch, input_size), (batch, time, input_size) if `batch_first`, (time, input_size), or a
                `PackedSequence`.
            hx: The state (h, c) before the first step, (num_layers * num_directions, batch, proj_size or hidden_size)
                and (num_layers * num_directions, batch, hidden_size), without batch where the input has none; zero if
                None.

        Returns:
            The outputs, in the form of the input with num_directions * (proj_size or hidden_size) features, and the
            state after each row's last step, in the form of `hx`.

        Raises:
            RuntimeError: A shape or the dtype of `hx` does not fit.
            ValueError: The number of dimensions or the dtype of the input does not fit.
        """
        result = run(self, input, hx)
        if result is None:
            return super().forward(input, hx)
        outputs, (h, c) = result
        return outputs, (h, c)

    def __prepare_scriptable__(self) -> TorchLSTM:
        """Gives `torch.jit.script` torch's own layer on the same parameters."""
        twin: Any = copy(self)
        twin.__class__ = TorchLSTM
        return twin


class GRU(TorchGRU):
    """Gated recurrent unit in the place of `torch.nn.GRU`: its arguments, parameters, results and `state_dict`.

        r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h = (1 - z) * n + z * h

    Cho et al., 2014, arXiv:1406.1078, with the reset after the product. On what the kernels do not take (other devices
    than the CPU, half types, autocast, compiling, exporting, `torch.func`) and on what is refused, it is torch's own
    layer.

    Args:
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, and of the state.
        num_layers: Layers, each reading the outputs of the one below.
        bias: Whether the products have biases.
        batch_first: Whether sequences are (batch, time, features) and not (time, batch, features).
        dropout: Probability of zeroing an output between layers, while training.
        bidirectional: Whether each layer also reads the sequence from its end.
        device: Where the parameters are.
        dtype: The dtype of the parameters.

    Raises:
        ValueError: An argument is out of range.
        TypeError: An argument is of the wrong type.

    Example:
        >>> import torch
        >>> layer = GRU(3, 5, batch_first=True)
        >>> layer.load_state_dict(torch.nn.GRU(3, 5).state_dict())
        <All keys matched successfully>
        >>> outputs, h = layer(torch.randn(4, 7, 3))
        >>> outputs.shape, h.shape
        (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    """

    def forward(self, input: Inputs, hx: Tensor | None = None) -> tuple[Inputs, Tensor]:
        """Runs over sequences.

        Args:
            input: (time, batch, input_size), (batch, time, input_size) if `batch_first`, (time, input_size), or a
                `PackedSequence`.
            hx: The state before the first step, (num_layers * num_directions, batch, hidden_size), without batch where
                the input has none; zero if None.

        Returns:
            The outputs, in the form of the input with num_directions * hidden_size features, and the state after each
            row's last step, in the form of `hx`.

        Raises:
            RuntimeError: A shape or the dtype of `hx` does not fit.
            ValueError: The number of dimensions or the dtype of the input does not fit.
        """
        result = run(self, input, None if hx is None else (hx,))
        if result is None:
            return super().forward(input, hx)
        outputs, (h,) = result
        return outputs, h

    def __prepare_scriptable__(self) -> TorchGRU:
        """Gives `torch.jit.script` torch's own layer on the same parameters."""
        twin: Any = copy(self)
        twin.__class__ = TorchGRU
        return twin

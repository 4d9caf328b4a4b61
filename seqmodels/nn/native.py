"""Torch's own recurrent layers under the interface of `Recurrent`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqmodels.nn.cells.initialization import reset_gates, set_forget_bias
from seqmodels.nn.layer import Context, RecurrentLayer
from seqmodels.nn.ragged import valid_mask
from seqmodels.nn.recurrent import Recurrent
from seqmodels.nn.stacking import Stacking
from seqmodels.nn.state import State, map_state

_CELL_OPTIONS = {"bias", "nonlinearity"}


class NativeRecurrent(RecurrentLayer):
    """Runs `torch.nn.RNN`, `LSTM` or `GRU` over sequences: same arguments, same results and same start as `Recurrent`.

    With the same seed it starts from the same weights as a `Recurrent` of our cells. Torch runs all its layers in one
    call, so they have one width and plain stacking; for anything else take one of our cells.

    Args:
        cell: `torch.nn.RNN`, `torch.nn.LSTM` or `torch.nn.GRU`, or a `functools.partial` of one that sets `bias` or
            `nonlinearity`.
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, and of the state.
        num_layers: Layers, each reading the outputs of the one below.
        bidirectional: Whether each layer also reads the sequence from its end.
        dropout: Probability of zeroing an output between layers, while training.
        initial_state: "zero", "learned" for a parameter that starts at zero, or "noisy", see `Recurrent`.
        backend: "auto": torch chooses its own kernel.
        stacking: None, or what comes to the same.
        context: Lets the layer take a vector for each sequence, as initial state, as input at each step, or both.
        noise: The standard deviation of a "noisy" initial state.
        forget_bias: What an LSTM's two forget gate biases add up to at the start.

    Attributes:
        num_directions: 1 or 2.
        num_states: Tensors in the state.
        output_size: Features of the outputs, num_directions * hidden_size.

    Raises:
        ValueError: An argument is out of range, or the cell is not one of torch's.

    Example:
        >>> layer = NativeRecurrent(partial(torch.nn.RNN, nonlinearity="relu"), 3, 5, num_layers=2)
        >>> outputs, (h,) = layer(torch.randn(4, 7, 3), lengths=torch.tensor([7, 0, 3, 5]))
        >>> outputs.shape, h.shape
        (torch.Size([4, 7, 5]), torch.Size([2, 4, 5]))
    """

    def __init__(
        self,
        cell: Callable[..., nn.RNNBase],
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        initial_state: str = "zero",
        backend: str = "auto",
        stacking: Stacking | None = None,
        context: Context | None = None,
        noise: float = 0.1,
        *,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bidirectional, dropout, context)
        _check_cell(cell)
        _check_stacking(self.hidden_sizes, stacking)
        if backend != "auto":
            raise ValueError(f"backend: expected auto, for torch's layers choose their own kernel, got {backend!r}")
        self.output_size = self.num_directions * self.hidden_size
        self.forget_bias = forget_bias
        layers = cell(
            self.first_input_size,
            self.hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,  # torch warns of dropout that has no place to act
            batch_first=True,
            device="meta",  # torch's own start would be drawn in vain, and move the seed
        )
        self.layers = layers.to_empty(device=torch.get_default_device())
        self.reset_parameters()
        self.make_initial_state(2 if isinstance(layers, nn.LSTM) else 1, initial_state, noise)

    def reset_parameters(self) -> None:
        """Draws the parameters anew, as our cells do."""
        for weight_ih, weight_hh, *biases in self.layers.all_weights:
            bias_ih, bias_hh = biases or (None, None)
            reset_gates(weight_ih, weight_hh, bias_ih, bias_hh)
            if isinstance(self.layers, nn.LSTM):
                set_forget_bias(bias_ih, self.forget_bias)

    def _run(self, inputs: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        dtype = state[0].dtype
        if lengths is None:
            outputs, state = self._run_torch(inputs, state)
        else:
            outputs, state = self._run_ragged(inputs, state, lengths)
        return outputs.to(dtype), map_state(lambda tensor: tensor.to(dtype), state)  # autocast leaves either one

    def _own_state(self, batch_size: int) -> State:
        shape = (self.num_layers * self.num_directions, batch_size, self.hidden_size)
        return tuple(self._like().new_zeros(shape) for _ in range(self.num_states))

    def _run_ragged(self, inputs: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
        """Runs over packed rows. Torch packs no empty rows: those take one step in vain."""
        T = inputs.shape[1]
        lengths = lengths.to(inputs.device)
        inputs = inputs.masked_fill(~valid_mask(lengths, T)[..., None], 0)
        packed = pack_padded_sequence(
            inputs, lengths.clamp(min=1).to("cpu", torch.int64), batch_first=True, enforce_sorted=False
        )
        packed_outputs, final_state = self._run_torch(packed, state)
        outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=T)
        empty = (lengths == 0)[:, None]
        state = tuple(torch.where(empty, old, new) for old, new in zip(state, final_state, strict=True))
        return outputs.masked_fill(empty[..., None], 0), state

    def _run_torch(self, inputs: Any, state: State) -> tuple[Any, State]:
        """Runs torch's layers over a tensor or a `PackedSequence`; torch takes a state of one tensor bare."""
        state = map_state(torch.Tensor.contiguous, state)
        outputs, final_state = self.layers(inputs, state if self.num_states > 1 else state[0])
        return outputs, final_state if self.num_states > 1 else (final_state,)

    def _like(self) -> Tensor:
        return self.layers.all_weights[0][0]

    def extra_repr(self) -> str:
        """Shows what the layers do not, in `print(layer)`."""
        return f"initial_state={'learned' if self.learned_state else 'zero'!r}"


def make_recurrent(
    cell: Callable[..., Any],
    input_size: int,
    hidden_size: int | Sequence[int],
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    initial_state: str = "zero",
    backend: str = "auto",
    stacking: Stacking | None = None,
    context: Context | None = None,
    noise: float = 0.1,
) -> Recurrent | NativeRecurrent:
    """Makes the layer that runs a cell: `NativeRecurrent` for torch's own, `Recurrent` for any other.

    Args:
        cell: What makes the cell: a class of ours, of the user's or of torch's, or a `functools.partial` of one.
        input_size: Features of the inputs.
        hidden_size: Features of each direction's outputs, and of the state: one number for all layers or one for each.
        num_layers: Layers.
        bidirectional: Whether to read the sequence from its end too.
        dropout: Probability of zeroing an output between layers, while training.
        initial_state: "zero", "learned" or "noisy".
        backend: The kernel, see `Recurrent`.
        stacking: How layers are connected, see `Stacking`.
        context: What a vector for each sequence does, see `Context`.
        noise: The standard deviation of a "noisy" initial state.

    Returns:
        The layer.

    Raises:
        ValueError: An argument does not fit; see `Recurrent` and `NativeRecurrent`.

    Example:
        >>> from seqmodels.nn import GRUCell
        >>> type(make_recurrent(GRUCell, 3, 5)).__name__, type(make_recurrent(torch.nn.GRU, 3, 5)).__name__
        ('Recurrent', 'NativeRecurrent')
    """
    layer = NativeRecurrent if _is_native(cell) else Recurrent
    return layer(
        cell,
        input_size,
        hidden_size,
        num_layers,
        bidirectional,
        dropout,
        initial_state,
        backend,
        stacking=stacking,
        context=context,
        noise=noise,
    )


def _is_native(cell: object) -> bool:
    while isinstance(cell, partial):
        cell = cell.func
    return isinstance(cell, type) and issubclass(cell, nn.RNNBase)


def _check_cell(cell: object) -> None:
    if not _is_native(cell):
        raise ValueError(f"cell: expected torch.nn.RNN, LSTM or GRU, or a partial of one, got {cell!r}")
    while isinstance(cell, partial):
        if wrong := (set(cell.keywords) - _CELL_OPTIONS) or cell.args:
            raise ValueError(f"cell: expected a partial that sets bias or nonlinearity alone, got {sorted(wrong)}")
        cell = cell.func


def _check_stacking(hidden_sizes: tuple[int, ...], stacking: Stacking | None) -> None:
    if len(set(hidden_sizes)) > 1:
        sizes = list(hidden_sizes)
        raise ValueError(
            f"hidden_size: expected one for all of torch's own layers, got {sizes}; a cell of ours takes any"
        )
    alone = len(hidden_sizes) == 1 and stacking is not None and stacking.connections != "residual"
    if not alone and stacking not in (None, Stacking()):
        raise ValueError(f"stacking: expected none for torch's own layers, got {stacking}; a cell of ours takes any")

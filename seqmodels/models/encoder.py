"""The encoder: what reads a source sequence, and what it hands to a decoder."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_probabilities, check_sizes
from seqmodels.models.frontends import Frontend
from seqmodels.nn import NativeRecurrent, Recurrent, Stacking, State, make_recurrent, valid_mask
from seqmodels.nn.stacking import stack_states, unstack_state

BridgeKind = Literal["copy", "linear", "last", "zero"]


class Encoded(NamedTuple):
    """A source that was read.

    Attributes:
        outputs: `(batch, steps, features)`, zero behind the end of each row.
        lengths: Steps of each row `(batch,)`; `None` where all are valid.
        state: After each row's last step, `(layers * directions, batch, hidden_size)` each.
    """

    outputs: Tensor
    lengths: Tensor | None
    state: State


class Encoder(nn.Module):
    """Reads a source sequence, from both ends where that is asked for.

    Args:
        frontend: Makes vectors of the source's steps; it may make them fewer, as for frames of speech.
        cell: Makes one recurrent layer's cell, see `SequenceModel`.
        hidden_size: Units in each recurrent layer and direction.
        num_layers: Recurrent layers.
        bidirectional: Whether each layer also reads the source from its end (Bahdanau et al. 2015).
        reverse: Whether the source is read from its end, so that its beginning is next to the decoder's (Sutskever et
            al. 2014, "Sequence to sequence learning with neural networks").
        input_dropout: Probability of zeroing an element of the front end's vectors.
        dropout: The same between recurrent layers, and of the outputs.
        backend: How custom cells run, see `seqmodels.nn.backends`.
        stacking: How the recurrent layers are connected.
        self_attention: Makes of a number of features what lets each step look at all others, such as
            `seqmodels.nn.SelfAttention`; `None` for none.

    Raises:
        ValueError: Where a size or a probability is out of range.

    Example:
        >>> from seqmodels.models import SourceEmbedding
        >>> from seqmodels.nn import GRUCell
        >>> encoder = Encoder(SourceEmbedding(source_vocab_size=9, size=4), GRUCell, hidden_size=8)
        >>> encoder(torch.zeros(2, 5, dtype=torch.long), torch.tensor([5, 3])).outputs.shape
        torch.Size([2, 5, 16])
    """

    def __init__(
        self,
        frontend: Frontend,
        cell: Callable[..., nn.Module],
        hidden_size: int | Sequence[int] = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        reverse: bool = False,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        backend: str = "auto",
        stacking: Stacking | None = None,
        self_attention: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__()
        check_sizes(num_layers=num_layers, hidden_size=hidden_size)
        check_probabilities(input_dropout=input_dropout, dropout=dropout)
        self.frontend = frontend
        self.reverse = reverse
        self.input_dropout = nn.Dropout(input_dropout)
        self.recurrent = make_recurrent(
            cell,
            frontend.features,
            hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            backend=backend,
            stacking=stacking,
        )
        self.output_dropout = nn.Dropout(dropout)
        self.features = self.recurrent.output_size
        self.self_attention = None if self_attention is None else self_attention(self.features)

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> Encoded:
        """Reads a source.

        Args:
            source: What the front end takes, `(batch, steps, ...)`.
            lengths: Steps of each row `(batch,)`; all where left out.
        """
        if self.reverse:
            source = _reversed(source, lengths)
        vectors = self.frontend(source)
        lengths = None if lengths is None else self.frontend.lengths(lengths)
        outputs, state = self.recurrent(self.input_dropout(vectors), lengths=lengths)
        if self.reverse:  # step s of the outputs stands for step s of the source all the same
            outputs = _reversed(outputs, lengths)
        outputs = self.output_dropout(outputs)
        if self.self_attention is not None:
            outputs = self.self_attention(outputs, lengths)
        return Encoded(outputs, lengths, state)


def _reversed(sequences: Tensor, lengths: Tensor | None) -> Tensor:
    """Turns the valid steps of `(batch, steps, ...)` around; padding stays behind them."""
    if lengths is None:
        return sequences.flip(1)
    steps = torch.arange(sequences.shape[1], device=sequences.device)
    places = torch.where(valid_mask(lengths, len(steps)), lengths[:, None] - 1 - steps, steps)
    return sequences[torch.arange(len(sequences), device=sequences.device)[:, None], places]


class Bridge(nn.Module):
    """Makes the state that a decoder starts from of the state that an encoder ended with.

    - "copy": layer by layer, both directions side by side (Sutskever et al. 2014); layers and widths must agree.
    - "last": every layer gets that of the encoder's last layer; widths must agree.
    - "linear": `tanh(W s + b)` of all of the encoder's states side by side (after Bahdanau et al. 2015, who take the
      backward direction's); any sizes.
    - "zero": zeros: nothing is handed on but by attention.

    Args:
        kind: One of these.
        encoder: The encoder's recurrent layers.
        decoder: The decoder's.

    Raises:
        ValueError: Where they do not agree as `kind` asks.
    """

    def __init__(self, kind: BridgeKind, encoder: Recurrent | NativeRecurrent, decoder: Recurrent | NativeRecurrent):
        super().__init__()
        if kind not in get_args(BridgeKind):
            raise ValueError(f"bridge={kind}: expected one of {', '.join(get_args(BridgeKind))}")
        self.kind = kind
        self.directions = encoder.num_directions
        self.cell_sizes = [size for size in encoder.hidden_sizes for _ in range(self.directions)]
        self.sizes = decoder.hidden_sizes
        self.num_states, self.num_free = decoder.num_states, decoder.num_free
        self.linear: nn.Linear | None = None
        if kind == "linear":
            read = encoder.num_states * encoder.num_directions * encoder.num_layers * encoder.hidden_size
            self.linear = nn.Linear(read, self.num_free * sum(self.sizes))
        elif kind in ("copy", "last"):
            self._check(encoder)

    def _check(self, encoder: Recurrent | NativeRecurrent) -> None:
        widths = [size * self.directions for size in encoder.hidden_sizes]
        expected = list(self.sizes) if self.kind == "copy" else [self.sizes[0]] * len(self.sizes)
        read = widths if self.kind == "copy" else widths[-1:] * len(self.sizes)
        if read != expected or list(self.sizes) != expected or encoder.num_states != self.num_states:
            raise ValueError(
                f"bridge={self.kind}: expected a decoder with the encoder's widths (directions side by side) and kind "
                f"of cell: the encoder has {widths} and {encoder.num_states} states, the decoder {list(self.sizes)} "
                f"and {self.num_states}; bridge=linear takes any"
            )

    def forward(self, state: State) -> State | None:
        """Makes the decoder's state of the encoder's, or the first tensors of it; `None` for its own initial state."""
        if self.kind == "zero":
            return None
        width = max(self.sizes)
        if self.linear is not None:
            flat = torch.cat([tensor.transpose(0, 1).flatten(1) for tensor in state], -1)
            parts = torch.tanh(self.linear(flat)).split([*self.sizes] * self.num_free, -1)
            count = len(self.sizes)
            return stack_states([parts[layer::count] for layer in range(count)], width)
        cells = unstack_state(state, self.cell_sizes)
        pairs = [cells[k : k + self.directions] for k in range(0, len(cells), self.directions)]
        layers = [tuple(torch.cat(tensors, -1) for tensors in zip(*pair, strict=True)) for pair in pairs]
        return stack_states(layers if self.kind == "copy" else layers[-1:] * len(self.sizes), width)

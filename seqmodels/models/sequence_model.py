"""The model of sequences: front end, recurrent layers, and a head at every step or over the whole."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_probabilities, check_sizes
from seqmodels.models.frontends import Frontend
from seqmodels.models.readouts import Readout
from seqmodels.nn import Context, Stacking, State, VariationalDropout, make_recurrent


class SequenceModel(nn.Module):
    """Predicts something of each step of a sequence, or with a readout one thing of the whole.

    Without a readout it is the synchronised many-to-many network, with one the many-to-one network (Graves 2012,
    "Supervised sequence labelling with recurrent neural networks", chapter 2).

    Args:
        frontend: Makes a vector of each step's inputs.
        cell: Makes one recurrent layer's cell from `(input_size, hidden_size)`: a class such as
            `seqmodels.nn.LSTMCell`, or `torch.nn.LSTM`, `torch.nn.GRU`, `torch.nn.RNN` for torch's own layers.
        output_size: What the loss asks for, such as the number of classes.
        readout: Makes of `is_backward` what reads one vector of the outputs of all steps; `None` keeps every step.
        hidden_size: Units in each recurrent layer: one number for all, or one for each.
        num_layers: Recurrent layers.
        bidirectional: Whether each layer also reads the sequence from its end.
        input_dropout: Probability of zeroing an element of the front end's vectors.
        dropout: The same between recurrent layers.
        output_dropout: The same before the head.
        initial_state: "zero", "learned", or "noisy" while training.
        backend: How custom cells run, see `seqmodels.nn.backends`.
        stacking: How the recurrent layers are connected; its variational dropout holds for all three dropouts.
        noise: The standard deviation of a noisy initial state.
        context: Makes a vector of what each sequence is conditioned on, such as a class or an image.
        context_use: Where that goes: the initial state ("state"), each step's inputs ("inputs"), or "both".
        head: Makes the last map from `(features, output_size)`.

    Raises:
        ValueError: Where a size or a probability is out of range.

    Example:
        >>> from seqmodels.models import Identity, LastState
        >>> from seqmodels.nn import GRUCell
        >>> model = SequenceModel(Identity(3), GRUCell, output_size=2, readout=LastState, hidden_size=8)
        >>> scores, state = model(torch.randn(4, 10, 3), lengths=torch.tensor([10, 4, 7, 1]))
        >>> scores.shape
        torch.Size([4, 2])
    """

    def __init__(
        self,
        frontend: Frontend,
        cell: Callable[..., nn.Module],
        output_size: int,
        readout: Callable[[Tensor], Readout] | None = None,
        hidden_size: int | Sequence[int] = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        initial_state: Literal["zero", "learned", "noisy"] = "zero",
        backend: str = "auto",
        stacking: Stacking | None = None,
        noise: float = 0.1,
        context: Frontend | None = None,
        context_use: Literal["state", "inputs", "both"] = "both",
        head: Callable[[int, int], nn.Module] = nn.Linear,
    ):
        super().__init__()
        check_sizes(output_size=output_size, num_layers=num_layers, hidden_size=hidden_size)
        check_probabilities(input_dropout=input_dropout, dropout=dropout, output_dropout=output_dropout)
        stacking = stacking or Stacking()
        make_dropout = VariationalDropout if stacking.variational_dropout else nn.Dropout
        self.frontend = frontend
        self.context = context
        self.input_dropout = make_dropout(input_dropout)
        self.recurrent = make_recurrent(
            cell,
            frontend.features,
            hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            initial_state=initial_state,
            backend=backend,
            stacking=stacking,
            context=None if context is None else Context(context.features, context_use),
            noise=noise,
        )
        self.output_dropout = make_dropout(output_dropout) if readout is None else nn.Dropout(output_dropout)
        self.readout = None if readout is None else readout(self._is_backward(stacking.outputs))
        self.head = head(self.recurrent.output_size, output_size)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        context: Tensor | None = None,
        context_lengths: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Reads sequences and scores them.

        Args:
            inputs: What the front end takes, `(batch, time, ...)`.
            state: What an earlier call handed back; `None` starts afresh.
            lengths: Steps of each row `(batch,)`; all where left out.
            context: What each row is conditioned on `(batch, ...)`.
            context_lengths: Steps of each context `(batch,)`, where it is a sequence.

        Returns:
            The head's outputs, `(batch, time, output_size)` or with a readout `(batch, output_size)`, and the state
            after each row's last step.
        """
        memory = self.remember(context, context_lengths)
        hidden, state = self.hidden(inputs, state, lengths, memory)
        return self.outputs(hidden, lengths, memory), state

    def remember(self, context: Tensor | None, lengths: Tensor | None = None) -> Any:
        """Makes of what each row is conditioned on what all its steps share, once: here a vector `(batch, features)`.

        Args:
            context: `(batch, ...)`, or `None`.
            lengths: Steps of each `(batch,)`, where it is a sequence.
        """
        return None if self.context is None or context is None else self.context(context)

    def repeat(self, memory: Any, times: int) -> Any:
        """Gives each row of what `remember` made so many neighbours, as the hypotheses of a beam need it."""
        return None if memory is None else memory.repeat_interleave(times, 0)

    def hidden(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        memory: Any = None,
    ) -> tuple[Tensor, State]:
        """Runs all but readout and head: `(batch, time, ...)` to `(batch, time, features)` and the new state."""
        return self.recurrent(self.input_dropout(self.frontend(inputs)), state, lengths, context=memory)

    def outputs(self, hidden: Tensor, lengths: Tensor | None = None, memory: Any = None) -> Tensor:
        """Runs readout and head: `(batch, time, features)` to what `forward` returns."""
        if self.readout is not None:
            hidden = self.readout(hidden, lengths)
        return self.head(self.output_dropout(hidden))

    def initial_state(self, batch_size: int, memory: Any = None) -> State:
        """Returns the state that sequences start from."""
        return self.recurrent.initial_state(batch_size, memory)

    def _is_backward(self, joined: str) -> Tensor:
        """Tells which features of the recurrent outputs were read from the end: each layer's second half."""
        recurrent = self.recurrent
        layers = recurrent.hidden_sizes if joined == "concat" else recurrent.hidden_sizes[-1:]
        if recurrent.num_directions == 1:
            return torch.zeros(recurrent.output_size, dtype=torch.bool)
        if sum(layers) * 2 != recurrent.output_size:
            raise ValueError(f"stacking.outputs={joined}: a readout cannot tell directions apart in these outputs")
        halves = [torch.arange(2 * size) >= size for size in layers]
        return torch.cat(halves)

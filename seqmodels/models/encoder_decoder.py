"""The encoder-decoder: one sequence becomes another of a different length."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_probabilities, check_sizes
from seqmodels.models.copying import as_known, mix_copies
from seqmodels.models.encoder import Bridge, BridgeKind, Encoder
from seqmodels.models.frontends import Embedding
from seqmodels.nn import Context, Stacking, State, make_recurrent, map_state
from seqmodels.nn.attention import Attention, Memory


class Source(NamedTuple):
    """What a decoder keeps of a source; the batch is the first dimension, but for `state`, where it is the second.

    Attributes:
        state: The state of the decoder's recurrent layers before its first step, or the first tensors of it; `None` for
            their own.
        attended: What attention looks at; `None` where there is none.
        summary: A vector that is read at each step `(batch, features)`; `None` for none.
        ids: The source's tokens `(batch, steps)`, which may be copied; `None` where not.
        width: How many tokens are scored: those of the vocabulary, and what sources have beyond it.
    """

    state: State | None
    attended: Memory | None
    summary: Tensor | None
    ids: Tensor | None
    width: int


class EncoderDecoder(nn.Module):
    """Predicts each next token of a target from those before it and from a source.

    The decoder's recurrent layers read the target's tokens; at each step attention looks at the encoder's outputs
    with the decoder's own output as its question, and `tanh(W [context; output])` is what the next token is predicted
    from (Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine translation"). Without
    attention, the source is in the initial state alone (Sutskever, Vinyals and Le 2014), or read at each step too (Cho
    et al. 2014, "Learning phrase representations using RNN encoder-decoder").

    Args:
        encoder: Reads the source.
        vocab_size: Number of tokens of targets.
        cell: Makes one recurrent layer's cell of the decoder, see `SequenceModel`.
        attention: Makes attention from `(query_size, value_size)`, see `seqmodels.nn.attention`; `None` for none.
        hidden_size: Units in each recurrent layer of the decoder.
        num_layers: Recurrent layers of the decoder.
        embedding_size: Size of the embedding of the target's tokens, where it is not the encoder's.
        bridge: How the decoder's first state is made: "copy", "last", "linear" or "zero", see `Bridge`.
        input_feeding: Whether a step also reads what the step before predicted from (Luong et al. 2015, 3.3), which is
            then done one step after the other.
        summary: Whether a step also reads the last state of the encoder's last layer (Cho et al. 2014).
        copying: Whether tokens may be copied from the source (See, Liu and Manning 2017, "Get to the point"); both
            sides need one vocabulary.
        input_dropout: Probability of zeroing an element of the embedding.
        dropout: The same between recurrent layers.
        output_dropout: The same before the projection to the vocabulary.
        share_embeddings: Uses the encoder's embedding for the target too; both sides need one vocabulary.
        tie_weights: Uses the target's embedding as the projection's weights (Press and Wolf 2017); what tokens are
            predicted from is then as wide as it, and otherwise as the decoder.
        backend: How custom cells run, see `seqmodels.nn.backends`.
        stacking: How the decoder's recurrent layers are connected.
        copied_unk: The id of the unknown token, where sources number what the vocabulary lacks, from `vocab_size` on,
            so that it may be copied too (`data.copy_unknown=true`): it is read as that token. Logits then are as wide
            as a batch needs. `None` where there are no such numbers.

    Raises:
        ValueError: Where a size or a probability is out of range, or parts do not fit each other.

    Example:
        >>> from seqmodels.models import SourceEmbedding
        >>> from seqmodels.nn import AdditiveAttention, GRUCell
        >>> encoder = Encoder(SourceEmbedding(source_vocab_size=9, size=4), GRUCell, hidden_size=8)
        >>> model = EncoderDecoder(encoder, vocab_size=7, cell=GRUCell, attention=AdditiveAttention, hidden_size=16)
        >>> source, target = torch.zeros(2, 5, dtype=torch.long), torch.zeros(2, 3, dtype=torch.long)
        >>> logits, state = model(target, context=source, context_lengths=torch.tensor([5, 3]))
        >>> logits.shape
        torch.Size([2, 3, 7])
    """

    readout = None

    def __init__(
        self,
        encoder: Encoder,
        vocab_size: int,
        cell: Callable[..., nn.Module],
        attention: Callable[[int, int], Attention] | None = None,
        hidden_size: int | Sequence[int] = 128,
        num_layers: int = 1,
        embedding_size: int = 64,
        bridge: BridgeKind = "linear",
        input_feeding: bool = False,
        summary: bool = False,
        copying: bool = False,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        share_embeddings: bool = False,
        tie_weights: bool = False,
        backend: str = "auto",
        stacking: Stacking | None = None,
        copied_unk: int | None = None,
    ):
        super().__init__()
        check_sizes(
            vocab_size=vocab_size, embedding_size=embedding_size, num_layers=num_layers, hidden_size=hidden_size
        )
        check_probabilities(input_dropout=input_dropout, dropout=dropout, output_dropout=output_dropout)
        self.vocab_size = vocab_size
        self.encoder = encoder
        self.input_feeding = input_feeding
        self.frontend = _shared(encoder, vocab_size) if share_embeddings else Embedding(vocab_size, embedding_size)
        self.input_dropout = nn.Dropout(input_dropout)
        reading = encoder.recurrent
        summarised = Context(reading.num_directions * reading.hidden_sizes[-1], "inputs") if summary else None
        width = hidden_size if isinstance(hidden_size, int) else hidden_size[-1]
        features = self.frontend.features if tie_weights else width
        self.recurrent = make_recurrent(
            cell,
            self.frontend.features + (features if input_feeding else 0),
            hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            backend=backend,
            stacking=stacking,
            context=summarised,
        )
        self.bridge = Bridge(bridge, reading, self.recurrent)
        self.features = features
        decoded = self.recurrent.output_size
        self.attention = None if attention is None else _made(attention, decoded, encoder.features)
        read = decoded + (0 if self.attention is None else self.attention.output_size)
        self.combine = nn.Linear(read, features)
        self.output_dropout = nn.Dropout(output_dropout)
        self.head = nn.Linear(features, vocab_size)
        if tie_weights:
            nn.init.normal_(self.frontend.table.weight, std=features**-0.5)
            self.head.weight = self.frontend.table.weight
        self.copying = self._gate(copying)
        self.copied_unk = copied_unk
        if copied_unk is not None and not copying:
            raise ValueError("copying=false: data.copy_unknown=true numbers words to be copied; expected copying=true")

    def _gate(self, copying: bool) -> nn.Linear | None:
        """Makes what says how much is copied."""
        if not copying:
            return None
        if self.attention is None:
            raise ValueError("copying=true: copies where attention looks; expected an attention")
        _shared(self.encoder, self.vocab_size)
        return nn.Linear(self.features, 1)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        context: Tensor | None = None,
        context_lengths: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Reads sources, and the beginnings of targets, and scores what comes after each token of these.

        Args:
            inputs: Ids of the target's tokens `(batch, time)`.
            state: What an earlier call handed back; `None` begins.
            lengths: Steps of each target `(batch,)`; all where left out.
            context: The sources, `(batch, steps, ...)` as the encoder takes them.
            context_lengths: Steps of each source `(batch,)`; all where left out.

        Returns:
            Logits `(batch, time, vocab_size)`, wider where sources number what the vocabulary lacks; and the state
            after the last step.
        """
        source = self.remember(context, context_lengths)
        hidden, state = self.hidden(inputs, state, lengths, source)
        return self.outputs(hidden, lengths, source), state

    def remember(self, context: Tensor | None, lengths: Tensor | None = None) -> Source:
        """Reads sources, once for all steps of their targets; arguments as in `forward`."""
        if context is None:
            raise ValueError("context: expected sources, got none")
        encoded = self.encoder(self._known(context), lengths)
        summary = None
        if self.recurrent.context is not None:
            last = encoded.state[0][-self.encoder.recurrent.num_directions :]
            summary = last[..., : self.encoder.recurrent.hidden_sizes[-1]].transpose(0, 1).flatten(1)
        attended = None if self.attention is None else self.attention.remember(encoded.outputs, encoded.lengths)
        # Looking for the largest number waits for the device; only sources that may have such numbers pay for it.
        width = self.vocab_size if self.copied_unk is None else max(self.vocab_size, 1 + int(context.max()))
        ids = None if self.copying is None else context
        return Source(self.bridge(encoded.state), attended, summary, ids, width)

    def _known(self, inputs: Tensor) -> Tensor:
        """Returns what embeddings take."""
        return inputs if self.copied_unk is None else as_known(inputs, self.vocab_size, self.copied_unk)

    def repeat(self, memory: Source, times: int) -> Source:
        """Gives each row of what `remember` made so many neighbours, as the hypotheses of a beam need it."""
        if times == 1:
            return memory
        state = memory.state and map_state(lambda tensor: tensor.repeat_interleave(times, 1), memory.state)
        attended = memory.attended and Memory(*(tensor.repeat_interleave(times, 0) for tensor in memory.attended))
        summary, ids = (
            None if tensor is None else tensor.repeat_interleave(times, 0) for tensor in (memory.summary, memory.ids)
        )
        return Source(state, attended, summary, ids, memory.width)

    def hidden(
        self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None, memory: Source | None = None
    ) -> tuple[Tensor, State]:
        """Runs all but the projection to the vocabulary.

        Args:
            inputs: Ids `(batch, time)`, or how likely each token is `(batch, time, vocab_size)`.
            state: As in `forward`.
            lengths: As in `forward`.
            memory: What `remember` made of the sources.

        Returns:
            What the next token is predicted from, and behind it where attention looked, `(batch, time, features +
            steps)`, see `split`; and the state.
        """
        assert memory is not None
        state = self.initial_state(len(inputs), memory) if state is None else state
        vectors = self.input_dropout(self.frontend(self._known(inputs)))
        if not self.input_feeding:
            return self._run(vectors, state, lengths, memory)
        steps = []
        for step in range(inputs.shape[1]):
            fed, state = state[-1][0], state[:-1]
            one, state = self._run(torch.cat([vectors[:, step], fed], -1)[:, None], state, None, memory)
            steps.append(one)
            state = (*state, one[None, :, 0, : self.features])
        return torch.cat(steps, 1), state

    def _run(self, vectors: Tensor, state: State, lengths: Tensor | None, source: Source) -> tuple[Tensor, State]:
        """Runs the recurrent layers over vectors `(batch, time, features)`, and attention over all of their outputs."""
        count = self.recurrent.num_states
        outputs, recurrent_state = self.recurrent(vectors, state[:count], lengths, context=source.summary)
        if self.attention is None:
            return torch.tanh(self.combine(outputs)), recurrent_state
        assert source.attended is not None
        found = self.attention(outputs, source.attended, state[count:])
        combined = torch.tanh(self.combine(torch.cat([found.context, outputs], -1)))
        return torch.cat([combined, found.weights.to(combined.dtype)], -1), (*recurrent_state, *found.state)

    def split(self, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        """Parts what `hidden` returns: vectors `(batch, time, features)`, weights `(batch, time, steps)` if any."""
        weights = None if self.attention is None else hidden[..., self.features :]
        return hidden[..., : self.features], weights

    def outputs(self, hidden: Tensor, lengths: Tensor | None = None, memory: Source | None = None) -> Tensor:
        """Predicts tokens: what `hidden` returned to logits as of `forward`."""
        vectors, weights = self.split(hidden)
        logits = self.head(self.output_dropout(vectors))
        if self.copying is None:
            return logits
        assert weights is not None
        assert memory is not None
        assert memory.ids is not None
        return mix_copies(logits, self.copying(vectors), weights, memory.ids, memory.width)

    def initial_state(self, batch_size: int, memory: Source) -> State:
        """Returns the state that targets start from."""
        made = memory.state or ()
        state = (*made, *self.recurrent.initial_state(batch_size)[len(made) :])
        if self.attention is not None and memory.attended is not None:
            state = (*state, *self.attention.initial_state(memory.attended))
        if self.input_feeding:
            state = (*state, state[0].new_zeros(1, batch_size, self.features))
        return state


def _made(attention: Callable[[int, int], Attention], query_size: int, value_size: int) -> Attention:
    try:
        return attention(query_size, value_size)
    except ValueError as error:
        sizes = f"queries are the decoder's outputs, {query_size} wide, values the encoder's, {value_size}"
        raise ValueError(f"attention.{error} ({sizes})") from error


def _shared(encoder: Encoder, vocab_size: int) -> Embedding:
    """Returns the encoder's embedding where it is one of the target's tokens too."""
    embedding = encoder.frontend
    if not isinstance(embedding, Embedding) or embedding.table.num_embeddings != vocab_size:
        raise ValueError(
            "share_embeddings and copying: expected sources and targets of one vocabulary (data.joint=true), of "
            f"{vocab_size} tokens"
        )
    return embedding

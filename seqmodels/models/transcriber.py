"""The transcriber: it says at each step of a source which label is there, or none."""

from torch import Tensor, nn

from seqmodels.models.checks import check_probabilities, check_sizes
from seqmodels.models.encoder import Encoder
from seqmodels.nn import valid_mask

SURELY_NOT = -1e4
"""A logit that leaves no probability, but a finite loss."""


class Transcriber(nn.Module):
    """Scores labels and a blank at each step of a source, for connectionist temporal classification.

    Graves et al. 2006, "Connectionist temporal classification". The blank is the token that begins targets, which is
    never a label. Behind the end of a row each step says the blank for sure, which changes no labelling's probability.

    Args:
        encoder: Reads the source.
        vocab_size: Number of tokens of targets.
        bos: Id of the one that begins them.
        output_dropout: Probability of zeroing an element of what labels are scored from.

    Raises:
        ValueError: Where a size or a probability is out of range.

    Example:
        >>> import torch
        >>> from seqmodels.models import StackedFrames
        >>> from seqmodels.nn import GRUCell
        >>> encoder = Encoder(StackedFrames(num_features=40, factor=3), GRUCell, hidden_size=8)
        >>> logits = Transcriber(encoder, vocab_size=7, bos=5)(torch.randn(2, 30, 40), torch.tensor([30, 12]))
        >>> logits.shape, logits[1, 4:].argmax(-1)
        (torch.Size([2, 10, 7]), tensor([5, 5, 5, 5, 5, 5]))
    """

    readout = None

    def __init__(self, encoder: Encoder, vocab_size: int, bos: int, output_dropout: float = 0.0):
        super().__init__()
        check_sizes(vocab_size=vocab_size)
        check_probabilities(output_dropout=output_dropout)
        if not 0 <= bos < vocab_size:
            raise ValueError(f"bos={bos}: expected an id from 0 to {vocab_size - 1}")
        self.encoder = encoder
        self.vocab_size, self.blank = vocab_size, bos
        self.output_dropout = nn.Dropout(output_dropout)
        self.head = nn.Linear(encoder.features, vocab_size)

    def forward(self, source: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reads sources.

        Args:
            source: `(batch, steps, ...)`, as the encoder takes them.
            lengths: Steps of each `(batch,)`; all where left out.

        Returns:
            Logits `(batch, encoded steps, vocab_size)`.
        """
        encoded = self.encoder(source, lengths)
        logits: Tensor = self.head(self.output_dropout(encoded.outputs))
        if encoded.lengths is None:
            return logits
        nothing = logits.new_full((self.vocab_size,), SURELY_NOT)
        nothing[self.blank] = 0.0
        return logits.where(valid_mask(encoded.lengths, logits.shape[1])[..., None], nothing)

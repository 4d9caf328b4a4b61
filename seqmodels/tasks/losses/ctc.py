"""Loss of labels whose places are not known: connectionist temporal classification."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from seqmodels.data import IGNORE_INDEX
from seqmodels.tasks.losses.loss import Loss


@dataclass(frozen=True)
class CTC(Loss):
    """How unlikely labels are, in nats, summed over all paths that say them, see `seqmodels.decoding.ctc`.

    Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks". Labels that need more steps than there are have an infinite loss, see `steps_needed`.

    Args:
        blank: Id of the blank, which is never a label.
        end: Id that ends targets; it is no label.

    Example:
        >>> loss = CTC(blank=2, end=3)
        >>> total, count = loss(torch.zeros(1, 2, 4), torch.tensor([[0, 3, IGNORE_INDEX]]))
        >>> round(float(total.neg().exp()) * 4**2), int(count)  # paths: 0 0, 0 blank, blank 0
        (3, 1)
    """

    kind: ClassVar[str] = "tokens"
    blank: int
    end: int

    def __call__(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Sums over the sequences, and counts their labels.

        Args:
            outputs: Logits `(batch, steps, labels)`.
            targets: Labels, the end and `IGNORE_INDEX` `(batch, time)`.
            lengths: Steps of each row of the outputs `(batch,)`; all where left out.
        """
        logs = (outputs if outputs.dtype == torch.float64 else outputs.float()).log_softmax(-1)
        scored = self._labels(targets)
        counts = scored.sum(1)
        steps = torch.full_like(counts, outputs.shape[1]) if lengths is None else lengths.to(counts)
        total = functional.ctc_loss(
            logs.transpose(0, 1), targets[scored], steps, counts, blank=self.blank, reduction="sum"
        )
        return total, counts.sum()

    def describe(self, outputs: Tensor) -> dict[str, Tensor]:
        """Returns the likeliest label, or the blank, at each step and how likely each is."""
        return {"class": outputs.argmax(-1), "probabilities": outputs.float().softmax(-1)}

    def steps_needed(self, targets: Tensor) -> Tensor:
        """Returns how many steps labels need: one each, and one between two alike; `(batch,)` of `(batch, time)`.

        Example:
            >>> CTC(blank=8, end=9).steps_needed(torch.tensor([[1, 1, 2, 9], [1, 2, 9, IGNORE_INDEX]]))
            tensor([4, 2])
        """
        scored = self._labels(targets)
        repeats = (targets[:, 1:] == targets[:, :-1]) & scored[:, 1:]
        return scored.sum(1) + repeats.sum(1)

    def _labels(self, targets: Tensor) -> Tensor:
        return (targets != IGNORE_INDEX) & (targets != self.end)

"""What a model makes of targets when it reads its own predictions."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.models import EncoderDecoder, SequenceModel
from seqmodels.tasks.free_running import run_freely
from seqmodels.tasks.measures.measure import Measure


class FreeRunning(Measure):
    """The reference's likelihood where each step reads the likeliest token of the step before, beside teacher forcing.

    `loss_free` and `perplexity_free` are those of the reference's token at each place, `exposure_gap` is `loss_free`
    less the loss under teacher forcing (the exposure bias of Ranzato et al. 2016, "Sequence level training with
    recurrent neural networks"), `token_accuracy` and `token_accuracy_free` are how often the likeliest token is the
    reference's, with and without.

    Args:
        model: The language model.
        warm_start: How many tokens of the reference are given before the model reads its own.

    Raises:
        ValueError: Where fewer than none are to be given.
    """

    def __init__(self, model: SequenceModel | EncoderDecoder, warm_start: int = 0):
        if warm_start < 0:
            raise ValueError(f"warm_start={warm_start}: expected at least 0")
        self.model = model
        self.warm_start = warm_start
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.forced_loss = self.free_loss = 0.0
        self.forced_right = self.free_right = self.count = 0

    @torch.no_grad()
    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Runs a window freely; what the given tokens alone are read for is not scored."""
        steps = torch.arange(window.inputs.shape[1], device=window.inputs.device)
        forced = (steps <= self.warm_start).expand(window.inputs.shape)
        memory = self.model.remember(window.context, window.context_lengths)
        _, logits, _ = run_freely(self.model, window.inputs, forced, memory=memory)
        targets = window.targets.masked_fill(steps < self.warm_start, IGNORE_INDEX)
        scored = targets != IGNORE_INDEX
        self.count += int(scored.sum())
        self.free_loss += float(cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="sum"))
        self.free_right += int((logits.argmax(-1) == targets).sum())
        true = described["probabilities"].gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        self.forced_loss -= float(true.clamp(min=torch.finfo(true.dtype).tiny).log()[scored].sum())
        self.forced_right += int((described["class"] == targets).sum())

    def compute(self) -> dict[str, float]:
        """Returns the figures."""
        count = self.count or math.nan
        free = self.free_loss / count
        return {
            "loss_free": free,
            "perplexity_free": math.exp(min(free, 700.0)),
            "exposure_gap": free - self.forced_loss / count,
            "token_accuracy": self.forced_right / count,
            "token_accuracy_free": self.free_right / count,
        }

"""Language modelling: predict each next token."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.models import LanguageModel
from seqmodels.nn import activation_penalty, map_state, temporal_activation_penalty
from seqmodels.tasks.base import Task
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.truncation import run_window


class LanguageModelling(Task):
    """Cross-entropy of each next token, in nats, over windows of a stream or over padded sequences.

    Args:
        model: The language model.
        optimizer: Makes the optimizer from parameter groups.
        schedule: Factor on the learning rate.
        characters_per_token: Of each part of the data, so that losses compare between tokenizers; 1 where left out.
        activation_penalty: Factor of the mean square of the recurrent layers' outputs, added to the training loss.
        temporal_activation_penalty: Factor of the mean square of their change from step to step, added likewise. Both
            after Merity et al. 2017, "Revisiting Activation Regularization for Language RNNs"; here both act on the
            outputs before dropout. Neither is part of any loss that is reported.

    Raises:
        ValueError: A factor is negative.
    """

    model: LanguageModel

    def __init__(
        self,
        model: LanguageModel,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        schedule: Schedule | None = None,
        characters_per_token: dict[str, float] | None = None,
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
    ):
        super().__init__(model, optimizer, schedule)
        self.characters_per_token = characters_per_token or {}
        self.activation_penalty = _checked("activation_penalty", activation_penalty)
        self.temporal_activation_penalty = _checked("temporal_activation_penalty", temporal_activation_penalty)

    def metrics(self, loss: float, split: str) -> dict[str, float]:
        """Returns loss (nats a token), bits per token and per character, and perplexity per token."""
        bits = loss / math.log(2)
        return {
            "loss": loss,
            "bits_per_token": bits,
            "bits_per_character": bits / self.characters_per_token.get(split, 1.0),
            "perplexity": math.exp(min(loss, 700.0)),
        }

    def training_step(self, window: Window, batch_idx: int) -> Tensor:
        """Runs one window of truncated backpropagation and carries the state on."""
        if window.first:
            self.state = None
        elif self.state is not None:
            self.state = map_state(lambda tensor: tensor.to(self.device), self.state)
        loss, count, hidden = self._loss(window, training=True)
        self.check_finite(loss, "loss")
        self.train_loss.add(loss, count)
        self.tokens_seen = self.tokens_seen + count
        return loss + self._penalty(hidden, window.targets != IGNORE_INDEX)

    def validation_step(self, window: Window, batch_idx: int) -> None:
        """Adds one window to the sums."""
        if window.first:
            self.evaluation_state = None
        loss, count, _ = self._loss(window, training=False)
        self.evaluation_loss.add(loss, count)

    test_step = validation_step

    def _penalty(self, hidden: Tensor, valid: Tensor) -> Tensor | float:
        """Returns what the penalties add, given the outputs of the scored steps and which of them are no padding."""
        penalty: Tensor | float = 0.0
        if self.activation_penalty:
            penalty = penalty + self.activation_penalty * activation_penalty(hidden, valid)
        if self.temporal_activation_penalty:
            penalty = penalty + self.temporal_activation_penalty * temporal_activation_penalty(hidden, valid)
        return penalty

    def _loss(self, window: Window, training: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the mean loss over the window's targets, their number, and the outputs that were scored."""
        hidden, state = run_window(
            self.model.hidden,
            window.inputs,
            self.state if training else self.evaluation_state,
            num_scored=window.targets.shape[1],
            num_without_gradient=window.num_without_gradient,
            handoff=window.handoff,
        )
        if training:
            self.state = state
        else:
            self.evaluation_state = state
        logits = self.model.logits(hidden)
        count = (window.targets != IGNORE_INDEX).sum()
        total = cross_entropy(
            logits.flatten(0, 1).float(), window.targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
        )
        return total / count.clamp(min=1), count, hidden


def _checked(name: str, factor: float) -> float:
    if factor < 0:
        raise ValueError(f"{name}={factor}: expected at least 0")
    return factor

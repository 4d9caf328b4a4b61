"""Learning a sequence model: one prediction for a whole sequence, or one for each step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer

from seqmodels.data import TBPTT, Window
from seqmodels.data.windows import WHOLE_SEQUENCES
from seqmodels.errors import UserError
from seqmodels.models import EncoderDecoder, SequenceModel
from seqmodels.nn import State, activation_penalty, map_state, temporal_activation_penalty, valid_mask
from seqmodels.processes import part_of_mean
from seqmodels.tasks.base import Task
from seqmodels.tasks.losses import Loss, mean_loss
from seqmodels.tasks.measures import Measure
from seqmodels.tasks.reporting import Row, to_rows
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.truncation import run_last_steps, run_window

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SequenceTask(Task):
    """Minimises a loss of a sequence model over windows of sequences.

    Without a readout every step is scored, in windows of TBPTT(k1, k2) whose state is carried from one to the next.
    With one a sequence is one window, and the gradient goes back over its last k2 steps.

    Args:
        model: The sequence model.
        optimizer: Makes the optimizer from parameter groups.
        loss: What the model's outputs mean and what is lost by them.
        schedule: Factor on the learning rate.
        measures: What is reported beside the loss, of validation and test.
        activation_penalty: Factor of the mean square of the recurrent layers' outputs, added to the training loss.
        temporal_activation_penalty: Factor of the mean square of their change from step to step, added likewise. Both
            after Merity et al. 2017, "Revisiting Activation Regularization for Language RNNs"; here both act on the
            outputs before dropout. Neither is part of any loss that is reported.

    Raises:
        ValueError: A factor is negative.
    """

    model: SequenceModel | EncoderDecoder

    def __init__(
        self,
        model: SequenceModel | EncoderDecoder,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        loss: Loss,
        schedule: Schedule | None = None,
        measures: Sequence[Measure] = (),
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
    ):
        super().__init__(model, optimizer, schedule)
        self.loss = self.training_loss = loss
        self.measures = list(measures)
        self.activation_penalty = _checked("activation_penalty", activation_penalty)
        self.temporal_activation_penalty = _checked("temporal_activation_penalty", temporal_activation_penalty)

    def training_step(self, window: Window, batch_idx: int) -> Tensor:
        """Runs one window of truncated backpropagation and carries the state on."""
        self.stands_in = window.stands_in
        if window.first:
            self.state = None
        elif self.state is not None:
            self.state = map_state(lambda tensor: tensor.to(self.device), self.state)
        hidden, outputs, self.state = self.run(window, self.state)
        total, count = self.score(self.training_loss, outputs, window)
        num_scored = window.inputs.shape[1] if self.model.readout else window.targets.shape[1]
        return self.learn_from(total, count, window, num_scored) + self._penalty(hidden, window)

    def validation_step(self, window: Window, batch_idx: int) -> None:
        """Adds one window to the sums and to the measures."""
        if window.first:
            self.evaluation_state = None
        _, outputs, self.evaluation_state = self.run(window, self.evaluation_state)
        total, count = self.score(self.loss, outputs, window)
        self.evaluation_loss.add(mean_loss(total, count), count)
        if self.measures:
            described = self.loss.describe(outputs)
            for measure in self.measures:
                measure.update(described, window)

    test_step = validation_step

    def run(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """Returns what is scored or read out, the model's outputs there, and the state the next window starts from."""
        memory = self.model.remember(window.context, window.context_lengths)
        hidden, state = self._hidden(window, state, memory)
        return hidden, self.model.outputs(hidden, self.lengths_of(window), memory), state

    def _hidden(self, window: Window, state: State | None, memory: Any) -> tuple[Tensor, State | None]:
        lengths = self.lengths_of(window)
        hidden = partial(self.model.hidden, memory=memory)
        if not window.first or window.num_without_gradient or window.handoff < window.inputs.shape[1]:
            assert self.model.recurrent.num_directions == 1, "both directions read whole sequences: see check_tbptt"
        if self.model.readout is not None:
            start = partial(self.model.initial_state, len(window.inputs), memory)
            return run_last_steps(hidden, window.inputs, lengths, window.num_without_gradient, start), None
        return run_window(
            hidden,
            window.inputs,
            state,
            num_scored=window.targets.shape[1],
            num_without_gradient=window.num_without_gradient,
            handoff=window.handoff,
            lengths=lengths,
        )

    def score(self, loss: Loss, outputs: Tensor, window: Window) -> tuple[Tensor, Tensor]:
        """Returns the summed loss of a window's outputs, and how many items it was summed over."""
        return loss(outputs, window.targets)

    def lengths_of(self, window: Window) -> Tensor | None:
        """Returns the lengths that the model is told."""
        return window.lengths

    def check_tbptt(self, tbptt: TBPTT) -> None:
        """Refuses windows for a model that reads sequences from both ends.

        Raises:
            UserError: Where it does, and they are not whole sequences.
        """
        if self.model.recurrent.num_directions == 2 and tbptt != WHOLE_SEQUENCES:
            raise UserError(
                "model.bidirectional=true: reads whole sequences, and tbptt cuts them; expected tbptt=whole, or "
                "model.bidirectional=false"
            )

    def _penalty(self, hidden: Tensor, window: Window) -> Tensor | float:
        """Returns what the penalties add, given the outputs that are scored or read out."""
        if not self.activation_penalty and not self.temporal_activation_penalty:
            return 0.0
        steps = window.inputs.shape[1]
        valid = valid_mask(window.lengths, steps)[:, steps - hidden.shape[1] :]
        penalty: Tensor | float = 0.0
        if self.activation_penalty:
            value = part_of_mean(activation_penalty(hidden, valid), weight_of(window, valid))
            penalty = penalty + self.activation_penalty * value
        if self.temporal_activation_penalty:
            changes = valid[:, 1:] & valid[:, :-1]
            value = part_of_mean(temporal_activation_penalty(hidden, valid), weight_of(window, changes))
            penalty = penalty + self.temporal_activation_penalty * value
        return penalty

    def predict_rows(self, window: Window, spec: Mapping[str, Any]) -> list[list[Row]]:
        """Returns what is predicted of each sequence, or of each of its steps."""
        _, outputs, _ = self.run(window, None)
        described = self.loss.describe(outputs)
        levels = getattr(self.loss, "levels", ())
        if self.model.readout is not None:
            return [[row] for row in to_rows(described, spec["targets"], levels)]
        rows = []
        for place, length in enumerate(window.lengths.tolist()):
            steps = {name: tensor[place, :length] for name, tensor in described.items()}
            rows.append([{"step": n, **row} for n, row in enumerate(to_rows(steps, spec["targets"], levels), 1)])
        return rows

    # What is reported

    def metric_names(self) -> list[str]:
        """Returns the names of all figures of an evaluation, without `val/` or `test/` before them."""
        return [*super().metric_names(), *(name for measure in self.measures for name in measure.compute())]

    def on_validation_epoch_start(self) -> None:
        """Starts the sums, the measures and the state."""
        super().on_validation_epoch_start()
        for measure in self.measures:
            measure.clear()

    on_test_epoch_start = on_validation_epoch_start

    def evaluation_metrics(self, split: str) -> dict[str, float]:
        """Returns what is reported of the loss, and the figures of the measures."""
        figures = super().evaluation_metrics(split)
        for measure in self.measures:
            figures |= measure.compute()
        return figures

    def pictures(self) -> "dict[str, Figure]":
        """Returns the measures' pictures of the part that was evaluated last."""
        return {name: picture for measure in self.measures for name, picture in measure.pictures().items()}

    def tables(self) -> dict[str, str]:
        """Returns the measures' tables of the part that was evaluated last."""
        return {name: table for measure in self.measures for name, table in measure.tables().items()}


def weight_of(window: Window, counted: Tensor) -> Tensor | int:
    """Returns how many of something a window's rows have; none where they are those of another process."""
    return 0 if window.stands_in else counted.sum()


def _checked(name: str, factor: float) -> float:
    if factor < 0:
        raise ValueError(f"{name}={factor}: expected at least 0")
    return factor

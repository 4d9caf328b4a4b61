"""The forecaster: reads a context, then predicts a horizon, step by step or at once."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqmodels.models.checks import check_sizes
from seqmodels.models.frontends import Frontend
from seqmodels.models.sequence_model import SequenceModel
from seqmodels.nn import Stacking, State

Feed = Callable[[Tensor], Tensor]
"""Makes the values `(batch, targets)` that the next step reads of a step's outputs `(batch, output_size)`."""


class Forecaster(SequenceModel):
    """Predicts the next `horizon` values of series from the values before them.

    Step i reads the targets of one row of a window and what is known of the next one, and predicts that one's targets.
    From the origin of the forecast on there are no targets to read. The recursive forecaster then reads its own
    prediction, or a draw from it (Salinas et al. 2020, "DeepAR: Probabilistic forecasting with autoregressive recurrent
    networks"); the direct one makes the whole horizon of its state at the origin (Wen et al. 2017, "A multi-horizon
    quantile recurrent forecaster").

    Args:
        frontend: Makes a vector of each step's inputs.
        cell: Makes one recurrent layer's cell from `(input_size, hidden_size)`, see `SequenceModel`.
        output_size: What the loss asks for, for one step.
        num_targets: The first so many features of the inputs are the targets.
        horizon: Steps that are forecast.
        num_marks: The next so many features mark the targets that were observed: none of them, or one for each.
        num_known: The last so many features are covariates that are known of the future too.
        direct: Whether the whole horizon is predicted at once.
        hidden_size: Units in each recurrent layer: one number for all, or one for each.
        num_layers: Recurrent layers.
        input_dropout: Probability of zeroing an element of the front end's vectors.
        dropout: The same between recurrent layers.
        output_dropout: The same before the head.
        initial_state: "zero", "learned", or "noisy" while training.
        backend: How custom cells run, see `seqmodels.nn.backends`.
        stacking: How the recurrent layers are connected; its variational dropout holds for all three dropouts.
        noise: The standard deviation of a noisy initial state.

    Raises:
        ValueError: Where a size or a probability is out of range.

    Example:
        >>> from seqmodels.models import Identity
        >>> from seqmodels.nn import GRUCell
        >>> model = Forecaster(Identity(1), GRUCell, output_size=1, num_targets=1, horizon=12, hidden_size=8)
        >>> window = torch.zeros(2, 24 + 12 - 1, 1)
        >>> model.forecast(window, feed=lambda outputs: outputs)[:, -12:].shape
        torch.Size([2, 12, 1])
    """

    def __init__(
        self,
        frontend: Frontend,
        cell: Callable[..., nn.Module],
        output_size: int,
        num_targets: int,
        horizon: int,
        num_marks: int = 0,
        num_known: int = 0,
        direct: bool = False,
        hidden_size: int | Sequence[int] = 64,
        num_layers: int = 1,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        initial_state: Literal["zero", "learned", "noisy"] = "zero",
        backend: str = "auto",
        stacking: Stacking | None = None,
        noise: float = 0.1,
    ):
        check_sizes(num_targets=num_targets, horizon=horizon)
        ahead = horizon if direct else 1

        def make_head(features: int, size: int) -> nn.Module:
            return nn.Linear(features + (num_known * ahead if direct else 0), size * ahead)

        super().__init__(
            frontend,
            cell,
            output_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            input_dropout=input_dropout,
            dropout=dropout,
            output_dropout=output_dropout,
            initial_state=initial_state,
            backend=backend,
            stacking=stacking,
            noise=noise,
            head=make_head,
        )
        self.num_targets, self.num_marks, self.num_known = num_targets, num_marks, num_known
        self.horizon = horizon
        self.direct = direct

    def forecast(
        self, inputs: Tensor, feed: Feed, forced: Tensor | None = None, num_without_gradient: int = 0
    ) -> Tensor:
        """Reads windows and predicts.

        Args:
            inputs: `(batch, context + horizon - 1, features)`; whatever stands for targets from the origin on is not
                read.
            feed: What a recursive forecaster reads of its own outputs. Gradients flow through it as they may.
            forced: Targets to read instead `(batch, horizon - 1, targets)`, NaN where the model reads its own.
                Where none is NaN, all steps run in one call.
            num_without_gradient: How many of the first steps only move the state on, within the context.

        Returns:
            Outputs `(batch, steps, output_size)`; the last `horizon` are the forecast. The recursive forecaster has
            those of the context before them, but for the steps without gradient.

        Raises:
            ValueError: Where the windows are shorter than the horizon, or steps without gradient reach into it.
        """
        origin = inputs.shape[1] - self.horizon + 1
        if origin < 1 or num_without_gradient >= origin:
            raise ValueError(
                f"horizon={self.horizon}: expected windows of at least {self.horizon + num_without_gradient} steps, "
                f"got {inputs.shape[1]}"
            )
        state = None
        if num_without_gradient:
            with torch.no_grad():
                _, state = self.hidden(inputs[:, :num_without_gradient])
        if self.direct:
            hidden, _ = self.hidden(inputs[:, num_without_gradient:origin], state)
            return self._at_once(hidden[:, -1], inputs[:, origin - 1 :])
        if self.horizon > 1 and forced is not None and not bool(forced.isnan().any()):
            given = self._reading(inputs[:, origin:], forced)
            hidden, _ = self.hidden(torch.cat([inputs[:, num_without_gradient:origin], given], 1), state)
            return self.outputs(hidden)
        hidden, state = self.hidden(inputs[:, num_without_gradient:origin], state)
        return self._step_by_step(self.outputs(hidden), state, inputs[:, origin:], feed, forced)

    def _at_once(self, hidden: Tensor, inputs: Tensor) -> Tensor:
        """Predicts the horizon from the state at its origin and what is known of its steps."""
        known = inputs[..., inputs.shape[-1] - self.num_known :].flatten(1)
        outputs = self.head(torch.cat([self.output_dropout(hidden), known], -1))
        return outputs.unflatten(-1, (self.horizon, -1))

    def _step_by_step(self, outputs: Tensor, state: State, inputs: Tensor, feed: Feed, forced: Tensor | None) -> Tensor:
        """Adds to the outputs up to the origin those of the steps after it, each read from the one before."""
        steps = [outputs]
        for step in range(inputs.shape[1]):
            values = feed(steps[-1][:, -1])
            if forced is not None:
                values = torch.where(forced[:, step].isnan(), values, forced[:, step])
            read = self._reading(inputs[:, step : step + 1], values[:, None])
            hidden, state = self.hidden(read, state)
            steps.append(self.outputs(hidden))
        return torch.cat(steps, 1)

    def _reading(self, inputs: Tensor, values: Tensor) -> Tensor:
        """Returns inputs with these values as targets, marked as observed."""
        marks = inputs.new_ones(*values.shape[:-1], self.num_marks)
        rest = inputs[..., self.num_targets + self.num_marks :]
        return torch.cat([values.to(inputs.dtype), marks, rest], -1)

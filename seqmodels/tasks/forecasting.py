"""Forecasting: learn to predict a horizon, with the truth or with the model's own predictions to go by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from seqmodels.data import Scaling, Window, unpack_footing
from seqmodels.errors import UserError
from seqmodels.models import Forecaster
from seqmodels.nn import State
from seqmodels.tasks.losses import MSLE, Loss
from seqmodels.tasks.measures import Measure
from seqmodels.tasks.measures.forecasts import in_units
from seqmodels.tasks.reporting import Row, to_rows
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.sequence_task import SequenceTask
from seqmodels.tasks.teacher_forcing import ConstantForcing, TeacherForcing

_SEED = 0
"""Of the paths that are drawn to evaluate, so that the same model has the same figures."""


class Forecasting(SequenceTask):
    """Minimises a loss of forecasts; measures them as they are made, from the true past alone.

    Args:
        model: The forecaster.
        optimizer: Makes the optimizer from parameter groups.
        loss: What the model's outputs mean and what is lost by them: a loss of numbers.
        schedule: Factor on the learning rate.
        measures: What is reported beside the loss, of validation and test.
        teacher_forcing: How often a recursive forecaster reads the truth within the horizon, while training.
        feed: What it reads otherwise: the "point" forecast, through which gradients flow, or a "sample", through which
            none do.
        score_context: Whether the one-step predictions within the context count in the training loss too.
        num_paths: How many futures are drawn to find the quantiles of a recursive forecast; 0 takes those of each step
            given the point forecasts before it.

    Raises:
        ValueError: A number is out of range.
        UserError: A setting does not fit the model.
    """

    model: Forecaster
    teacher_forcing: TeacherForcing

    def __init__(
        self,
        model: Forecaster,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        loss: Loss,
        schedule: Schedule | None = None,
        measures: Sequence[Measure] = (),
        teacher_forcing: TeacherForcing | None = None,
        feed: Literal["point", "sample"] = "point",
        score_context: bool = False,
        num_paths: int = 0,
    ):
        super().__init__(model, optimizer, loss, schedule, measures)
        if num_paths < 0:
            raise ValueError(f"num_paths={num_paths}: expected at least 0")
        if feed not in ("point", "sample"):
            raise ValueError(f"feed={feed}: expected point or sample")
        self.teacher_forcing = teacher_forcing or ConstantForcing()
        if model.direct:
            _check_direct(self.teacher_forcing, feed, score_context, num_paths)
        if isinstance(loss, MSLE):
            raise UserError(
                "loss=msle: series are scaled, to numbers below 0 too; fitting: loss=mse (with data.transform=log1p it "
                "is one of logarithms), mae, quantile, gaussian or student_t"
            )
        if num_paths and not hasattr(loss, "levels"):
            raise UserError(
                f"task.num_paths={num_paths}: {type(loss).__name__} has no distribution to draw from; expected 0, or "
                "loss=gaussian, student_t or quantile"
            )
        self.feed = feed
        self.score_context = score_context
        self.num_paths = num_paths

    def training_step(self, window: Window, batch_idx: int) -> Tensor:
        """Runs one batch of windows; the gradient goes back over the last k2 steps of each."""
        horizon = self.model.horizon
        mask = self.teacher_forcing.draw(len(window.inputs), horizon - 1, self.progress, self.device)
        forced = window.targets[:, -horizon:-1].masked_fill(~mask[..., None], float("nan"))
        feed = self._point if self.feed == "point" else self._sample
        outputs = self.model.forecast(window.inputs, feed, forced, window.num_without_gradient)
        steps = outputs.shape[1] if self.score_context else horizon
        total, count = self.loss(outputs[:, -steps:], window.targets[:, -steps:])
        return self.learn_from(total, count, window, window.inputs.shape[1])

    def run(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """Returns what the model makes of a batch, reading its own point forecasts, twice, and no state."""
        outputs = self.model.forecast(window.inputs, self._point)
        return outputs, outputs, None

    def validation_step(self, window: Window, batch_idx: int) -> None:
        """Adds the forecasts of a batch to the sums and to the measures."""
        outputs = self.run(window, None)[1][:, -self.model.horizon :]
        total, count = self.loss(outputs, window.targets[:, -self.model.horizon :])
        self.evaluation_loss.add(total / count.clamp(min=1), count)
        described = self.describe(window, outputs)
        for measure in self.measures:
            measure.update(described, window)

    test_step = validation_step

    def predict_rows(self, window: Window, spec: Mapping[str, Any]) -> list[list[Row]]:
        """Returns the forecast of each row of a batch in the units of the data, one row for each step."""
        assert window.context is not None
        outputs = self.run(window, None)[1][:, -self.model.horizon :]
        series = spec["series"]
        footing = unpack_footing(window.context, self.model.num_targets)
        forecasts = in_units(self.describe(window, outputs), footing, Scaling(series["scaling"], series["transform"]))
        rows = []
        for place in range(len(outputs)):
            steps = {name: tensor[place] for name, tensor in forecasts.items()}
            rows.append(to_rows(steps, spec["targets"], getattr(self.loss, "levels", ())))
        return rows

    def describe(self, window: Window, outputs: Tensor) -> dict[str, Tensor]:
        """Returns what is predicted, scaled.

        Args:
            window: The batch.
            outputs: What the model makes of it, reading its own point forecasts `(batch, horizon, output_size)`.

        Returns:
            "value" `(batch, horizon, targets)`, and where the loss has a distribution "quantiles" `(batch, horizon,
            targets, levels)` with their "levels".
        """
        described = self.loss.describe(outputs)
        levels = getattr(self.loss, "levels", None)
        if levels is None:
            return described
        described["levels"] = torch.tensor(levels, dtype=torch.float64, device=outputs.device)
        if self.num_paths:
            quantiles = self.paths(window.inputs).double().quantile(described["levels"], dim=0)
            described["quantiles"] = quantiles.movedim(0, -1)
        return described

    def paths(self, inputs: Tensor) -> Tensor:
        """Draws futures, each step from what it was given to read; the global generators are left alone.

        Args:
            inputs: `(batch, context + horizon - 1, features)`.

        Returns:
            `(num_paths, batch, horizon, targets)`.
        """
        drawn: list[Tensor] = []

        def feed(outputs: Tensor) -> Tensor:
            drawn.append(self._sample(outputs))
            return drawn[-1]

        devices = [inputs.device] if inputs.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(_SEED)
            outputs = self.model.forecast(inputs.repeat(self.num_paths, 1, 1), feed)
            feed(outputs[:, -1])
        return torch.stack(drawn, 1).unflatten(0, (self.num_paths, len(inputs)))

    def _point(self, outputs: Tensor) -> Tensor:
        return self.loss.describe(outputs)["value"]

    def _sample(self, outputs: Tensor) -> Tensor:
        return self.loss.sample(outputs.detach())  # type: ignore[attr-defined]


def _check_direct(teacher_forcing: TeacherForcing, feed: str, score_context: bool, num_paths: int) -> None:
    """Refuses what a forecaster that reads nothing within the horizon would not heed."""
    if isinstance(teacher_forcing, ConstantForcing):
        forcing = (f"teacher_forcing.value={teacher_forcing.value:g}", teacher_forcing.value != 1)
    else:
        forcing = (f"teacher_forcing={type(teacher_forcing).__name__}", True)
    settings = [
        forcing,
        (f"task.feed={feed}", feed != "point"),
        (f"task.score_context={score_context}", score_context),
        (f"task.num_paths={num_paths}", num_paths > 0),
    ]
    for setting, changed in settings:
        if changed:
            raise UserError(f"{setting}: is for forecasts made step by step; model.direct=true has none")

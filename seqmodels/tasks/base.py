"""What every task shares: the optimizer, the schedule, clipping, running sums, the carried state, finite numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from seqmodels import processes
from seqmodels.data import TBPTT, DataModule, Window
from seqmodels.errors import UserError
from seqmodels.nn import State, map_state
from seqmodels.tasks.losses.loss import mean_loss
from seqmodels.tasks.reporting import Row
from seqmodels.tasks.schedules import Constant, Plateau, Progress, Schedule
from seqmodels.tasks.teacher_forcing import TeacherForcing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TrainingDiverged(UserError):
    """The loss or the gradient is no longer a finite number."""


class RunningMean:
    """A mean over batches, kept as two tensors on the device so that adding to it never waits for the device."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets what was added."""
        self.total: Tensor | float = 0.0
        self.count: Tensor | int = 0

    def add(self, mean: Tensor, count: Tensor | int) -> None:
        """Adds a batch's mean over `count` items."""
        self.total = self.total + mean.detach().double() * count
        self.count = self.count + (count.double() if isinstance(count, Tensor) else count)

    def compute(self) -> float:
        """Returns the mean over everything added; NaN where that is nothing."""
        count = float(self.count)
        return float(self.total) / count if count else float("nan")


class Task(LightningModule):
    """A model, a loss and the way the parameters are updated.

    A subclass gives `training_step` and the evaluation steps. One batch of the training loader is one window of
    truncated backpropagation and one update (or one part of an accumulated update); the state carried from window to
    window lives here, and goes into the checkpoint.

    Args:
        model: What is trained.
        optimizer: Makes the optimizer from parameter groups, such as `functools.partial(torch.optim.AdamW, lr=3e-3)`.
            Its weight decay is kept from biases and other vectors.
        schedule: Factor on the learning rate.

    Attributes:
        teacher_forcing: How often the truth is read while training, of a task that may read its own predictions.
    """

    teacher_forcing: TeacherForcing | None = None

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        schedule: Schedule | None = None,
    ):
        super().__init__()
        self.model = model
        self.make_optimizer = optimizer
        self.schedule = schedule or Constant()
        self.total_steps: int | None = None
        self.time_fraction = 0.0
        self.batch: Any = None
        self.state: State | None = None
        self.stands_in = False
        self.evaluation_state: State | None = None
        self.train_loss = RunningMean()
        self.evaluation_loss = RunningMean()
        self.evaluation_split = "val"
        self.tokens_seen: Tensor | int = 0
        self.padding_seen: Tensor | int = 0
        self.gradient_norm: Tensor = torch.tensor(0.0)

    def metrics(self, loss: float, split: str) -> dict[str, float]:
        """Returns what is reported of a mean loss, without the `train/`, `val/` or `test/` before the names."""
        return {"loss": loss}

    def metric_names(self) -> list[str]:
        """Returns the names of all figures of an evaluation, without `val/` or `test/` before them."""
        return list(self.metrics(1.0, "val"))

    def evaluation_metrics(self, split: str) -> dict[str, float]:
        """Returns all figures of the part that was run over, by the same names."""
        return self.metrics(self.evaluation_loss.compute(), split)

    def check_tbptt(self, tbptt: TBPTT) -> None:
        """Refuses windows that the model cannot be trained over; there are none where a subclass says nothing."""

    def check_data(self, data: DataModule) -> None:
        """Refuses data that the model cannot be trained on; there are none where a subclass says nothing."""

    def predict_rows(self, window: Window, spec: Mapping[str, Any]) -> list[list[Row]]:
        """Returns what is predicted of each row of a batch, in words: one row, or one for each step.

        Args:
            window: The batch; its targets are of no account.
            spec: What the model knows of the data.

        Raises:
            UserError: Where the task predicts nothing.
        """
        raise UserError(f"a run of {type(self).__name__} predicts nothing of a file")

    def pictures(self) -> "dict[str, Figure]":
        """Returns pictures of the part that was evaluated last, by their names."""
        return {}

    def tables(self) -> dict[str, str]:
        """Returns tables in Markdown of the part that was evaluated last, by their names."""
        return {}

    def learn_from(self, lost: Tensor, count: Tensor, window: Window, num_scored: int) -> Tensor:
        """Adds what a training window lost to the running sums, and counts its steps.

        Of several processes each has some rows of a batch. The sums are those of the whole batch in all of them, and
        what each minimises is weighted so that the average of their gradients is the gradient of the batch's mean.

        Args:
            lost: The summed loss of this process's rows.
            count: How many items it was summed over.
            window: The window.
            num_scored: How many of its last steps count.

        Returns:
            What to minimise, a mean over the items.

        Raises:
            TrainingDiverged: The mean is not a finite number.
        """
        steps = window.inputs.shape[1]
        valid = (window.lengths - (steps - num_scored)).clamp(min=0).sum()
        padding = len(window.lengths) * num_scored - valid
        mean = everyones = mean_loss(lost, count)
        if processes.count() > 1:
            sums = torch.stack([value.detach().double() for value in (lost, count, valid, padding)])
            everyone = processes.total(torch.zeros_like(sums) if window.stands_in else sums)
            factor = everyone.new_zeros(()) if window.stands_in else processes.count() * mean_loss(sums[1], everyone[1])
            mean = mean * factor.to(mean.dtype)
            _, count, valid, padding = everyone
            everyones = mean_loss(everyone[0], count)
        self.check_finite(everyones, "loss")
        self.train_loss.add(everyones, count)
        self.tokens_seen = self.tokens_seen + valid
        self.padding_seen = self.padding_seen + padding
        return mean

    # Optimisation

    def trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the names and parameters that the optimizer is given: the model's."""
        yield from self.model.named_parameters()

    def configure_optimizers(self) -> Optimizer:
        """Makes the optimizer; only matrices decay."""
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in self.trained_parameters():
            is_matrix = parameter.ndim > 1 and "learned_state" not in name
            (matrices if is_matrix else others).append(parameter)
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        optimizer = self.make_optimizer([group for group in groups if group["params"]])
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
        return optimizer

    @property
    def progress(self) -> Progress:
        """How far training is: by steps where their number is known beforehand, by time otherwise."""
        fraction = self.global_step / self.total_steps if self.total_steps else self.time_fraction
        return Progress(self.global_step, self.current_epoch, fraction)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Sets the learning rate of this update."""
        factor = self.schedule.factor(self.progress)
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Measures the norm of the whole gradient, refuses it where it is not finite, and clips."""
        parameters = [parameter for _, parameter in self.trained_parameters() if parameter.grad is not None]
        by_norm = gradient_clip_val is not None and gradient_clip_algorithm == "norm"
        limit = gradient_clip_val if by_norm and gradient_clip_val is not None else float("inf")
        self.gradient_norm = nn.utils.clip_grad_norm_(parameters, limit).detach()
        if not self._scaled:
            self.check_finite(self.gradient_norm, "gradient norm")
        if gradient_clip_val is not None and not by_norm:
            nn.utils.clip_grad_value_(parameters, gradient_clip_val)

    # Finite numbers

    @property
    def _scaled(self) -> bool:
        """Whether a gradient scaler is at work: it skips updates that are not finite, and lowers its scale."""
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Remembers the batch, to be told where it is to blame."""
        self.batch = batch

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lets go of the batch."""
        self.batch = None

    def check_finite(self, value: Tensor, name: str) -> None:
        """Stops training where a number is not finite; on a GPU only where `assert_finite` asks, without waiting here.

        Raises:
            TrainingDiverged: With the step, the learning rate and the last gradient norm.
        """
        if value.device.type == "cpu" and not bool(torch.isfinite(value)):
            self._diverged(name, float(value.detach()))

    def assert_finite(self) -> None:
        """Checks the mean loss since the last report and the last gradient norm, waiting for the device.

        On a GPU this is the first to know: the step that is named is then that of the check, not that of the cause.

        Raises:
            TrainingDiverged: With the step, the learning rate and the last gradient norm.
        """
        if float(self.train_loss.count) and not torch.isfinite(torch.as_tensor(self.train_loss.total)):
            self._diverged("loss", self.train_loss.compute())
        if not self._scaled and not bool(torch.isfinite(self.gradient_norm)):
            self._diverged("gradient norm", float(self.gradient_norm))

    def _diverged(self, name: str, value: float) -> None:
        blamed = _not_finite(self.batch) if isinstance(self.batch, Window) else None
        if blamed is not None:
            raise TrainingDiverged(
                f"data: {blamed} of batch {self.trainer.fit_loop.epoch_loop.batch_idx + 1} in epoch "
                f"{self.current_epoch + 1}; the last good checkpoint is kept; expected finite numbers"
            )
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        raise TrainingDiverged(
            f"the {name} is {value} at step {self.global_step} (learning rate {rate:.3g}, last gradient norm "
            f"{float(self.gradient_norm):.3g}); the last good checkpoint is kept; try a lower optimizer.lr or "
            "trainer.gradient_clip_val"
        )

    # Evaluation: running sums, one report at the end of each part

    def on_validation_epoch_start(self) -> None:
        """Starts the sums and a state of its own, apart from the one training carries."""
        self.evaluation_loss.clear()
        self.evaluation_state = None

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Reports the part that was measured, and lets a plateau schedule see it."""
        self._report(self.evaluation_split)
        if isinstance(self.schedule, Plateau) and self.trainer.state.fn == "fit":
            self.schedule.observe(processes.of_first(self.evaluation_loss.compute()))

    def on_test_epoch_end(self) -> None:
        """Reports the test part."""
        self._report("test")

    def _report(self, split: str) -> None:
        # Each process measures all of the part; where they may differ in the last bit, all go by what the first has.
        for name, value in processes.of_first(self.evaluation_metrics(split)).items():
            self.log(f"{split}/{name}", value, logger=False)
        self.evaluation_state = None

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the carried state, the sums since the last report, and what the schedule remembers."""
        sums = (self.train_loss.total, self.train_loss.count, self.tokens_seen, self.padding_seen)
        checkpoint["running_sums"] = [float(value) for value in sums]
        checkpoint["carried_state"] = self._state_of_all()
        if isinstance(self.schedule, Plateau):
            checkpoint["schedule"] = self.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes all of it back."""
        total, count, tokens, padding = checkpoint["running_sums"]
        self.train_loss.total, self.train_loss.count = total, count
        self.tokens_seen, self.padding_seen = int(tokens), int(padding)
        state = checkpoint["carried_state"]
        if state is not None:
            rows = processes.share().rows(state[0].shape[1])
            state = tuple(tensor[:, rows].contiguous() for tensor in state)
        self.state = state
        if isinstance(self.schedule, Plateau) and "schedule" in checkpoint:
            self.schedule.load_state_dict(checkpoint["schedule"])

    def _state_of_all(self) -> State | None:
        """Returns the carried state of all rows in their order, those of other processes too."""
        own = None if self.state is None else map_state(torch.Tensor.cpu, self.state)
        parts = processes.of_all(None if self.stands_in else own)
        states = [state for state in parts if state is not None]
        return tuple(processes.join_rows(parts) for parts in zip(*states, strict=True)) if states else None


def _not_finite(window: Window) -> str | None:
    """Says what in a batch is no finite number, and where; `None` where all are. NaN as a target is one left out."""
    for name in ("inputs", "context", "targets"):
        values = getattr(window, name)
        if values is None or not values.is_floating_point():
            continue
        wrong = values.isinf() if name == "targets" else ~values.isfinite()
        if wrong.any():
            place = wrong.nonzero()[0].tolist()
            step = f", step {place[1] + 1}," if len(place) > 1 else ""
            return f"{float(values[tuple(place)])} among the {name}, in row {place[0] + 1}{step}"
    return None

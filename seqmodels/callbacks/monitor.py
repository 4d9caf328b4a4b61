"""The numbers of training, read from running sums every so many updates, so that watching costs almost nothing."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from seqmodels.callbacks.trainer_state import accumulating
from seqmodels.tasks import Task


class Monitor(Callback):
    """Writes loss and its kin, tokens/s, gradient norm and learning rate to every logger.

    Args:
        every_n_steps: Updates between two reports; the numbers are means over the updates in between.

    Raises:
        ValueError: Where it is below 1.
    """

    def __init__(self, every_n_steps: int = 20):
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps={every_n_steps}: expected at least 1")
        self.every_n_steps = every_n_steps
        self.latest: dict[str, float] = {}
        self.seconds = 0.0
        self.tokens = 0
        self._running_since: float | None = None
        self._reported_step = -1
        self._reported = (0.0, 0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Starts the clock, where validation or an epoch's end has stopped it."""
        if self._running_since is None:
            self._running_since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Reports where it is due."""
        step = trainer.global_step
        if step % self.every_n_steps == 0 and step != self._reported_step and not accumulating(trainer):
            self._report(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports what is left of an epoch."""
        self._report(trainer, pl_module)
        self._running_since = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        self._stop(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what validation found."""
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        for logger in trainer.loggers:
            logger.log_metrics(found, trainer.global_step)

    def _stop(self, pl_module: LightningModule) -> None:
        if self._running_since is None:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self._running_since
        self._running_since = None

    def _report(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Task)
        pl_module.assert_finite()
        if not float(pl_module.train_loss.count):
            return
        running = self._running_since is not None
        self._stop(pl_module)
        self._running_since = time.perf_counter() if running else None
        tokens_seen, padding = int(pl_module.tokens_seen), int(pl_module.padding_seen)
        self.tokens += tokens_seen
        pl_module.tokens_seen = pl_module.padding_seen = 0
        seconds, tokens = self.seconds - self._reported[0], self.tokens - self._reported[1]
        metrics = pl_module.metrics(pl_module.train_loss.compute(), "train")
        pl_module.train_loss.clear()
        self.latest = {f"train/{name}": value for name, value in metrics.items()}
        if seconds > 0:
            self.latest["train/tokens_per_second"] = tokens / seconds
        if padding:
            self.latest["train/padding_share"] = padding / (padding + tokens_seen)
        self.latest["train/gradient_norm"] = float(pl_module.gradient_norm)
        self.latest["train/learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        forcing = pl_module.teacher_forcing
        if forcing is not None and not forcing.always:
            self.latest["train/teacher_forcing"] = forcing.ratio(pl_module.progress)
        self._reported_step, self._reported = trainer.global_step, (self.seconds, self.tokens)
        for logger in trainer.loggers:
            logger.log_metrics(self.latest, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """Returns seconds and tokens so far."""
        return {"seconds": self.seconds, "tokens": self.tokens}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes those of earlier sessions."""
        self.seconds, self.tokens = float(state_dict["seconds"]), int(state_dict["tokens"])
        self._reported = (self.seconds, self.tokens)

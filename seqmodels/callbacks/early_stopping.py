"""The end of a run that no longer gets better."""

import logging
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

log = logging.getLogger("seqmodels")


class EarlyStopping(LightningEarlyStopping):
    """Lightning's, which says why it ends a run, and stays with it when the run is resumed.

    Resumed with more patience than before, the run goes on.

    Args:
        monitor: The figure, such as `val/loss`.
        mode: "min" where less of it is better, "max" where more is.
        patience: Validations without a better figure, after which training ends.
        min_delta: What a figure has to be better by.
        stopping_threshold: A figure that is good enough; `None` for none.
        divergence_threshold: A figure that is beyond hope; `None` for none.

    Raises:
        ValueError: Where the patience is below 1, or `min_delta` below 0.
    """

    def __init__(
        self,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        patience: int = 3,
        min_delta: float = 0.0,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
    ):
        if patience < 1:
            raise ValueError(f"patience={patience}: expected at least 1")
        if min_delta < 0:
            raise ValueError(f"min_delta={min_delta}: expected at least 0")
        super().__init__(
            monitor,
            min_delta,
            patience,
            mode=mode,
            stopping_threshold=stopping_threshold,
            divergence_threshold=divergence_threshold,
            check_on_train_epoch_end=False,  # Lightning looks there after an epoch's checkpoint is written
        )
        self._told = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Trains no further where the run has been ended, unless there is more patience now."""
        if self.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED and self.wait_count < self.patience:
            self.stopping_reason = EarlyStoppingReason.NOT_STOPPED
        self._tell(trainer)
        trainer.should_stop = trainer.should_stop or self._told

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at a validation."""
        super().on_validation_end(trainer, pl_module)
        self._tell(trainer)

    def _tell(self, trainer: Trainer) -> None:
        """Says once that training ends here, and why."""
        if self.stopping_reason != EarlyStoppingReason.NOT_STOPPED and not self._told:
            reason = (self.stopping_reason_message or "").removesuffix(" Signaling Trainer to stop.")
            log.info("early stopping at update %d: %s", trainer.global_step, reason)
            self._told = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back how long it has waited; the patience is that of the configuration, which may have changed."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.wait_count, self.patience = int(self.wait_count), patience
        self.best_score = torch.as_tensor(self.best_score)

"""Gives a run up early where a study finds that it will not be among the best."""

import math
from collections.abc import Callable

from lightning.pytorch import Callback, LightningModule, Trainer


class Pruning(Callback):
    """Reports a figure after each validation, and ends training where the answer is that it is not worth going on.

    Training ends as early stopping ends it: with its checkpoint and its results, which a table of runs can compare.

    Args:
        monitor: The figure, such as `val/loss`.
        report: Takes the figure and the number of the validation, from 1 on; answers whether to end training.
    """

    def __init__(self, monitor: str, report: Callable[[float, int], bool]):
        self.monitor = monitor
        self.report = report
        self.validations = 0
        self.pruned = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports; a figure that is no number is kept back, the study could not compare it."""
        if trainer.state.fn != "fit" or self.monitor not in trainer.callback_metrics:
            return
        self.validations += 1
        value = float(trainer.callback_metrics[self.monitor])
        if not self.pruned and math.isfinite(value) and self.report(value, self.validations):
            self.pruned = trainer.should_stop = True

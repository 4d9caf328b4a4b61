"""The norm of each parameter's gradient, every so many updates."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.optim import Optimizer

from seqmodels.callbacks.csv_metrics import CsvMetrics
from seqmodels.tasks import Task
from seqmodels.views.parameter_norms import GRADIENT_NORMS


class GradientNorms(Callback):
    """Writes the norm of each parameter's gradient, before clipping, to `gradient_norms.csv` and to TensorBoard.

    Args:
        every_n_steps: Updates between two rows; the first update has one too.

    Raises:
        ValueError: Where it is below 1.
    """

    def __init__(self, every_n_steps: int = 100):
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps={every_n_steps}: expected at least 1")
        self.every_n_steps = every_n_steps
        self.file: CsvMetrics | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the file; a resumed run writes again what came after its checkpoint."""
        if trainer.is_global_zero:
            self.file = CsvMetrics(Path(trainer.default_root_dir) / GRADIENT_NORMS, trainer.global_step)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measures and writes, where it is due: all norms at once, and read from the device at once."""
        assert isinstance(pl_module, Task)
        step = trainer.global_step + 1
        if step != 1 and step % self.every_n_steps:
            return
        gradients = {name: p.grad for name, p in pl_module.trained_parameters() if p.grad is not None}
        if not gradients:
            return
        norms = torch.stack([norm.float() for norm in torch._foreach_norm(list(gradients.values()))]).tolist()
        found: dict[str, Any] = dict(zip(gradients, norms, strict=True))
        if self.file is not None:
            self.file.log_metrics(found, step)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_metrics({f"gradient_norm/{name}": norm for name, norm in found.items()}, step)

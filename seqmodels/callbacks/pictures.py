"""Pictures of what the model predicts, after each validation, to TensorBoard."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from seqmodels.tasks import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Pictures(Callback):
    """Shows the task's pictures, such as a confusion matrix, after each validation.

    Args:
        every_n_validations: Validations from one set of pictures to the next.

    Raises:
        ValueError: Where it is below 1.
    """

    def __init__(self, every_n_validations: int = 1):
        if every_n_validations < 1:
            raise ValueError(f"every_n_validations={every_n_validations}: expected at least 1")
        self.every_n_validations = every_n_validations
        self.validations = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws and writes them."""
        assert isinstance(pl_module, Task)
        if trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        self.validations += 1
        if (self.validations - 1) % self.every_n_validations == 0:
            show_pictures(pl_module.pictures(), "val", trainer.loggers, trainer.global_step)


def show_pictures(pictures: "dict[str, Figure]", split: str, loggers: Iterable[Logger], step: int) -> None:
    """Writes pictures to TensorBoard."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            for name, figure in pictures.items():
                logger.experiment.add_figure(f"{split}/{name}", figure, step, close=False)


def save_pictures(pictures: "dict[str, Figure]", split: str, run: Path) -> None:
    """Writes pictures into `pictures/` of a run directory, as PNG."""
    folder = run / "pictures"
    for name, figure in pictures.items():
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"{split}_{name}.png", dpi=120)

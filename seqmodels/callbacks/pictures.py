"""Pictures and tables of what the model predicts, after each validation, to TensorBoard."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from seqmodels.tasks import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Pictures(Callback):
    """Shows the task's pictures, such as a confusion matrix, and its tables after each validation.

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
            show_tables(pl_module.tables(), "val", trainer.loggers, trainer.global_step)


def keep_pictures(task: Task, split: str, run: Path, loggers: Iterable[Logger], step: int) -> None:
    """Keeps pictures and tables of the part that was evaluated last, by the best model, in a run and in TensorBoard."""
    pictures, tables = task.pictures(), task.tables()
    save_pictures(pictures, split, run)
    show_pictures(pictures, f"best/{split}", loggers, step)
    save_tables(tables, split, run)
    show_tables(tables, f"best/{split}", loggers, step)


def show_pictures(pictures: "dict[str, Figure]", split: str, loggers: Iterable[Logger], step: int) -> None:
    """Writes pictures to TensorBoard."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            for name, figure in _drawn(pictures):
                logger.experiment.add_figure(f"{split}/{name}", figure, step, close=False)


def show_tables(tables: dict[str, str], split: str, loggers: Iterable[Logger], step: int) -> None:
    """Writes tables in Markdown to TensorBoard."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            for name, table in tables.items():
                logger.experiment.add_text(f"{split}/{name}", table, step)


def save_tables(tables: dict[str, str], split: str, run: Path) -> None:
    """Writes tables in Markdown into `samples/` of a run directory."""
    folder = run / "samples"
    for name, table in tables.items():
        folder.mkdir(exist_ok=True)
        (folder / f"{split}_{name}.md").write_text(table + "\n", encoding="utf-8")


def save_pictures(pictures: "dict[str, Figure]", split: str, run: Path) -> None:
    """Writes pictures into `pictures/` of a run directory, as PNG."""
    folder = run / "pictures"
    for name, figure in _drawn(pictures):
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"{split}_{name}.png", dpi=120)


def _drawn(pictures: "dict[str, Figure]") -> "Iterator[tuple[str, Figure]]":
    """Yields pictures, to be drawn as well as the fonts of the machine allow: a sign that they lack becomes a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield from pictures.items()

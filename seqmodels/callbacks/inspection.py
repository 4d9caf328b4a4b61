"""A look inside the model while it is trained."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from seqmodels.analysis import watchable
from seqmodels.callbacks.generators import undisturbed_generators
from seqmodels.tasks import SequenceTask
from seqmodels.views import Looked, Subject, View, examples_of, look, show_in_tensorboard, write_report

log = logging.getLogger("seqmodels")


class Inspection(Callback):
    """Shows the model after every so many epochs, as `seqmodels inspect` does, with examples of the validation part.

    Pages go to `inspection/epoch_NNNN/` of the run directory, pictures to TensorBoard. Training goes on as without: a
    copy of the model is looked at, and the random generators are left alone. A view that fails is told in the log.

    Args:
        spec: What the model knows of the data.
        views: How it is shown, by name; those that do not fit are left out.
        every_n_epochs: Epochs from one page to the next.
        examples: How many sequences are looked at, at most.
        steps: How many steps they have together, about; of a stream of text, how many tokens.

    Raises:
        ValueError: Where a number is below 1.
    """

    def __init__(
        self,
        spec: Mapping[str, object],
        views: Mapping[str, View],
        every_n_epochs: int = 1,
        examples: int = 20,
        steps: int = 2000,
    ):
        for name, value in {"every_n_epochs": every_n_epochs, "examples": examples, "steps": steps}.items():
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        self.spec = spec
        self.views = [view for view in views.values() if view is not None]
        self.every_n_epochs = every_n_epochs
        self.examples, self.steps = examples, steps

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks, where it is due and there is a validation part."""
        loader = trainer.val_dataloaders
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if not due or not trainer.is_global_zero or not isinstance(loader, DataLoader):
            return
        assert isinstance(pl_module, SequenceTask)
        examples = examples_of(loader, self.spec, self.examples, self.steps)
        with undisturbed_generators(), _watched(pl_module):
            subject = Subject(pl_module, self.spec, examples, "val part", run_path=Path(trainer.default_root_dir))
            looked = look(subject, self.views)
        for failure in looked.failures:
            log.warning("a view failed: %s: %s", type(failure).__name__, failure)
        self._write(trainer, looked)

    def _write(self, trainer: Trainer, looked: Looked) -> None:
        run, epoch = Path(trainer.default_root_dir), trainer.current_epoch + 1
        facts = {"run": run.name, "epoch": str(epoch), "updates": str(trainer.global_step)}
        write_report(run / "inspection" / f"epoch_{epoch:04d}", f"Inside {run.name}", facts, looked)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                show_in_tensorboard(logger.experiment, looked, trainer.global_step)


@contextmanager
def _watched(task: SequenceTask) -> Iterator[None]:
    """Has a task run a copy of its model, in evaluation mode, and gives it its own back."""
    own, was_training = task.model, task.training
    task.model = watchable(own)  # type: ignore[assignment]
    task.training = False  # of the task alone: its own model keeps the mode it is in
    try:
        yield
    finally:
        task.model, task.training = own, was_training

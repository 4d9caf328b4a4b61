"""SIGINT and SIGTERM: finish the update, write a checkpoint, leave."""

import signal
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data._utils import signal_handling

from seqmodels import processes
from seqmodels.callbacks.checkpoints import Checkpoints
from seqmodels.callbacks.trainer_state import accumulating, find_callback, validation_follows


class Interrupted(BaseException):
    """A signal ended training; a resumable checkpoint was written. A sweep ends with it, so it is no `Exception`.

    Args:
        signum: The signal.
        run: The run directory.
    """

    def __init__(self, signum: int, run: str):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.run = run

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int, str]]:
        """Keeps both arguments on the way from one process to another, as from a sweep's worker."""
        return type(self), (self.signum, self.run)


class Interruption(Callback):
    """Turns SIGINT and SIGTERM into a checkpoint and an `Interrupted`; a second SIGINT stops at once.

    Where one of several processes gets one, all leave after the same update.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.replaced: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes the signals over."""
        if stage != "fit":
            return
        for signum in (signal.SIGINT, signal.SIGTERM):
            self.replaced[signum] = signal.signal(signum, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signum

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Leaves after this update; before a validation or an epoch's end, after those."""
        if trainer.is_last_batch or accumulating(trainer) or validation_follows(trainer):
            return
        self._leave_if_told(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves after a validation within an epoch."""
        if trainer.state.fn == "fit" and not trainer.is_last_batch:
            self._leave_if_told(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves between two epochs."""
        self._leave_if_told(trainer)

    def _leave_if_told(self, trainer: Trainer) -> None:
        self.received = int(processes.largest(self.received or 0)) or None
        if self.received is None:
            return
        checkpoints = find_callback(trainer, Checkpoints)
        if checkpoints is not None and checkpoints.saved_step != trainer.global_step:
            checkpoints.save_last(trainer)
        raise Interrupted(self.received, trainer.default_root_dir)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the signals back."""
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives the signals back; also the one by which torch tells of a dead worker, in whatever code is running.

        It would tell again of workers that end with the training, in the middle of what is told of its end.
        """
        self._give_back()
        if signal_handling._SIGCHLD_handler_set:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal_handling._SIGCHLD_handler_set = False  # the next loader sets it again

    def _give_back(self) -> None:
        while self.replaced:
            signum, handler = self.replaced.popitem()
            signal.signal(signum, handler)

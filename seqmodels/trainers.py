"""Lightning's Trainer from our few keys, with the callbacks every run has."""

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from seqmodels import processes
from seqmodels.building import call, check_arguments
from seqmodels.callbacks import AtomicCheckpointIO, Budget, Checkpoints, GeneratorStates, Interruption
from seqmodels.errors import UserError


@dataclass(frozen=True)
class TrainerSettings:
    """The keys under `trainer`.

    Args:
        accelerator: "cpu", "gpu" or "auto".
        devices: Processes on this machine that share each batch, each with a device of its own; "auto" is one for each
            GPU. Where left out, as many as torchrun or srun has started, or one.
        precision: "32", "bf16-mixed" or "16-mixed".
        max_epochs: Passes over the training part; `None` for no limit.
        max_steps: Updates; `None` for no limit.
        max_seconds: Seconds of training, validation included; `None` for no limit.
        gradient_clip_val: Largest norm or value of the gradient; `None` clips nothing.
        gradient_clip_algorithm: "norm" or "value".
        accumulate_grad_batches: Windows whose gradients are averaged for one update.
        val_check_interval: Training windows from one validation to the next; `None` for the end of each epoch.
        limit_train_batches: Training windows an epoch at most; the data module sees to it.
        limit_val_batches: Validation windows at most.
        deterministic: Refuses algorithms that do not repeat to the bit.
    """

    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    devices: int | Literal["auto"] | None = None
    precision: Literal["32", "bf16-mixed", "16-mixed", 32] = "32"
    max_epochs: int | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value"] = "norm"
    accumulate_grad_batches: int = 1
    val_check_interval: int | None = None
    limit_train_batches: int | None = None
    limit_val_batches: int | None = None
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name in ("devices", "max_epochs", "max_steps", "accumulate_grad_batches", "val_check_interval"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        for name in ("max_seconds", "gradient_clip_val", "limit_train_batches", "limit_val_batches"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name}={value}: expected more than 0, or null")
        if self.max_epochs is None and self.max_steps is None and self.max_seconds is None:
            raise ValueError("max_epochs=null: set max_epochs, max_steps or max_seconds, or training has no end")

    def total_steps(self, windows_per_epoch: int) -> int | None:
        """Returns the updates of the whole run; `None` where time alone ends it.

        Args:
            windows_per_epoch: The training windows of an epoch, no more than `limit_train_batches`.
        """
        limits = []
        if self.max_epochs is not None:
            limits.append(self.max_epochs * math.ceil(windows_per_epoch / self.accumulate_grad_batches))
        if self.max_steps is not None:
            limits.append(self.max_steps)
        return min(limits) if limits else None


def read_settings(config: Mapping[str, Any]) -> TrainerSettings:
    """Checks the keys under `trainer`.

    Raises:
        UserError: For an unknown key, a wrong type, a value out of range.
    """
    arguments = check_arguments(TrainerSettings, dict(config), "trainer")
    return call(TrainerSettings, arguments, "trainer")


def make_trainer(
    settings: TrainerSettings, folder: Path | None = None, callbacks: list[Callback] | None = None, logger: Any = False
) -> Trainer:
    """Makes a quiet Trainer.

    Args:
        settings: The keys under `trainer`.
        folder: The run directory.
        callbacks: What the configuration adds.
        logger: Loggers, or `False`.

    Raises:
        UserError: Where the machine has no such device, or settings exclude each other.
    """
    # What stops training and what remembers something of it comes before what saves it, and that before what leaves.
    callbacks = sorted(callbacks or [], key=lambda callback: isinstance(callback, Checkpoints))
    callbacks = [GeneratorStates(), Budget(settings.max_seconds, settings.max_steps), *callbacks, Interruption()]
    if settings.val_check_interval is not None:
        by_epochs: dict[str, Any] = {"val_check_interval": settings.val_check_interval, "check_val_every_n_epoch": None}
    else:
        by_epochs = {}
    environment = LightningEnvironment() if processes.count() == 1 else TorchElasticEnvironment()
    try:
        trainer = Trainer(
            accelerator=settings.accelerator,
            **_spread(),
            precision=settings.precision,
            max_epochs=-1 if settings.max_epochs is None else settings.max_epochs,
            gradient_clip_val=settings.gradient_clip_val,
            gradient_clip_algorithm=settings.gradient_clip_algorithm,
            accumulate_grad_batches=settings.accumulate_grad_batches,
            limit_val_batches=settings.limit_val_batches,
            deterministic=settings.deterministic,
            callbacks=callbacks,
            logger=logger,
            plugins=[AtomicCheckpointIO(), environment],
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **by_epochs,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    # `Interruption` has the signals: Lightning's handler of SIGTERM would broadcast to other processes from within
    # whatever it interrupts, which may be a broadcast, and wait for ever.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    if settings.precision == "16-mixed" and trainer.strategy.root_device.type == "cpu":
        raise UserError("trainer.precision=16-mixed: needs a GPU; expected 32 or bf16-mixed on a CPU")
    return trainer


def _spread() -> dict[str, Any]:
    """Returns over which processes a Trainer works: those that have met."""
    place = processes.find_place()
    if processes.count() == 1 or place is None:
        return {"devices": 1}
    # Parameters may be of no account in a window: the learned initial state behind the first one, a judge that is good
    # enough. An update then passes over them, as it does in one process.
    strategy = DDPStrategy(find_unused_parameters=True)
    return {"devices": place.local_count, "num_nodes": place.count // place.local_count, "strategy": strategy}


def processes_to_start(settings: TrainerSettings) -> int:
    """Returns how many processes are still to be started on this machine; 1 where this one will do.

    Raises:
        UserError: Where there are fewer GPUs, or others have been started than the settings say.
    """
    place = processes.find_place()
    gpus = 0 if settings.accelerator == "cpu" else torch.cuda.device_count()
    if settings.devices == "auto" and settings.accelerator == "cpu":
        raise UserError("trainer.devices=auto: is one process for each GPU; on a CPU expected their number")
    wanted = max(1, gpus) if settings.devices == "auto" else settings.devices
    if place is not None and wanted not in (None, place.local_count):
        raise UserError(
            f"trainer.devices={settings.devices}: {place.local_count} processes were started on this machine; expected "
            f"{place.local_count}, or null"
        )
    number = place.local_count if place is not None else wanted or 1
    if settings.accelerator == "gpu" and not gpus:
        raise UserError("trainer.accelerator=gpu: this machine has none that torch can use; expected cpu, or auto")
    if 0 < gpus < number:
        raise UserError(f"trainer.devices={number}: this machine has {gpus} GPUs; expected at most as many")
    return 1 if place is not None else number


def find_device(accelerator: str) -> str:
    """Returns the device that an accelerator stands for, "cpu" or "cuda".

    Raises:
        UserError: Where the machine has no GPU.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("accelerator=gpu: this machine has none that torch can use; expected cpu or auto")
    return "cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what Lightning says of the machine and its advice on workers."""
    logger = logging.getLogger("lightning.pytorch")
    fabric = logging.getLogger("lightning.fabric")
    levels = logger.level, fabric.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        logger.setLevel(logging.WARNING)
        fabric.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(levels[0])
            fabric.setLevel(levels[1])

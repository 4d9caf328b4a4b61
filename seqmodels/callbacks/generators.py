"""The random generators, saved and put back, so that a resumed run draws what the undisturbed one would have."""

import random
from typing import Any

import numpy
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class GeneratorStates(Callback):
    """Saves the states of Python's, NumPy's, torch's and CUDA's generators, and restores them when training starts."""

    def __init__(self) -> None:
        self.loaded: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Saves all states as plain values and tensors."""
        name, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
        checkpoint["generators"] = {
            "python": random.getstate(),
            "numpy": (name, numpy.asarray(keys).tolist(), position, has_gauss, cached),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keeps the states until training starts: setting up draws numbers too."""
        self.loaded = checkpoint["generators"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the states."""
        if self.loaded is None:
            return
        version, keys, gauss = self.loaded["python"]
        random.setstate((version, tuple(keys), gauss))
        name, keys, position, has_gauss, cached = self.loaded["numpy"]
        numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), position, has_gauss, cached))
        torch.set_rng_state(self.loaded["torch"].cpu())
        if self.loaded["cuda"] and torch.cuda.device_count() == len(self.loaded["cuda"]):
            torch.cuda.set_rng_state_all([state.cpu() for state in self.loaded["cuda"]])
        self.loaded = None

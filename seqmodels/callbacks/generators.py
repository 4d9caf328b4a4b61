"""The random generators, saved and put back, so that a resumed run draws what the undisturbed one would have."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from seqmodels import processes


def generator_states() -> dict[str, Any]:
    """Returns the states of Python's, NumPy's, torch's and CUDA's generators, as plain values and tensors."""
    name, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (name, numpy.asarray(keys).tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Puts the generators into states that `generator_states` returned."""
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


@contextmanager
def undisturbed_generators() -> Iterator[None]:
    """Puts all generators back when the block is left, whatever was drawn in it."""
    states = generator_states()
    try:
        yield
    finally:
        restore_generators(states)


class GeneratorStates(Callback):
    """Saves the states of Python's, NumPy's, torch's and CUDA's generators, and restores them when training starts.

    Of several processes each has states of its own, so that what they draw differs.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Saves all states as plain values and tensors."""
        checkpoint["generators"], *others = processes.of_all(generator_states())
        if others:
            checkpoint["generators_of_others"] = others

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keeps the states until training starts: setting up draws numbers too."""
        states = [checkpoint["generators"], *checkpoint.get("generators_of_others", [])]
        self.loaded = states[processes.rank()] if processes.rank() < len(states) else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the states; where there are none, a process that is not alone begins with some of its own."""
        if self.loaded is not None:
            restore_generators(self.loaded)
            self.loaded = None
        elif processes.count() > 1:
            seeds = numpy.random.SeedSequence([torch.initial_seed(), processes.rank(), trainer.global_step])
            random.seed(int(seeds.generate_state(1)[0]))
            numpy.random.seed(seeds.generate_state(2)[1])
            torch.manual_seed(int(seeds.generate_state(3)[2]))

"""Questions about a Trainer that its public attributes do not answer."""

from typing import TypeVar

from lightning.pytorch import Callback, Trainer

Kind = TypeVar("Kind", bound=Callback)


def find_callback(trainer: Trainer, kind: type[Kind]) -> Kind | None:
    """Returns the first callback of a kind; `None` where there is none."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)


def accumulating(trainer: Trainer) -> bool:
    """Whether gradients of an unfinished update are held, which a checkpoint does not keep."""
    return trainer.fit_loop._should_accumulate()


def validation_follows(trainer: Trainer) -> bool:
    """Whether Lightning validates right after this training batch."""
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is not None and trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)

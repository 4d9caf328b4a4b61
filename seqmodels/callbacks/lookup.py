"""Finding one callback among a Trainer's."""

from typing import TypeVar

from lightning.pytorch import Callback, Trainer

Kind = TypeVar("Kind", bound=Callback)


def find_callback(trainer: Trainer, kind: type[Kind]) -> Kind | None:
    """Returns the first callback of a kind; `None` where there is none."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)

"""Going on with a run: what may change, what must be the same, and what to tell where it fails."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback

from seqmodels import resources, runs
from seqmodels.data import DataModule
from seqmodels.errors import UserError

# What may change when a run is continued: how far and where it runs, and what is watched. The rest is the run itself.
RESUMABLE = ("trainer", "callbacks")


def resumed_config(saved: Mapping[str, Any], composed: Mapping[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Returns a run's configuration with what the command line changes of it.

    Args:
        saved: The run's configuration.
        composed: What the command line alone composes to.
        overrides: The command line's overrides, such as `trainer.max_epochs=20`.

    Raises:
        UserError: For a key that belongs to the run.
    """
    config = {**saved}
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if key == "resume":
            continue
        parts = key.split(".")
        if parts[0] not in RESUMABLE:
            raise UserError(
                f"{override}: belongs to the run and stays when it is resumed; free: {', '.join(RESUMABLE)}"
            )
        if len(parts) == 1:
            raise UserError(f"{override}: on a resumed run single keys change, such as trainer.max_epochs=20")
        target: dict[str, Any] = config
        source: Any = composed
        for part in parts[:-1]:
            target[part] = dict(target.get(part) or {})
            target, source = target[part], source.get(part) or {}
        if parts[-1] in source:
            target[parts[-1]] = source[parts[-1]]
        else:
            target.pop(parts[-1], None)  # ~callbacks.samples
    return config


def check_same_data(data: DataModule, resumed: runs.Run) -> None:
    """Refuses to go on with other data than a run was trained on.

    Args:
        data: The data, set up.
        resumed: The run.

    Raises:
        UserError: Where they are others.
    """
    state = resumed.checkpoint.get(type(data).__qualname__) or {}
    same = json.loads(json.dumps(data.spec)) == resumed.spec
    if not same or state.get("fingerprint", data.fingerprint) != data.fingerprint:
        raise UserError(f"resume={resumed.path}: the data are not those the run was trained on")


class Underway(Callback):
    """Tells what fails before the first update of a resumed run as damage of its checkpoint.

    Args:
        resumed: The run; `None` for a new one.
    """

    def __init__(self, resumed: runs.Run | None):
        self.resumed = resumed

    def on_train_batch_end(self, *_: Any) -> None:
        """Sees that training goes on."""
        self.resumed = None

    @contextmanager
    def told(self) -> Iterator[None]:
        """Looks at failures within the block."""
        try:
            yield
        except Exception as error:
            told = isinstance(error, UserError | OSError | Warning) or resources.explain(error) is not None
            if self.resumed is None or told:
                raise
            raise runs.damaged(self.resumed.checkpoint_path, error) from error

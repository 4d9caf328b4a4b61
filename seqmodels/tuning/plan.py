"""What one `seqmodels tune` is asked to do; it travels to the processes that do it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqmodels.tuning.space import Search


@dataclass(frozen=True)
class Plan:
    """What one command asks of a study.

    Args:
        search: The space and the way through it.
        study: The study's name in its storage.
        folder: Where its table and pictures go; the runs are beside it.
        storage: The URL of a database, `None` for memory.
        trials: Trials of the whole study, earlier ones included.
        workers: Processes.
        deadline: The time (`time.time()`) after which no trial begins; `None` for no end.
        metric: The figure that is optimised, such as `val/loss`.
        mode: "min" or "max".
        seed: What the samplers draw from.
        made_with: What must be the same whenever the study goes on.
        trusted: Modules of the user's own that configuration may name.
        configure: Makes a trial's configuration of its values.
        explain: Says a failure in one line; `None` for a fault of the program.
    """

    search: Search
    study: str
    folder: Path
    storage: str | None
    trials: int
    workers: int
    deadline: float | None
    metric: str
    mode: str
    seed: int
    made_with: dict[str, Any]
    trusted: list[str]
    configure: Callable[[dict[str, Any]], dict[str, Any]]
    explain: Callable[[BaseException], str | None]

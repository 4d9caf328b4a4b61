"""Links in a run directory: what is written there stays there."""

import os
from pathlib import Path

from seqmodels.errors import UserError


def check_links(run: Path) -> None:
    """Refuses a run directory with a link that leaves it, before anything is written into it.

    Args:
        run: The run directory.

    Raises:
        UserError: Where one does.
    """
    inside = run.resolve()
    for folder, names, files in os.walk(run):
        for name in (*names, *files):
            path = Path(folder, name)
            if path.is_symlink() and not _target(path).is_relative_to(inside):
                raise UserError(f"{path}: is a link out of the run directory; put a copy in its place")


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a circle of links
        return Path("/")

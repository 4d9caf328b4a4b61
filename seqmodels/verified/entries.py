"""What stands in a run directory: plain files and folders, so that nothing waits and nothing is written elsewhere."""

import os
from pathlib import Path

from seqmodels.errors import UserError


def check_entries(run: Path) -> None:
    """Refuses a run directory with a link that leaves it, a pipe, a socket or a device, before any is opened.

    Args:
        run: The run directory.

    Raises:
        UserError: Where there is one.
    """
    inside = run.resolve()
    for folder, names, files in os.walk(run):
        for name in (*names, *files):
            path = Path(folder, name)
            if path.is_symlink():
                if not _target(path).is_relative_to(inside):
                    raise UserError(f"{path}: is a link out of the run directory; put a copy in its place")
            elif not path.is_file() and not path.is_dir():
                raise UserError(f"{path}: is a pipe, a socket or a device; expected a file or a folder")


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a circle of links
        return Path("/")

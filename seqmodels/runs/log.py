"""`log.txt`: what the program says of a run."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seqmodels.errors import escaped

log = logging.getLogger("seqmodels")


class _Line(logging.Formatter):
    """Writes each record as one line, whatever names of a stranger's it tells."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        return escaped(super().format(record))


class _LogFile(logging.FileHandler):
    """A log that a full disk cuts short without a word: it is not what a run is for."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Says nothing."""

    def close(self) -> None:
        """Closes the file, even where what is left cannot be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Sends what the program says of a run to its `log.txt`, and all but how it goes and ended to stderr."""
    log.setLevel(logging.DEBUG)
    log.propagate = False
    file = _LogFile(path, encoding="utf-8")
    file.setFormatter(_Line("%(asctime)s %(levelname)s %(message)s"))
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_Line("%(message)s"))
    console.setLevel(logging.INFO)
    console.addFilter(lambda record: not record.getMessage().startswith(("finished", "stopped")))
    log.addHandler(file)
    log.addHandler(console)
    try:
        yield
    except BaseException as error:
        log.error("stopped: %s: %s", type(error).__name__, error)
        raise
    finally:
        for handler in (file, console):
            log.removeHandler(handler)
            handler.close()

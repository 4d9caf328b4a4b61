"""The jobs of `seqmodels train`: one, or those of a sweep, in this process or in others."""

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from seqmodels.commands.failures import causes, explain, go_on
from seqmodels.errors import UserError

PATIENCE_SECONDS = 60.0
"""So long jobs in other processes have to write their checkpoints when a sweep is stopped."""

_STOPPED = "stopped"


class Jobs:
    """The jobs of a command, in this process or, by a launcher, in others: how each of a sweep ended is a file.

    Args:
        work: Runs one job.

    Attributes:
        folder: Where a sweep keeps these files, on whatever machine its jobs run; `None` for a single run.
    """

    def __init__(self, work: Callable[[DictConfig], None]):
        self.work = work
        self.folder: Path | None = None
        self.pid = os.getpid()
        self.failures: list[Exception] = []

    def run(self, composed: DictConfig) -> None:
        """Runs one job; its failure is kept, so that the rest of a sweep runs. Hydra would print lines of its own."""
        try:
            with self._within_reach():
                self.work(composed)
            self._write("done")
        except Exception as error:
            self.failures.append(error)
            reason = explain(error)
            if self.folder is not None:
                settings = HydraConfig.get()
                overrides = " ".join(settings.overrides.task)
                print(f"seqmodels: job {settings.job.num} ({overrides}): {reason or repr(error)}", file=sys.stderr)
            if reason is None and os.getpid() != self.pid:  # nobody but this process knows where it came up
                traceback.print_exception(error)
            self._write("fault" if reason is None else "mistake")

    def _write(self, text: str, suffix: str = "") -> None:
        """Writes the file of the job that runs, where it is one of a sweep."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / f"{HydraConfig.get().job.num}{suffix}").write_text(text)

    @contextmanager
    def _within_reach(self) -> Iterator[None]:
        """Leaves word, where a job runs in another process, of how to stop it, and of the run that it stopped in."""
        if self.folder is None or os.getpid() == self.pid:
            yield
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and the command hands it on
        signal.signal(signal.SIGTERM, _leave)
        self._write(str(os.getpid()), _reach())
        try:
            if (self.folder / _STOPPED).exists():
                raise _Left
            yield
        except BaseException as error:
            from seqmodels.callbacks import Interrupted

            for cause in causes(error):
                if isinstance(cause, Interrupted):
                    self._write(cause.run, ".run")
            raise
        finally:
            (self.folder / f"{HydraConfig.get().job.num}{_reach()}").unlink()

    @contextmanager
    def stopped_together(self) -> Iterator[None]:
        """Hands SIGINT and SIGTERM on to jobs in other processes, and lets them write their checkpoints."""
        folder = self.folder
        if folder is None:
            yield
            return

        def stop(signum: int, frame: FrameType | None) -> None:
            if not (folder / _STOPPED).exists():  # a second signal does not wait
                _stop_others(folder, signum)
            before[signum](signum, frame)

        before: dict[int, Any] = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _ended(self) -> dict[str, list[int]]:
        ended: dict[str, list[int]] = {}
        paths = [] if self.folder is None else self.folder.glob("*")
        numbered = [path for path in paths if path.name.isdigit()]
        for path in sorted(numbered, key=lambda path: int(path.name)):
            ended.setdefault(path.read_text(), []).append(int(path.name))
        return ended

    def forget(self) -> None:
        """Removes what was written of the jobs."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def after_kill(self) -> str:
        """Says what is known of a sweep of which a process was killed, and others with it by joblib."""
        done = ", ".join(map(str, self._ended().get("done", []))) or "none"
        return (
            f"a process of the sweep was killed, for want of memory perhaps, and the rest ended; finished jobs: {done}"
        )

    def raise_failures(self) -> None:
        """Raises what stands for all failures; those of a sweep have been told, but for faults of the program."""
        ended = self._ended()
        faults = [error for error in self.failures if explain(error) is None]
        count = len(ended.get("fault", [])) + len(ended.get("mistake", []))
        if faults or (self.failures and self.folder is None):
            raise faults[0] if faults else self.failures[0]
        if count:
            line = f"{count} job{'' if count == 1 else 's'} of the sweep failed"
            raise RuntimeError(line) if "fault" in ended else UserError(line)


def _reach() -> str:
    """Returns how a file is named that has the number of a process: it is one of this machine's."""
    return f".pid-{os.uname().nodename}"


def _stop_others(folder: Path, signum: int) -> None:
    """Stops the jobs of a sweep that run on this machine, waits for their checkpoints, and says how to go on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _STOPPED).touch()  # for jobs that are about to begin
    for word in folder.glob(f"*{_reach()}"):
        with suppress(OSError, ValueError):  # it has ended meanwhile, or begins
            os.kill(int(word.read_text()), signal.SIGTERM)
    end = time.monotonic() + PATIENCE_SECONDS
    while any(folder.glob(f"*{_reach()}")) and time.monotonic() < end:
        time.sleep(0.05)
    for path in sorted(folder.glob("*.run")):
        print(go_on(signum, path.read_text()), file=sys.stderr)


class _Left(BaseException):
    """The command was stopped, outside of this job's training; it is no `Exception`, so that no other job begins."""


def _leave(signum: int, frame: FrameType | None) -> None:
    raise _Left

"""The jobs of `seqmodels train`: one, or those of a sweep, in this process or in others."""

import os
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
from hydra.types import RunMode
from omegaconf import DictConfig

from seqmodels.commands.failures import causes, explain, go_on
from seqmodels.errors import UserError

PATIENCE_SECONDS = 60.0
"""So long jobs in other processes have to write their checkpoints when a sweep is stopped."""


class Jobs:
    """The jobs of a command, in this process or, by a launcher, in others: how each ended is a file in a folder.

    Args:
        folder: An empty folder.
        work: Runs one job.
    """

    def __init__(self, folder: str, work: Callable[[DictConfig], None]):
        self.folder = Path(folder)
        self.work = work
        self.pid = os.getpid()
        self.failures: list[Exception] = []

    def run(self, composed: DictConfig) -> None:
        """Runs one job; its failure is kept, so that the rest of a sweep runs. Hydra would print lines of its own."""
        settings = HydraConfig.get()
        sweeping = settings.mode == RunMode.MULTIRUN
        number = str(settings.job.num) if sweeping else "0"
        try:
            with self._within_reach(number):
                self.work(composed)
            (self.folder / number).write_text("done")
        except Exception as error:
            self.failures.append(error)
            reason = explain(error)
            (self.folder / number).write_text("fault" if reason is None else "mistake")
            if sweeping:
                overrides = " ".join(settings.overrides.task)
                print(f"seqmodels: job {number} ({overrides}): {reason or repr(error)}", file=sys.stderr)
            if reason is None and os.getpid() != self.pid:  # nobody but this process knows where it came up
                traceback.print_exception(error)

    @contextmanager
    def _within_reach(self, number: str) -> Iterator[None]:
        """Leaves word, where a job runs in another process, of how to stop it, and of the run that it stopped in."""
        if os.getpid() == self.pid:
            yield
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and the command hands it on
        signal.signal(signal.SIGTERM, _leave)
        word = self.folder / f"{number}.pid"
        word.write_text(str(os.getpid()))
        try:
            if self._stopped.exists():
                raise _Left
            yield
        except BaseException as error:
            from seqmodels.callbacks import Interrupted

            for cause in causes(error):
                if isinstance(cause, Interrupted):
                    (self.folder / f"{number}.run").write_text(cause.run)
            raise
        finally:
            word.unlink()

    @property
    def _stopped(self) -> Path:
        return self.folder / "stopped"

    @contextmanager
    def stopped_together(self) -> Iterator[None]:
        """Hands SIGINT and SIGTERM on to jobs in other processes, and lets them write their checkpoints."""

        def stop(signum: int, frame: FrameType | None) -> None:
            if not self._stopped.exists():  # a second signal does not wait
                self._stop_others(signum)
            before[signum](signum, frame)

        before: dict[int, Any] = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _stop_others(self, signum: int) -> None:
        self._stopped.touch()  # for jobs that are about to begin
        for word in self.folder.glob("*.pid"):
            with suppress(OSError, ValueError):  # it has ended meanwhile, or begins
                os.kill(int(word.read_text()), signal.SIGTERM)
        end = time.monotonic() + PATIENCE_SECONDS
        while any(self.folder.glob("*.pid")) and time.monotonic() < end:
            time.sleep(0.05)
        for path in sorted(self.folder.glob("*.run")):
            print(go_on(signum, path.read_text()), file=sys.stderr)

    def _ended(self) -> dict[str, list[int]]:
        ended: dict[str, list[int]] = {}
        numbered = [path for path in self.folder.iterdir() if path.name.isdigit()]
        for path in sorted(numbered, key=lambda path: int(path.name)):
            ended.setdefault(path.read_text(), []).append(int(path.name))
        return ended

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
        if faults or (self.failures and "-m" not in sys.argv and "--multirun" not in sys.argv):
            raise faults[0] if faults else self.failures[0]
        if count:
            line = f"{count} job{'' if count == 1 else 's'} of the sweep failed"
            raise RuntimeError(line) if "fault" in ended else UserError(line)


class _Left(BaseException):
    """The command was stopped, outside of this job's training; it is no `Exception`, so that no other job begins."""


def _leave(signum: int, frame: FrameType | None) -> None:
    raise _Left

"""The processes of a run on one machine: started, watched, and told what this one is told."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LAUNCHED, JOB = "SEQMODELS_LAUNCHED", "SEQMODELS_JOB"

GRACE_SECONDS = 20.0
"""So long the others have to notice that one has failed, before they are killed."""


def launch(count: int, overrides: list[str], job: int | None) -> int:
    """Runs one training by several processes.

    Each is this program under the variables that torchrun sets. Signals are handed on to all; where one fails, the
    others end too; where this process is killed, they are told to stop.

    Args:
        count: How many.
        overrides: The settings of the run, as on the command line.
        job: The number of the job in a sweep.

    Returns:
        The exit code: of the first to fail, or that of the signal.
    """
    port = _free_port()
    processes: list[subprocess.Popen] = []
    with _handing_on(processes) as received:
        try:
            for rank in range(count):
                command = [sys.executable, "-m", "seqmodels", "train", *overrides]
                environment = _environment(rank, count, port, job)
                # A group of its own: Ctrl-C reaches this process alone, which hands it on once.
                processes.append(
                    subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True)
                )
            codes = _wait(processes)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return _exit_code(codes, received)


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


def _environment(rank: int, count: int, port: int, job: int | None) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // count)  # more of them would wait for each other
    own = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        LAUNCHED: os.getpid(),
        **({} if job is None else {JOB: job}),
    }
    return {"OMP_NUM_THREADS": str(threads), **os.environ, **{name: str(value) for name, value in own.items()}}


@contextmanager
def _handing_on(processes: list[subprocess.Popen]) -> Iterator[list[int]]:
    """Hands SIGINT and SIGTERM on to processes, and keeps which there were."""
    received: list[int] = []

    def hand_on(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        for process in processes:
            process.send_signal(signum)

    before = {signum: signal.signal(signum, hand_on) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _wait(processes: list[subprocess.Popen]) -> list[int]:
    """Waits for all to end; for those that have not noticed that one has failed, not for ever.

    Returns:
        The exit codes of those that have ended.
    """
    failed_at: float | None = None
    while True:
        codes = [process.poll() for process in processes]
        if failed_at is None and any(code not in (None, 0, 130, 143) for code in codes):
            failed_at = time.monotonic()
        if None not in codes or (failed_at is not None and time.monotonic() - failed_at > GRACE_SECONDS):
            return [code for code in codes if code is not None]
        time.sleep(0.05)


def _exit_code(codes: list[int], received: list[int]) -> int:
    if received and 128 + received[0] in codes:
        return 128 + received[0]
    killed = [code for code in codes if code < 0]
    told = [code for code in codes if code > 0]
    if killed and 2 not in told:
        name = signal.Signals(-killed[0]).name
        print(
            f"seqmodels: one of the processes was ended by {name}, from outside or for want of memory; the last "
            "checkpoint is kept",
            file=sys.stderr,
        )
        return 1
    return max(told, default=0)


def watch_launcher() -> None:
    """Has this process told to stop, as by SIGTERM, when the one that launched it is gone; none where none did."""
    if LAUNCHED not in os.environ:
        return

    def wait() -> None:
        if not os.read(0, 1):  # the other end of the pipe is closed
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()

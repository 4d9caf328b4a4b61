"""The processes of a study on one machine: started, watched, replaced where one is killed, ended together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

import torch

from seqmodels.callbacks import Interrupted
from seqmodels.errors import UserError
from seqmodels.tuning.plan import Plan
from seqmodels.tuning.report import check_folder, draw, link_best, summary, write_table
from seqmodels.tuning.study import close, locked, open_study, recover
from seqmodels.tuning.trials import work

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage


def tune(plan: Plan) -> str:
    """Goes on with a study until it has its trials, and writes its table and pictures.

    Returns:
        How the study stands, in a few lines.

    Raises:
        UserError: Where the storage cannot be used; where the folder is that of a study in another one; where no trial
            was trained to its end.
    """
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output_dir: cannot make {plan.folder}: {error.strerror}") from error
    study, storage = open_study(plan)  # before the workers do, so that a mistake is told once
    try:
        check_folder(study, plan)
        _go_on(plan, study, storage)
        draw(study, plan)
        return summary(study, plan)
    finally:
        close(storage)


def _go_on(plan: Plan, study: Study, storage: RDBStorage | None) -> None:
    from optuna.exceptions import StorageInternalError

    try:
        if plan.workers == 1:
            work(plan, study, storage)
        else:
            _work_together(plan, study)
    finally:
        with suppress(StorageInternalError), locked(plan):
            recover(study, plan)
            write_table(study, plan)
            link_best(study, plan)


def _work_together(plan: Plan, study: Study) -> None:
    """Watches workers; one that was killed is replaced, if it had got as far as a trial."""
    devices = _devices(plan.workers)
    running = [_start(plan, device) for device in devices]
    failed = 0
    try:
        while running:
            wait([process.sentinel for process in running])
            for process in [process for process in running if not process.is_alive()]:
                process.join()
                running.remove(process)
                code = process.exitcode or 0
                failed += code != 0
                if code < 0:
                    name = signal.Signals(-code).name
                    print(f"seqmodels: a worker (process {process.pid}) was ended by {name}", file=sys.stderr)
                    if _has_begun(study, process.pid):
                        failed -= 1
                        running.append(_start(plan, devices[len(running) % len(devices)]))
    except BaseException:
        for process in running:
            process.terminate()  # each writes its checkpoint and leaves
        for process in running:
            process.join()
        raise
    if failed:
        raise UserError(f"workers={plan.workers}: {failed} ended before the study did; the same command goes on")


def _has_begun(study: Study, pid: int | None) -> bool:
    return any(trial.user_attrs.get("owner", {}).get("pid") == pid for trial in study.get_trials(deepcopy=False))


def _devices(workers: int) -> list[str | None]:
    """Gives each worker one of the GPUs, in turn; `None` where there is none to give."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    return [names[number % len(names)] if names and torch.cuda.is_available() else None for number in range(workers)]


def _start(plan: Plan, device: str | None) -> BaseProcess:
    # Spawned, not forked: a fork of a process whose torch has threads may wait for them for ever.
    process = multiprocessing.get_context("spawn").Process(target=_worker, args=(plan, device))
    process.start()
    return process


def _worker(plan: Plan, device: str | None) -> None:
    """Is the whole of a worker process; its exit code is 0, 1 after a mistake, 130 or 143 after a signal."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow_parent, daemon=True).start()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // plan.workers))
    try:
        work(plan, *open_study(plan))
    except UserError as error:
        print(f"seqmodels: {error}", file=sys.stderr)
        sys.exit(1)
    except Interrupted as error:
        sys.exit(128 + error.signum)
    except KeyboardInterrupt:
        sys.exit(130)


def _leave(signum: int, frame: object) -> None:
    sys.exit(128 + signum)


def _follow_parent() -> None:
    """Ends this process where the command that started it was killed, so that no study goes on unseen."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

"""A study and its trials: opened, gone on with, each trial begun once and none that was killed forgotten."""

from __future__ import annotations

import os
import socket
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqmodels.errors import UserError
from seqmodels.tuning.plan import Plan
from seqmodels.tuning.storage import HEARTBEAT_SECONDS, connect

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

# How often the values of a trial whose process was killed are tried again: what kills it may be they.
MAX_RETRIES = 3


def open_study(plan: Plan) -> tuple[Study, RDBStorage | None]:
    """Opens a study, or makes it.

    Raises:
        UserError: Where the storage cannot be reached; where the study was made with other settings.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = None if plan.storage is None else connect(plan.storage)
    direction: Literal["minimize", "maximize"] = "minimize" if plan.mode == "min" else "maximize"
    try:
        study = optuna.create_study(
            study_name=plan.study, storage=storage, direction=direction, load_if_exists=True, pruner=_pruner(plan)
        )
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(f"storage: lost on opening the study: {_first_line(error)}") from None
    before = study.user_attrs.get("made_with")
    if before is None or (before != plan.made_with and _may_change(study, plan, before)):
        study.set_user_attr("made_with", plan.made_with)
    _check_made_with(study, plan)
    return study, storage


def _may_change(study: Study, plan: Plan, before: dict[str, Any]) -> bool:
    """Whether no trial was made with the earlier settings that could not be compared; a study keeps its direction."""
    trials = study.get_trials(deepcopy=False)
    used = any(counts(trial) or trial.state.name == "WAITING" for trial in trials)
    return not used and before.get("mode") == plan.mode


def _check_made_with(study: Study, plan: Plan) -> None:
    before = study.user_attrs["made_with"]
    if before != plan.made_with:
        key = next(key for key in plan.made_with if before.get(key) != plan.made_with[key])
        raise UserError(
            f"study={plan.study}: the storage has it with other settings, and its trials could not be compared "
            f"({key}: {_brief(before.get(key))}, now {_brief(plan.made_with[key])}); choose another name: study=..."
        )


def close(storage: RDBStorage | None) -> None:
    """Gives the connections back to the database."""
    if storage is not None:
        storage.remove_session()
        storage.engine.dispose()


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) < 100 else f"{text[:97]}..."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _pruner(plan: Plan) -> BasePruner:
    from optuna import pruners

    if plan.search.pruner == "median":
        # The pruner spares the steps below its number, and validations count from 1.
        return pruners.MedianPruner(plan.search.startup_trials, plan.search.warmup_validations + 1)
    return pruners.HyperbandPruner() if plan.search.pruner == "hyperband" else pruners.NopPruner()


def _sampler(plan: Plan, trials: int) -> BaseSampler:
    """Makes the sampler of one trial, whose seed is another than that of any trial before or beside it.

    One seed for all workers would let them draw the same values, and so would the first seed after a kill.
    """
    from optuna import samplers

    shared = plan.storage is not None and not plan.storage.startswith("sqlite")
    drawn = zlib.crc32(f"{plan.seed} {trials} {socket.gethostname() if shared else ''}".encode())
    if plan.search.sampler == "random":
        return samplers.RandomSampler(seed=drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a key that was new in 4 is called experimental there
        several = plan.workers > 1 or shared
        return samplers.TPESampler(n_startup_trials=plan.search.startup_trials, constant_liar=several, seed=drawn)


@contextmanager
def locked(plan: Plan) -> Iterator[None]:
    """Keeps other processes of this machine out; a process that is killed gives the lock up."""
    from filelock import FileLock

    with FileLock(plan.folder / ".lock"):
        yield


def begin(study: Study, plan: Plan) -> Trial | None:
    """Begins the next trial, under `locked`.

    Returns:
        The trial with its values; `None` where the study has all its trials.

    Raises:
        UserError: Where other settings have taken the study over before it had a trial.
    """
    _check_made_with(study, plan)
    trials = study.get_trials(deepcopy=False)
    if sum(map(counts, trials)) >= plan.trials:
        return None
    if plan.search.sampler == "grid" and not any(trial.state.name == "WAITING" for trial in trials):
        taken = {tuple(map(trial.params.get, plan.search.space)) for trial in trials if counts(trial)}
        rest = (values for values in plan.search.grid() if tuple(values.values()) not in taken)
        if (values := next(rest, None)) is None:
            return None
        study.enqueue_trial(values)
    study.sampler = _sampler(plan, len(trials))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)  # `alive` gives it
        trial = study.ask()
    trial.set_user_attr("owner", owner())
    plan.search.suggest(trial)
    return trial


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those asked for: not one that was killed, whose values are tried again some times."""
    state, attributes = trial.state.name, trial.user_attrs
    return (
        state in ("COMPLETE", "PRUNED")
        or (state == "RUNNING" and "owner" in attributes)
        or (state == "FAIL" and ("error" in attributes or attributes.get("retries", 0) >= MAX_RETRIES))
    )


def owner() -> dict[str, Any]:
    """Names this process: its machine, its number there, and when that number was given out."""
    return {"host": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def _host() -> str:
    """Names the machine, or the container on it: within, process numbers mean one thing."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _is_dead(process: dict[str, Any]) -> bool:
    """Whether a process of this machine has ended; of another machine nothing is known."""
    if process["host"] != _host():
        return False
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return process["started"] != _started(process["pid"])


def recover(study: Study, plan: Plan) -> list[FrozenTrial]:
    """Marks trials as failed whose process is gone, and lets their values be tried again; under `locked`.

    Returns:
        The trials whose values wait to be tried again since this call.
    """
    import optuna
    from optuna.trial import TrialState

    local = plan.storage is None or plan.storage.startswith("sqlite")
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        process = trial.user_attrs.get("owner")
        # Who begins a trial does so under the lock: one without an owner was killed in the midst of it.
        if _is_dead(process) if process else local:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    return _try_again(study, study.get_trials(deepcopy=False))


def _try_again(study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    waiting = []
    for trial in trials:
        killed = trial.state.name == "FAIL" and "error" not in trial.user_attrs
        retries = trial.user_attrs.get("retries", 0)
        if killed and trial.number not in retried and trial.params and retries < MAX_RETRIES:
            study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number, "retries": retries + 1})
            waiting.append(trial)
    return waiting


@contextmanager
def alive(storage: RDBStorage | None, trial: Trial) -> Iterator[None]:
    """Tells the storage every half minute that the trial runs, so that other machines do not take it for dead."""
    if storage is None:
        yield
        return
    ended = threading.Event()

    def tell() -> None:
        while True:
            with suppress(Exception):  # the storage is away for a moment; if for good, the trial's report says so
                storage.record_heartbeat(trial._trial_id)
                storage.remove_session()  # a connection of this thread's own
            if ended.wait(HEARTBEAT_SECONDS):
                return

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""One process at work on a study: trial after trial, each a run like any other."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels import runs
from seqmodels.callbacks import Pruning
from seqmodels.errors import UserError, one_line
from seqmodels.training import train
from seqmodels.trust import trusting
from seqmodels.tuning.plan import Plan
from seqmodels.tuning.report import link_best, write_table
from seqmodels.tuning.study import alive, begin, locked, recover

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import Trial


def work(plan: Plan, study: Study, storage: RDBStorage | None) -> None:
    """Runs trials until the study has all of them, or time is up.

    Raises:
        UserError: Where the storage is lost.
    """
    from optuna.exceptions import StorageInternalError

    with trusting(plan.trusted):
        try:
            while (trial := _next(study, plan)) is not None:
                with alive(storage, trial):
                    _run(study, trial, plan)
        except StorageInternalError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise UserError(f"storage: lost ({reason}); the same command goes on where it stood") from None


def _next(study: Study, plan: Plan) -> Trial | None:
    with locked(plan):
        for lost in recover(study, plan):
            print(f"seqmodels: trial {lost.number} was killed; its values are tried again", file=sys.stderr)
        if plan.deadline is not None and time.time() >= plan.deadline:
            return None
        return begin(study, plan)


def _run(study: Study, trial: Trial, plan: Plan) -> None:
    """Runs one trial and writes down how it ended.

    One that a signal ended is marked as failed and says no more: its values are tried again.
    """
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
    from optuna.trial import TrialState

    pruning = Pruning(plan.metric, _reporter(trial))
    try:
        outcome = train(plan.configure(trial.params), job=trial.number, watchers=[pruning])
        value = outcome.results.get(plan.metric, math.nan)
        if not math.isfinite(value):
            raise UserError(f"{plan.metric}={value}: no figure to compare")
        trial.set_user_attr("run", str(outcome.run))
        trial.set_user_attr("results", outcome.results)
        if pruning.pruned:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
    except (StorageInternalError, UpdateFinishedTrialError) as error:
        if isinstance(error, StorageInternalError):
            raise
        print(f"seqmodels: trial {trial.number} was given up meanwhile: it gave no sign of life", file=sys.stderr)
        return
    except Exception as error:
        reason = plan.explain(error) or one_line(f"a fault of the program: {type(error).__name__}: {error}")
        trial.set_user_attr("error", reason)
        study.tell(trial, state=TrialState.FAIL)
        print(f"seqmodels: trial {trial.number} ({shown(trial.params)}): {reason}", file=sys.stderr)
    except BaseException:
        with suppress(Exception):
            study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    else:
        state = "pruned at" if pruning.pruned else ""
        words = [f"trial {trial.number}:", state, f"{plan.metric} {value:.6g}", f"({shown(trial.params)})"]
        print(*(word for word in words if word), runs.shown(Path(outcome.run)), flush=True)
    with locked(plan):
        write_table(study, plan)
        link_best(study, plan)


def _reporter(trial: Trial) -> Callable[[float, int], bool]:
    def report(value: float, validation: int) -> bool:
        trial.report(value, validation)
        return trial.should_prune()

    return report


def shown(values: dict[str, Any]) -> str:
    """Writes values as a user would type them."""
    words = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return one_line(" ".join(f"{key}={word}" for key, word in words.items()))

"""What a study leaves behind: a table of its trials, two pictures, a link to the best run."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels import runs
from seqmodels.errors import UserError
from seqmodels.tuning.plan import Plan

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

WORDS = {
    "COMPLETE": "trained to the end",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
TABLE, HISTORY, IMPORTANCES = "trials.csv", "history.png", "importances.png"


def write_table(study: Study, plan: Plan) -> Path:
    """Writes `trials.csv`: each trial with its values, its figures, its run, and why it failed."""
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs}
    rows = [_row(trial, plan, trial.number in retried) for trial in trials if trial.state.name != "WAITING"]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = plan.folder / TABLE
    runs.write_text(path, text.getvalue())
    return path


def check_folder(study: Study, plan: Plan) -> None:
    """Holds a study against the table in its folder.

    Raises:
        UserError: Where that is of another study: one of this name in another storage.
    """
    path = plan.folder / TABLE
    has_rows = path.is_file() and path.read_text("utf-8", "replace").count("\n") > 1
    if has_rows and not study.get_trials(deepcopy=False):
        raise UserError(
            f"study={plan.study}: {runs.shown(path)} is of a study in another storage; choose another name: study=..., "
            "or move that folder away"
        )


def _row(trial: FrozenTrial, plan: Plan, retried: bool) -> dict[str, Any]:
    attributes, killed = trial.user_attrs, _is_killed(trial)
    error = attributes.get("error") or ("killed; tried again" if retried else "killed" if killed else "")
    seconds = "" if trial.duration is None else round(trial.duration.total_seconds(), 1)
    results = attributes.get("results", {})
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        plan.metric: results.get(plan.metric, ""),
        **{key: trial.params.get(key, "") for key in plan.search.space},
        **{name: value for name, value in results.items() if name != plan.metric},
        "validations": len(trial.intermediate_values),
        "seconds": seconds,
        "run": attributes.get("run", ""),
        "host": _host(trial),
        "retry_of": attributes.get("retry_of", ""),
        "error": error,
    }


def _is_killed(trial: FrozenTrial) -> bool:
    return trial.state.name == "FAIL" and "error" not in trial.user_attrs


def _host(trial: FrozenTrial) -> str:
    host: str = trial.user_attrs.get("owner", {}).get("host", "")
    return host.partition(" ")[0]


def best_trial(study: Study) -> FrozenTrial | None:
    """Returns the best of the trials that were trained to their end; `None` where there is none."""
    try:
        return study.best_trial
    except ValueError:
        return None


def link_best(study: Study, plan: Plan) -> Path | None:
    """Lets `best`, in the study's folder, name the best run, where that is on this machine."""
    best = best_trial(study)
    run = None if best is None else Path(best.user_attrs.get("run", ""))
    if run is None or not (run / runs.CONFIG).is_file():
        return None
    link = plan.folder / "best"
    runs.point(link, run)
    return link


def summary(study: Study, plan: Plan) -> str:
    """Says in a few lines how a study stands.

    Raises:
        UserError: Where no trial was trained to its end.
    """
    trials = study.get_trials(deepcopy=False)
    states = Counter("killed" if _is_killed(trial) else WORDS[trial.state.name] for trial in trials)
    stands = ", ".join(f"{count} {state}" for state, count in states.items())
    best = best_trial(study)
    if best is None:
        failed = [trial for trial in trials if "error" in trial.user_attrs]
        last = f"; the last one: {failed[-1].user_attrs['error']}" if failed else ""
        raise UserError(f"study={plan.study}: no trial was trained to its end ({stands or 'none began'}){last}")
    link = link_best(study, plan)
    run = runs.shown(link) if link is not None else f"{best.user_attrs.get('run')} on {_host(best)}"
    lines = [
        f"study        {plan.study}: {stands}",
        f"best         trial {best.number}: {plan.metric} {best.value:.6g}",
        *(f"             {key}={value}" for key, value in best.params.items()),
        f"run          {run}",
        f"table        {runs.shown(plan.folder / TABLE)}",
        f"tensorboard  tensorboard --logdir {runs.shown(plan.folder.parent)}",
    ]
    return "\n".join(lines)


def draw(study: Study, plan: Plan) -> list[Path]:
    """Draws the figures over the trials, and which values mattered for them; each where there is something to draw."""
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    paths = []
    if finished:
        paths.append(_draw_history(finished, plan))
    shares = _importances(study)
    if shares:
        paths.append(_draw_importances(shares, plan))
        runs.write_json(plan.folder / "importances.json", shares)
    return paths


def _importances(study: Study) -> dict[str, float]:
    """Returns each key's share in how far the figures differ (fANOVA, Hutter et al. 2014); none of too few trials."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if sum(trial.state.name == "COMPLETE" for trial in study.get_trials(deepcopy=False)) < 4:
        return {}
    try:
        return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    except (ValueError, RuntimeError):
        return {}


def _draw_history(trials: list[FrozenTrial], plan: Plan) -> Path:
    from matplotlib.figure import Figure

    better = min if plan.mode == "min" else max
    points = {state: [(t.number, t.value or 0.0) for t in trials if t.state.name == state] for state in WORDS}
    complete = points["COMPLETE"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for state, marker in (("COMPLETE", "o"), ("PRUNED", "x")):
        if points[state]:
            axes.scatter(*zip(*points[state], strict=True), marker=marker, label=WORDS[state])
    best = [(number, better(value for _, value in complete[: place + 1])) for place, (number, _) in enumerate(complete)]
    if best:
        axes.step(*zip(*best, strict=True), where="post", label="best so far")
    axes.set(xlabel="trial", ylabel=plan.metric, title=plan.study)
    axes.legend()
    path = plan.folder / HISTORY
    figure.savefig(path, dpi=120)
    return path


def _draw_importances(shares: dict[str, float], plan: Plan) -> Path:
    from matplotlib.figure import Figure

    keys = sorted(shares, key=lambda key: shares[key])
    figure = Figure(figsize=(7, 1 + 0.4 * len(keys)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(keys, [shares[key] for key in keys])
    axes.set(xlabel=f"share in how far {plan.metric} differs", title=plan.study)
    path = plan.folder / IMPORTANCES
    figure.savefig(path, dpi=120)
    return path

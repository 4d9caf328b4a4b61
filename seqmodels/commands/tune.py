"""`seqmodels tune experiment=NAME hparams_search=NAME`: an Optuna study whose trials are runs."""

import functools
import inspect
import json
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels import processes
from seqmodels.building import unknown_key
from seqmodels.commands.arguments import parse, print_help
from seqmodels.commands.composing import CONFIG_DIR, compose, make_absolute, options, valid_keys
from seqmodels.commands.failures import explain
from seqmodels.errors import UserError
from seqmodels.trust import module_names, trusting

if TYPE_CHECKING:
    from seqmodels.tuning import Search


def main(arguments: list[str]) -> None:
    """Splits the command line into keys of this command and settings of the training, and runs the study."""
    if {"-h", "--help"} & set(arguments):
        print_help(tune, "tune")
        print("\nAll other keys are those of `seqmodels train`, and hold for each trial.")
        return
    if processes.find_place() is not None:
        raise UserError("tune: torchrun and srun start the processes of one run; workers=N starts those of a study")
    own = {name: None for name in inspect.signature(tune).parameters if name != "settings"}
    settings = [word for word in arguments if word.partition("=")[0] not in own]
    for word in settings:
        _check_setting(word, list(own))
    values = parse(tune, [word for word in arguments if word not in settings])
    if "hparams_search" not in values:
        raise UserError(f"hparams_search: required; one of {', '.join(options('hparams_search'))}, or a file of yours")
    sys.argv = ["seqmodels tune", *settings]  # where messages look for what was chosen
    from seqmodels.callbacks import Interrupted

    try:
        print(tune(settings=settings, **values))
    except (Interrupted, KeyboardInterrupt) as error:
        signum = error.signum if isinstance(error, Interrupted) else signal.SIGINT
        print(f"stopped by {signal.Signals(signum).name}; the same command goes on with the study", file=sys.stderr)
        raise SystemExit(128 + signum) from error


def _check_setting(word: str, own: list[str]) -> None:
    key, equals, value = word.partition("=")
    if word.startswith("-") or (not equals and not word.startswith("~")):
        raise UserError(f"{word}: expected key=value; keys: {', '.join(own)}, and those of `seqmodels train`")
    if key == "resume":
        raise UserError(f"{word}: a study goes on with the command that began it; seqmodels train goes on with a run")
    if key == "plan" or (key == "debug" and "plan" in value):
        raise UserError(f"{word}: a study trains; seqmodels train debug=plan, with a trial's settings, plans one run")
    if _is_swept(word):
        raise UserError(f"{word}: several values; they go into the space: {key}: {{type: categorical, choices: [...]}}")
    if not key.isidentifier() or key in _groups():
        return
    if key not in (known := valid_keys("", [])):  # which Hydra knows, but not the keys of this command
        valid = dict.fromkeys(name for name in (*own, *known, *_groups()) if name not in ("plan", "resume"))
        raise UserError(unknown_key("", key, value, list(valid)))


def _is_swept(word: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except HydraException:  # told when it is composed
        return False


def _groups() -> list[str]:
    return [path.name for path in sorted(CONFIG_DIR.iterdir()) if path.is_dir() and path.name != "hparams_search"]


def tune(
    hparams_search: str,
    storage: str | None = "sqlite",
    trials: int | None = None,
    workers: int = 1,
    timeout: float | None = None,
    metric: str | None = None,
    mode: str | None = None,
    study: str | None = None,
    settings: tuple[str, ...] | list[str] = (),
) -> str:
    """Searches settings for the best figure of validation; each trial is a run of its own.

    The same command goes on with a study, and several machines work on one where they share its storage.

    Args:
        hparams_search: The space: a name (`seqmodels list hparams_search`), or a YAML file of yours.
        storage: Where the study is kept: `sqlite` (a file in the study's folder), `sqlite:///study.db`,
            `postgresql://USER@HOST/DATABASE`, `mysql://USER@HOST/DATABASE`; `null` for memory, gone with the process.
        trials: Trials of the whole study; those that it has already count. The search's own number where left out.
        workers: Processes on this machine.
        timeout: Seconds after which no trial begins.
        metric: The figure to optimise, such as `val/accuracy`; the one that checkpoints go by where left out.
        mode: `min` or `max`, needed for a metric of your choice.
        study: The study's name; that of the experiment and of the search where left out.
        settings: Settings of each trial.

    Raises:
        UserError: For a mistake in any of it, before a trial begins.
    """
    started = time.time()
    search, title = _read_search(hparams_search)
    _check_ranges(trials, workers, timeout, mode)
    if workers > 1 and storage is None:
        raise UserError(f"workers={workers}: several processes need a storage to share; storage=sqlite, or a URL")
    _check_disjoint(search, list(settings), title)
    trusted = _trusted(list(settings))
    with trusting(trusted):
        composed = _check_space(search, list(settings), title)
        first = composed[0]
        metric, mode = _objective(first, metric, mode)
        fingerprint = _check_metric(search, composed, metric, title)
    if study is None:
        study = re.sub(r"[^\w.-]+", "-", f"{first['name']}-{Path(title).stem}")
    if not re.fullmatch(r"\w[\w.-]*", study):
        raise UserError(f"study={study}: expected letters, digits, `_`, and after the first of them `-` and `.`")
    folder = Path(first["output_dir"], first["name"], study)
    from seqmodels import tuning

    plan = tuning.Plan(
        search=search,
        study=study,
        folder=folder,
        storage=f"sqlite:///{folder / 'study.db'}" if storage == "sqlite" else storage,
        trials=trials or (search.grid_size if search.sampler == "grid" else search.trials),
        workers=workers,
        deadline=None if timeout is None else started + timeout,
        metric=metric,
        mode=mode,
        seed=first["seed"],
        made_with=_made_with(search, list(settings), metric, mode, fingerprint),
        trusted=trusted,
        configure=functools.partial(_configure, list(settings), metric, mode),
        explain=explain,
    )
    return tuning.tune(plan)


def _read_search(name: str) -> tuple["Search", str]:
    """Finds a search by its name or its file.

    Returns:
        The search, and what it is called in messages.
    """
    from seqmodels.tuning import read_search

    if name in options("hparams_search"):
        title = f"hparams_search/{name}"
        return read_search(CONFIG_DIR / f"{title}.yaml", title), title
    if not name.endswith((".yaml", ".yml")):
        valid = ", ".join(options("hparams_search"))
        raise UserError(f"hparams_search={name}: unknown; choose one of {valid}, or a file of yours: my_search.yaml")
    if not Path(name).is_file():
        raise UserError(f"hparams_search={name}: no such file")
    return read_search(Path(name), name), name


def _check_ranges(trials: int | None, workers: int, timeout: float | None, mode: str | None) -> None:
    for key, value in (("trials", trials), ("workers", workers)):
        if value is not None and value < 1:
            raise UserError(f"{key}={value}: expected at least 1")
    if timeout is not None and timeout <= 0:
        raise UserError(f"timeout={timeout:g}: expected more than 0, or null")
    if mode not in (None, "min", "max"):
        raise UserError(f"mode={mode}: expected min or max")


def _check_disjoint(search: "Search", settings: list[str], title: str) -> None:
    for word in settings:
        if (key := word.partition("=")[0].lstrip("+~")) in {key.lstrip("+") for key in search.space}:
            raise UserError(f"{word}: {title} searches {key}; leave out one of the two")


def _trusted(settings: list[str]) -> list[str]:
    given = [word.partition("=")[2] for word in settings if word.startswith("trusted=")]
    return module_names(given[-1]) if given else []


def _check_space(search: "Search", settings: list[str], title: str) -> list[dict[str, Any]]:
    """Composes the configuration with each choice once, so that a mistyped key is told before any trial.

    Returns:
        The configurations of `search.samples()`.
    """
    composed = []
    for values in search.samples():
        with _told_with(title, values):
            composed.append(_compose(settings, values))
    return composed


@contextmanager
def _told_with(title: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Names the search before a mistake in what it searches."""
    try:
        yield
    except UserError as error:
        own = any(key.lstrip("+") in str(error) for key in values)
        raise UserError(f"{title}: {error}" if own else str(error)) from error


def _compose(settings: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Composes the configuration of a trial.

    Raises:
        UserError: In the place of whatever Hydra raises.
    """
    from omegaconf.errors import MissingMandatoryValue

    try:
        config = compose([*settings, *(f"{key}={_quoted(value)}" for key, value in values.items())])
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise UserError(f"{key}: required, give it on the command line: {key}=...") from error
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        raise UserError(line) from error
    make_absolute(config.get("data"))
    return config


def _quoted(value: Any) -> str:
    """Writes a value in Hydra's grammar, in which a backslash is one, but before a quotation mark.

    Text stays text: what would be replaced, as `${seed}`, is not.
    """
    if isinstance(value, str):
        value = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", value)
        return '"' + re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + match[2].replace('"', '\\"'), value) + '"'
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _configure(settings: list[str], metric: str, mode: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the configuration of a trial; its best checkpoint is the best by the study's metric."""
    config = _compose(settings, values)
    checkpoints = config["callbacks"].get("checkpoints")
    if isinstance(checkpoints, dict):
        checkpoints |= {"monitor": metric, "mode": mode}
    return config


def _objective(config: dict[str, Any], metric: str | None, mode: str | None) -> tuple[str, str]:
    """Returns the metric and whether less or more of it is better; without a word, those that checkpoints go by."""
    checkpoints = config["callbacks"].get("checkpoints") or {}
    usual = checkpoints.get("monitor", "val/loss"), checkpoints.get("mode", "min")
    known = dict([("val/loss", "min"), usual])
    metric = metric or usual[0]
    if mode is None and metric not in known:
        raise UserError(f"metric={metric}: say whether less or more of it is better: mode=min or mode=max")
    return metric, mode or known[metric]


def _check_metric(search: "Search", composed: list[dict[str, Any]], metric: str, title: str) -> str:
    """Reads the data and builds what a run is made of, so that what no trial could train or report is told before any.

    One of `search.samples()` that can be trained is enough: where a choice is at fault, its trials are passed over.

    Returns:
        What tells these data from others.
    """
    from seqmodels.tuning import reported

    mistakes: list[Exception] = []
    for values, config in zip(search.samples(), composed, strict=True):
        try:
            with _told_with(title, values):
                names, fingerprint = reported(config)
            if metric in names:
                return fingerprint
            valid = ", ".join(names) or "nothing, data.val_fraction is 0"
            raise UserError(f"metric={metric}: no validation reports it; valid: {valid}")
        except Exception as error:
            mistakes.append(error)
    raise mistakes[0]


def _made_with(search: "Search", settings: list[str], metric: str, mode: str, fingerprint: str) -> dict[str, Any]:
    """Lists what must be the same whenever and wherever a study goes on.

    Devices, folders and places of files may differ from machine to machine; the data are known by their fingerprint.
    """
    free = ("output_dir", "trusted", "trainer", "trainer.accelerator", "debug")
    kept = sorted(word for word in settings if (key := word.partition("=")[0]) not in free and not key.endswith("path"))
    space = {key: {"type": type(value).__name__.lower(), **asdict(value)} for key, value in search.space.items()}
    made_with = {"settings": kept, "space": space, "metric": metric, "mode": mode, "data": fingerprint}
    return json.loads(json.dumps(made_with))

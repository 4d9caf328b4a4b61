"""`seqmodels train [overrides]`: Hydra composes, `training.train` does the rest."""

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqmodels import processes, runs
from seqmodels.commands.composing import CONFIG_DIR, make_absolute, options, to_plain
from seqmodels.commands.jobs import Jobs
from seqmodels.commands.launching import JOB, launch, watch_launcher
from seqmodels.commands.showing import for_reader
from seqmodels.errors import UserError, escaped
from seqmodels.trust import module_names, trusting

if TYPE_CHECKING:
    from seqmodels.training import Outcome

# Hydra's flags that are of use here.
FLAGS_WITH_VALUE = ("-c", "--cfg", "-p", "--package")
FLAGS = (*FLAGS_WITH_VALUE, "-h", "--help", "--hydra-help", "-m", "--multirun", "--resolve")


def main(arguments: list[str]) -> None:
    """Trains one run, a sweep of them (`-m`), or goes on with one (`resume=`)."""
    flags = [word for word in arguments if word.startswith("-") and word.partition("=")[0] not in FLAGS]
    if flags:
        raise UserError(f"{flags[0]}: no such flag; settings are key=value, such as trainer.max_epochs=3")
    for key, equals, value in (word.partition("=") for word in arguments):
        if equals and value in ("", "null") and key not in ("experiment", "debug") and options(key):
            raise UserError(f"{key}={value}: required; choose one of {', '.join(options(key))}")
    sweeping = bool({"-m", "--multirun"} & set(arguments))
    if sweeping and processes.find_place() is not None:
        raise UserError("-m: torchrun and srun start one run; leave them out, trainer.devices=N starts those of a job")
    watch_launcher()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands failures on instead of printing them
    sys.argv = ["seqmodels train", *_flags_first(arguments)]
    jobs = Jobs(_run)
    try:
        _hand_to_hydra(jobs, arguments if sweeping else None)
        jobs.raise_failures()
    finally:
        jobs.forget()


def _hand_to_hydra(jobs: Jobs, swept: list[str] | None) -> None:
    try:
        if swept is not None:
            jobs.folder = _folder_of_outcomes([word for word in swept if "=" in word or word.startswith("~")])
        with jobs.stopped_together():
            hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="train")(jobs.run)()
    except ValueError as error:  # Hydra's word for a group override that it cannot use
        raise UserError(str(error)) from error
    except RuntimeError as error:
        if type(error).__name__ != "TerminatedWorkerError":  # joblib's
            raise
        raise UserError(jobs.after_kill()) from error


def _folder_of_outcomes(settings: list[str]) -> Path:
    """Names a folder beside the runs: wherever a launcher has the jobs run, they write there."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        composed = GlobalHydra.instance().config_loader().load_configuration("train", settings, RunMode.MULTIRUN)
    return Path(composed.hydra.sweep.dir, f".jobs-{secrets.token_hex(4)}").absolute()


def _flags_first(arguments: list[str]) -> list[str]:
    """Puts flags before the settings, behind which Hydra would not find them all."""
    flags: list[str] = []
    settings: list[str] = []
    words = iter(arguments)
    for word in words:
        (flags if word.startswith("-") else settings).append(word)
        if word in FLAGS_WITH_VALUE:
            flags += [value for value in (next(words, None),) if value is not None]
    return [*flags, *settings]


def _run(composed: DictConfig) -> None:
    """Runs one job."""
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise UserError(f"{missing[0]}: required, give it on the command line: {missing[0]}=...")
    plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    config = to_plain(plain)
    make_absolute(config.get("data"))
    with trusting(module_names(plain["trusted"])):
        if plain["plan"]:
            _plan(config, plain["resume"])
            return
        outcome = _train(config, plain["resume"])
    if outcome is not None and outcome.results:  # of several processes the first has them
        _show(outcome.results, outcome.samples, outcome.run)


def _train(config: dict[str, Any], resume: Any) -> "Outcome | None":
    """Starts a run, or goes on with one; `None` where others have been started for it."""
    from seqmodels.resuming import resumed_config
    from seqmodels.training import train

    settings = HydraConfig.get()
    overrides = [override for override in settings.overrides.task if not override.startswith("trusted=")]
    if resume is not None:
        saved = runs.read_config(runs.find_run(str(resume), "resume", to_resume=True)[0])
        config = resumed_config(saved, config, overrides)
    sweeping = settings.mode == RunMode.MULTIRUN
    job = settings.job.num if sweeping else None
    if (count := _processes_to_start(config)) > 1:
        _launch(count, list(settings.overrides.task), job, sweeping)
        return None
    if resume is None:
        return train(config, job=int(os.environ[JOB]) if JOB in os.environ else job)
    return train(config, resumed=runs.load_run(str(resume), key="resume", to_resume=True))


def _processes_to_start(config: dict[str, Any]) -> int:
    """Returns how many processes are to be started for a run; 1 where this one will do."""
    if not isinstance(config.get("trainer"), dict) or config["trainer"].get("devices") in (None, 1):
        return 1
    from seqmodels.trainers import processes_to_start, read_settings

    return processes_to_start(read_settings(config["trainer"]))


def _launch(count: int, overrides: list[str], job: int | None, sweeping: bool) -> None:
    """Runs one job by several processes, which have said themselves what went wrong."""
    code = launch(count, overrides, job)
    if code in (1, 2) and sweeping:
        raise UserError("its processes have failed")
    if code:
        raise SystemExit(code)


def _plan(config: dict[str, Any], resume: Any) -> None:
    """Prints what a run would take."""
    from seqmodels.planning import plan

    if resume is not None:
        raise UserError(f"debug=plan: plans runs that are new; leave out resume={resume}")
    if (count := _processes_to_start(config)) > 1:
        config = {**config, "trainer": {**config["trainer"], "devices": 1}}
    print(plan(config).text())
    if count > 1:
        print(f"{'processes':<12} 1 in this plan; {count} share each batch of the run, whose time and memory differ")


def _show(results: dict[str, Any], samples: list[str], run: Path) -> None:
    """Prints what a finished run has to show."""
    for number, sample in enumerate(samples, 1):
        print(f"--- sample {number} ---\n{for_reader(sample)}\n")
    print_results(results)
    print(f"run          {runs.shown(run)}")
    print(f"tensorboard  tensorboard --logdir {runs.shown(run.parent.parent)}")


def print_results(results: dict[str, Any]) -> None:
    """Prints the figures of each part of the data, a line a part."""
    names = {"train": "training", "val": "validation", "test": "test"}
    for split, title in names.items():
        figures = {name.partition("/")[2]: value for name, value in results.items() if name.startswith(f"{split}/")}
        if figures:
            print(f"{title:<12} " + "  ".join(f"{escaped(name)} {value:.6g}" for name, value in figures.items()))

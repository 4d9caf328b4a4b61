"""`seqmodels train [overrides]`: Hydra composes, `training.train` does the rest."""

import os
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqmodels import runs
from seqmodels.commands.composing import CONFIG_DIR, to_plain
from seqmodels.errors import UserError


def main(arguments: list[str]) -> None:
    """Trains one run, a sweep of them (`-m`), or goes on with one (`resume=`)."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands failures on instead of printing them
    sys.argv = ["seqmodels train", *arguments]
    failures: list[Exception] = []

    def job(composed: DictConfig) -> None:
        try:
            _run(composed)
        except Exception as error:  # kept, so that the rest of a sweep runs; Hydra would print lines of its own
            failures.append(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                overrides = " ".join(HydraConfig.get().overrides.task)
                print(f"seqmodels: job {HydraConfig.get().job.num} ({overrides}) failed: {error}", file=sys.stderr)

    hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="train")(job)()
    if failures:
        raise failures[0]


def _run(composed: DictConfig) -> None:
    """Runs one job."""
    from seqmodels.training import resumed_config, train

    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise UserError(f"{missing[0]}: required, give it on the command line: {missing[0]}=...")
    config = to_plain(OmegaConf.to_container(composed, resolve=True))
    settings = HydraConfig.get()
    if composed.resume is not None:
        resumed = runs.load_run(str(composed.resume), key="resume", to_resume=True)
        outcome = train(resumed_config(resumed.config, config, list(settings.overrides.task)), resumed=resumed)
    else:
        outcome = train(config, job=settings.job.num if settings.mode == RunMode.MULTIRUN else None)
    _show(outcome.results, outcome.samples, outcome.run, config["output_dir"])


def _show(results: dict[str, Any], samples: list[str], run: Path, output_dir: str) -> None:
    """Prints what a finished run has to show."""
    for number, sample in enumerate(samples, 1):
        print(f"--- sample {number} ---\n{sample}\n")
    print_results(results)
    print(f"run          {runs.shown(run)}")
    print(f"tensorboard  tensorboard --logdir {output_dir}")


def print_results(results: dict[str, Any]) -> None:
    """Prints the figures of each part of the data, a line a part."""
    names = {"train": "training", "val": "validation", "test": "test"}
    for split, title in names.items():
        figures = {name.partition("/")[2]: value for name, value in results.items() if name.startswith(f"{split}/")}
        if figures:
            print(f"{title:<12} " + "  ".join(f"{name} {value:.6g}" for name, value in figures.items()))

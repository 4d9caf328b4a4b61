"""`seqmodels evaluate run=RUN [split=test] [data.KEY=...]`: figures of a trained run."""

from typing import Any, Literal

import yaml

from seqmodels.commands.arguments import parse, print_help


def main(arguments: list[str]) -> None:
    """Parses the keys, measures, prints."""
    if {"-h", "--help"} & set(arguments):
        return print_help(evaluate, "evaluate")
    data = {
        key: value for key, _, value in (argument.partition("=") for argument in arguments) if key.startswith("data.")
    }
    rest = [argument for argument in arguments if not argument.startswith("data.")]
    overrides = {key.removeprefix("data."): yaml.safe_load(value) for key, value in data.items()}
    from seqmodels.commands.train import print_results

    print_results(evaluate(**parse(evaluate, rest), data_overrides=overrides))


def evaluate(
    run: str = "latest",
    split: Literal["train", "val", "test"] = "test",
    accelerator: Literal["cpu", "gpu", "auto"] = "auto",
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32",
    data_overrides: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Measures a trained run; keys `data.*` change its data, for example `data.path=other.txt`.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        split: The part of the data.
        accelerator: The device.
        precision: The precision.
        data_overrides: The keys under `data`.

    Raises:
        UserError: Where the run or the data cannot be read, or have no such part.
    """
    from seqmodels import evaluation
    from seqmodels.runs import load_run
    from seqmodels.trainers import TrainerSettings

    settings = TrainerSettings(accelerator=accelerator, devices=1, precision=precision, max_epochs=1)
    return evaluation.evaluate(load_run(run), split, data_overrides or {}, settings)

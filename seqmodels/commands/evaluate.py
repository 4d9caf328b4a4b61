"""`seqmodels evaluate run=RUN [split=test] [data.KEY=...]`: figures of a trained run."""

from dataclasses import dataclass
from typing import Literal

from seqmodels.commands.arguments import parse, print_help, split_data_keys
from seqmodels.commands.searching import SearchKeys, read_search


def main(arguments: list[str]) -> None:
    """Parses the keys, measures, prints."""
    if {"-h", "--help"} & set(arguments):
        return print_help(Evaluation, "evaluate")
    rest, overrides = split_data_keys(arguments)
    from seqmodels import evaluation
    from seqmodels.commands.train import print_results
    from seqmodels.runs import load_run
    from seqmodels.trainers import TrainerSettings
    from seqmodels.trust import module_names, trusting

    chosen = Evaluation(**parse(Evaluation, rest))
    settings = TrainerSettings(accelerator=chosen.accelerator, precision=chosen.precision, max_epochs=1)
    search = read_search(chosen)
    with trusting(module_names(chosen.trusted)):
        print_results(evaluation.evaluate(load_run(chosen.run), chosen.split, overrides, settings, search))


@dataclass(frozen=True)
class Evaluation(SearchKeys):
    """Measures a trained run; keys `data.*` change its data, for example `data.path=other.txt`.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        split: The part of the data; where left out the test part, or of another `data.path` the test part that it
            names, or all of it where it names no parts.
        accelerator: The device.
        precision: The precision.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.
    """

    run: str = "latest"
    split: Literal["train", "val", "test"] | None = None
    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    trusted: str = ""

"""`seqmodels predict run=RUN input=FILE output=FILE`: predictions for a file, in its order."""

import sys
from dataclasses import dataclass
from typing import Literal

from seqmodels.commands.arguments import parse, print_help, split_data_keys
from seqmodels.commands.searching import read_search
from seqmodels.errors import UserError


def main(arguments: list[str]) -> None:
    """Parses the keys, predicts, and says what could not be read."""
    if {"-h", "--help"} & set(arguments):
        return print_help(Prediction, "predict")
    rest, overrides = split_data_keys(arguments)
    chosen = Prediction(**parse(Prediction, rest))
    for key in ("input", "output"):
        if not getattr(chosen, key):
            raise UserError(f"{key}: required, give it on the command line: {key}=FILE")
    if chosen.batch_size < 1:
        raise UserError(f"batch_size={chosen.batch_size}: expected at least 1")
    search = read_search(chosen)
    from seqmodels import prediction
    from seqmodels.runs import load_run
    from seqmodels.trainers import find_device
    from seqmodels.trust import module_names, trusting

    prediction.check_output(chosen.output)
    device = find_device(chosen.accelerator)
    with trusting(module_names(chosen.trusted)):
        rows = prediction.predict(load_run(chosen.run), chosen.input, overrides, chosen.batch_size, device, search)
        count, problems = prediction.write_rows(rows, chosen.output)
    for problem in problems:
        print(f"seqmodels: {problem['problem']}", file=sys.stderr)
    unread = f", {len(problems)} that could not be read" if problems else ""
    if problems and not count:
        raise UserError(f"input={chosen.input}: nothing of it could be predicted; {chosen.output} has the problems")
    print(f"{chosen.output}: {count} predictions{unread}")


@dataclass(frozen=True)
class Prediction:
    """Predicts something of every row of a file; keys `data.*` change how it is read, such as `data.text_column=body`.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        input: The file, in the format of the run's data; it need not tell what is predicted.
        output: The file to write: `.csv` or `.tsv` with a column for each probability, or `.jsonl`.
        batch_size: Rows that are predicted at once.
        accelerator: The device.
        beam_size: Where texts are written: searches for the likeliest with so many hypotheses at once; gives scores.
        length_penalty: Of a search: above 0 makes up for what long texts lose by their length; 1 is nearly the mean.
        coverage_penalty: Of a search: above 0 asks attention to look at all of the source.
        n_best: Of a search: how many texts each row is given, with their ranks.
        beam_groups: Of a search: parts of the beam that look for different texts.
        diversity: Of groups: what a token loses for each earlier group that took it in the same step.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.
    """

    run: str = "latest"
    input: str = ""
    output: str = ""
    batch_size: int = 64
    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    beam_size: int | None = None
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    n_best: int = 1
    beam_groups: int = 1
    diversity: float = 0.0
    trusted: str = ""

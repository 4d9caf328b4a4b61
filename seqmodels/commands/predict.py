"""`seqmodels predict run=RUN input=FILE output=FILE`: predictions for a file, in its order."""

import sys
from dataclasses import dataclass
from typing import Literal

from seqmodels.commands.arguments import parse, print_help, split_data_keys
from seqmodels.commands.searching import WritingKeys, read_writing
from seqmodels.errors import UserError, one_line


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
    writing = read_writing(chosen, chosen.length)
    from seqmodels import prediction
    from seqmodels.runs import load_run
    from seqmodels.trainers import find_device
    from seqmodels.trust import module_names, trusting

    prediction.check_output(chosen.output)
    device = find_device(chosen.accelerator)
    with trusting(module_names(chosen.trusted)):
        rows = prediction.predict(load_run(chosen.run), chosen.input, overrides, chosen.batch_size, device, writing)
        count, problems = prediction.write_rows(rows, chosen.output)
    for problem in problems:
        print(f"seqmodels: {one_line(problem['problem'])}", file=sys.stderr)
    unread = f", {len(problems)} that could not be read" if problems else ""
    if problems and not count:
        raise UserError(f"input={chosen.input}: nothing of it could be predicted; {chosen.output} has the problems")
    print(f"{chosen.output}: {count} predictions{unread}")


@dataclass(frozen=True)
class Prediction(WritingKeys):
    """Predicts something of every row of a file; keys `data.*` change how it is read, such as `data.text_column=body`.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        input: The file, in the format of the run's data; it need not tell what is predicted.
        output: The file to write: `.csv` or `.tsv` with a column for each probability, or `.jsonl`.
        batch_size: Rows that are predicted at once.
        accelerator: The device.
        length: Where texts are written: tokens of one at most; no more than twice the longest target of training.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.
    """

    run: str = "latest"
    input: str = ""
    output: str = ""
    batch_size: int = 64
    accelerator: Literal["cpu", "gpu", "auto"] = "auto"
    length: int | None = None
    trusted: str = ""

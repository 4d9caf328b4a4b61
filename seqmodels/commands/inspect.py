"""`seqmodels inspect run=RUN [views=...] [input=FILE]`: a look inside a trained run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqmodels.commands.arguments import parse, print_help, split_data_keys


def main(arguments: list[str]) -> None:
    """Parses the keys, looks, says where the page is."""
    if {"-h", "--help"} & set(arguments):
        return print_help(Inspection, "inspect")
    rest, overrides = split_data_keys(arguments)
    chosen = Inspection(**parse(Inspection, rest))
    from seqmodels import inspection
    from seqmodels.runs import load_run, shown
    from seqmodels.trainers import find_device
    from seqmodels.trust import module_names, trusting

    look = inspection.Look(chosen.input, chosen.split, chosen.examples, chosen.steps, overrides)
    device = find_device(chosen.accelerator)
    with trusting(module_names(chosen.trusted)):
        views = inspection.choose_views(chosen.views, chosen.features)
        run = load_run(chosen.run)
        folder = Path(chosen.output).expanduser() if chosen.output else run.path / inspection.FOLDER
        page = inspection.inspect(run, look, views, chosen.views is not None, folder, device)
    print(shown(page.resolve()))


@dataclass(frozen=True)
class Inspection:
    """Looks inside a trained run: writes a page that opens in any browser, its pictures and its numbers.

    Keys `data.*` change how the input is read, such as `data.text_column=body`.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        views: Which views, with commas between them; where left out all that fit.
        input: A file to look at the model with, in the format of the run's data; where left out a part of its own.
        split: That part; where left out the test part.
        examples: How many sequences are looked at, at most.
        steps: How many steps they have together, about; of a stream of text, how many tokens.
        features: Functions of yours that units are held against too, with commas between them: `my_module.my_feature`
            takes a text and returns a value for each character, true or false or a number; give trusted=my_module too.
        output: The folder of the page; where left out `inspection` in the run directory.
        accelerator: The device.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.
    """

    run: str = "latest"
    views: str | None = None
    input: str | None = None
    split: Literal["train", "val", "test"] | None = None
    examples: int = 100
    steps: int = 10_000
    features: str = ""
    output: str | None = None
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    trusted: str = ""

"""`seqmodels export run=RUN output=FOLDER [format=safetensors]`: a run's model as files for others."""

from dataclasses import dataclass
from pathlib import Path

from seqmodels.commands.arguments import parse, print_help
from seqmodels.errors import UserError


def main(arguments: list[str]) -> None:
    """Parses the keys, writes the files, says where they are."""
    if {"-h", "--help"} & set(arguments):
        return print_help(Export, "export")
    chosen = Export(**parse(Export, arguments))
    from seqmodels.exports import check_format, write_export
    from seqmodels.runs import load_run
    from seqmodels.trust import module_names, trusting

    check_format(chosen.format)
    if not chosen.output:
        raise UserError("output: required, give it on the command line: output=FOLDER")
    folder = Path(chosen.output).expanduser()
    with trusting(module_names(chosen.trusted)):
        run = load_run(chosen.run)
    write_export(folder, run.config, run.spec, run.checkpoint, chosen.format)
    print(f"{folder}: {len(run.checkpoint['state_dict'])} tensors; seqmodels evaluate run={folder}")


@dataclass(frozen=True)
class Export:
    """Writes a run's weights, configuration and spec for others, a folder that other commands take as a run.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        output: The folder to write, which must not have such files yet.
        format: `safetensors`: the weights in a file that holds numbers alone, the rest as JSON.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.
    """

    run: str = "latest"
    output: str = ""
    format: str = "safetensors"
    trusted: str = ""

"""`seqmodels benchmark [key=value ...]`: speed and memory beside torch.nn, as a table and as JSON."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqmodels.commands.arguments import parse, print_help
from seqmodels.errors import UserError

if TYPE_CHECKING:
    from seqmodels.benchmarks import Settings


def main(arguments: list[str]) -> None:
    """Parses the keys, measures, prints the table, writes the JSON."""
    if {"-h", "--help"} & set(arguments):
        return print_help(benchmark, "benchmark")
    values = parse(benchmark, arguments)
    try:
        print(benchmark(**values))
    except RuntimeError as error:
        from seqmodels.benchmarks import Disagreement

        if not isinstance(error, Disagreement):
            raise
        print(f"seqmodels: {error}; this is a fault of the program, not of yours", file=sys.stderr)
        raise SystemExit(2) from error


def benchmark(
    cells: str | None = None,
    shapes: str | None = None,
    rounds: int = 10,
    threads: int | None = None,
    backend: str = "auto",
    memory: bool = True,
    output: str = "outputs/benchmark.json",
) -> str:
    """Measures our layers beside torch's on the CPU, in float32, after checking that both compute the same.

    Args:
        cells: What to measure, such as `lstm,gru`; everything where left out.
        shapes: Sizes BxTxIxH[+Nlayers][+bidirectional][+lengths], such as `32x64x128x128,1x100x128x128+2layers`.
        rounds: The least number of rounds, of which the fastest counts.
        threads: Threads of torch; its own number where left out.
        backend: The kernel of our layers; `auto` takes the fastest that fits.
        memory: Whether peak memory is measured too.
        output: Where the JSON goes.

    Raises:
        UserError: For a value out of range or an unknown name.
    """
    from seqmodels.benchmarks import as_json, measure, table

    settings, target = _settings(cells, shapes, rounds, threads, backend, memory), Path(output)
    results = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8"):
            pass  # found out now rather than after minutes of measuring
        for result in measure(settings):
            print(f"{result.shape}  {result.title}, {result.mode}: {result.ratio:.2f}", file=sys.stderr)
            results.append(result)
        target.write_text(json.dumps(as_json(results, settings), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"output={output}: cannot be written: {error.strerror}") from error
    except ValueError as error:  # a kernel that a cell does not fit
        raise UserError(f"backend={backend}: {str(error).removeprefix('backend: ')}") from error
    return table(results)


def _settings(
    cells: str | None, shapes: str | None, rounds: int, threads: int | None, backend: str, memory: bool
) -> "Settings":
    """Turns the keys into settings, and refuses what is out of range."""
    from seqmodels.benchmarks import CONTENDERS, STEPWISE, Settings, Shape
    from seqmodels.nn import backends

    for name, count in {"rounds": rounds, "threads": threads}.items():
        if count is not None and count < 1:
            raise UserError(f"{name}={count}: expected at least 1")
    if backend not in ("auto", *backends()):
        raise UserError(f"backend={backend}: expected one of auto, {', '.join(backends())}")
    chosen: dict[str, Any] = {}
    if cells is not None:
        valid = (*CONTENDERS, STEPWISE)
        chosen["cells"] = tuple(cells.split(","))
        for cell in chosen["cells"]:
            if cell not in valid:
                raise UserError(f"cells={cell}: expected some of {', '.join(valid)}")
    if shapes is not None:
        try:
            chosen["shapes"] = tuple(Shape.parse(shape) for shape in shapes.split(","))
        except ValueError as error:
            raise UserError(f"shapes={error}") from error
    if threads is not None:
        chosen["threads"] = threads
    return Settings(rounds=rounds, backend=backend, memory=memory, **chosen)

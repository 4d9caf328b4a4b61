"""Custom cells against torch's own: the same training from one command line that differs in `cell=` alone.

    python scripts/compare_twins.py [--seeds 3] [--steps 500] [--output docs/twins.json]

Prints a Markdown table of validation losses, mean and spread over seeds.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from seqmodels.commands.composing import compose
from seqmodels.training import train

TWINS = {"elman": "native_rnn", "lstm": "native_lstm", "gru": "native_gru"}


def losses(cell: str, seeds: int, steps: int) -> list[float]:
    """Trains once a seed; returns the validation losses in nats a character."""
    with tempfile.TemporaryDirectory() as folder:
        common = [
            f"cell={cell}",
            "model.hidden_size=128",
            "trainer=cpu",
            f"output_dir={folder}",
            "callbacks.samples=null",
        ]
        length = ["trainer.max_epochs=null", f"trainer.max_steps={steps}"]
        runs = [train(compose([*common, *length, f"seed={seed}"])) for seed in range(1, seeds + 1)]
        return [run.results["val/loss"] for run in runs]


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found = {cell: losses(cell, arguments.seeds, arguments.steps) for pair in TWINS.items() for cell in pair}
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    print("| custom | validation loss | native | validation loss | largest difference, same seed |")
    print("|---|---|---|---|---|")
    for custom, native in TWINS.items():
        cells = []
        for name in (custom, native):
            cells.append(f"`{name}` | {statistics.mean(found[name]):.4f} ± {statistics.stdev(found[name]):.4f}")
        difference = max(abs(a - b) for a, b in zip(found[custom], found[native], strict=True))
        print(f"| {cells[0]} | {cells[1]} | {difference:.4f} |")


if __name__ == "__main__":
    main()

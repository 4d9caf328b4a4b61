"""Trains one task under several schedules of teacher forcing; exact match and exposure gap go to docs/results.md.

    python scripts/compare_schedules.py data.problem.digits=2 [--experiment decimal_addition] [--epochs 8] [--seeds 3]

Words without dashes are further settings of the runs.

The model runs freely where it is measured; the exposure gap is its loss so, less that under teacher forcing, in nats a
token.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

BEGIN, END = "<!-- schedules: begin -->", "<!-- schedules: end -->"
SCHEDULES = {
    "constant 1.0": ["teacher_forcing=constant", "teacher_forcing.value=1.0"],
    "constant 0.5": ["teacher_forcing=constant", "teacher_forcing.value=0.5"],
    "constant 0.0": ["teacher_forcing=constant", "teacher_forcing.value=0.0"],
    "linear": ["teacher_forcing=linear"],
    "exponential": ["teacher_forcing=exponential"],
    "inverse sigmoid": ["teacher_forcing=inverse_sigmoid"],
}


def run(settings: list[str], job: tuple[str, int]) -> tuple[str, dict[str, float]]:
    """Trains once, in a process with one thread; returns the schedule's name and the final figures."""
    name, seed = job
    with tempfile.TemporaryDirectory() as folder:
        words = [*settings, f"seed={seed}", f"output_dir={folder}"]
        command = [sys.executable, "-m", "seqmodels", "train", *words, *SCHEDULES[name]]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
        (results,) = Path(folder).rglob("results.json")
        return name, json.loads(results.read_text())


def row(name: str, found: list[dict[str, float]]) -> str:
    """Returns a line of the table: means, and the spread of exact match."""
    exact = [result["test/exact_match"] for result in found]
    gap, forced, seconds = (
        statistics.mean(result[key] for result in found) for key in ("test/exposure_gap", "test/loss", "train/seconds")
    )
    spread = f"{min(exact):.3f} to {max(exact):.3f}"
    return f"| {name} | {statistics.mean(exact):.4f} ({spread}) | {gap:.4f} | {forced:.4f} | {seconds:.0f} s |"


def main() -> None:
    """Trains, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="decimal_addition")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path, default=Path("docs/results.md"))
    arguments = parser.parse_args()
    settings = [f"experiment={arguments.experiment}", f"trainer.max_epochs={arguments.epochs}", *arguments.overrides]
    jobs = [(name, seed) for name in SCHEDULES for seed in range(1, arguments.seeds + 1)]
    with ThreadPoolExecutor(arguments.workers) as pool:
        found = list(pool.map(partial(run, settings), jobs))
    lines = [row(name, [result for other, result in found if other == name]) for name in SCHEDULES]
    names = ["`teacher_forcing=`", "exact match, free running", "exposure gap", "loss, forced", "training"]
    head = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    told = f"`{' '.join(settings)}`, test part, seeds 1 to {arguments.seeds}, measured {date.today()}."
    table = "\n".join([told, "", *head, *lines])
    print(table)
    page = arguments.output.read_text()
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    arguments.output.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()

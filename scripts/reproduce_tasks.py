"""Trains every task of docs/results.md by its experiment and writes the table there.

    python scripts/reproduce_tasks.py DATA [NAME ...] [--output docs/results.md]

DATA is a folder with the files that some rows ask for (`names18/`, `ucr/`, `irish.abc`, ...); a row that fails is
told and left as it stands in the table. NAMEs choose rows. Each run is a process of its own, one after the other.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- tasks: begin -->", "<!-- tasks: end -->"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        experiment: Its name.
        metric: The figure that is asked for.
        target: What it is to reach, such as ">= 0.99".
        seconds: How long training may take.
        beside: Figures that are shown with it.
        overrides: Of the command line; `DATA` stands for the folder of files.
        seeds: How many runs the figure is the mean of.
    """

    experiment: str
    metric: str
    target: str
    seconds: int
    beside: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    seeds: int = 1

    @property
    def name(self) -> str:
        """The command line that the row stands for."""
        return " ".join([f"experiment={self.experiment}", *self.overrides])


TRANSLATED, SPOKEN = "data.path=DATA/multi30k", "data.path=DATA/spoken_digits"
ROWS = [
    Row("sentiment", "test/accuracy", ">= 0.99", 60, ["test/bag_of_words_accuracy"]),
    Row("digits_rows", "test/accuracy", ">= 0.97", 60, ["test/macro_f1"]),
    Row(
        "japanese_vowels",
        "test/accuracy",
        ">= 0.95",
        120,
        ["test/macro_f1"],
        ["data.path=DATA/ucr/JapaneseVowels_TRAIN.ts"],
        seeds=3,
    ),
    Row(
        "basic_motions",
        "test/accuracy",
        ">= 0.95",
        60,
        ["test/macro_f1"],
        ["data.path=DATA/ucr/BasicMotions_TRAIN.ts"],
        seeds=3,
    ),
    Row("names", "test/accuracy", ">= 0.80", 180, ["test/macro_f1"], ["data.path=DATA/names18"]),
    Row("adding", "test/mse", "<= 0.005", 300, ["test/mse_constant"], ["cell=lstm"]),
    Row("adding", "test/mse", "<= 0.005", 300, ["test/mse_constant"], ["cell=gru"]),
    Row("parity", "test/exact_match", ">= 0.99", 120),
    Row("binary_addition", "test/exact_match", ">= 0.99", 120),
    Row("digit_captions", "test/exact_match", ">= 0.95", 300, ["test/bleu", "test/word_accuracy"]),
    Row("moving_digits", "test/direction_accuracy_from_frame_2", ">= 0.99", 300),
    Row(
        "sunspots",
        "test/mase",
        "below both",
        120,
        ["test/mase_last_value", "test/mase_seasonal_naive"],
        ["data.path=DATA/series/monthly-sunspots.csv"],
    ),
    Row("chorales", "test/nll", "<= 8.6", 600, [], ["data.path=DATA/JSB_Chorales.mat"]),
    Row("partut", "test/accuracy", ">= 0.88", 300, [], ["data.path=DATA/ud_en_partut"]),
    Row("tunes", "test/parses", ">= 0.90", 300, ["test/bits_per_character"], ["data.path=DATA/irish.abc"]),
    Row("reversal", "test/exact_match", ">= 0.99", 180, ["test/exposure_gap"]),
    Row("dates", "test/exact_match", ">= 0.99", 300, ["test/exposure_gap"]),
    Row("dates", "test/exact_match", "", 300, ["test/exposure_gap"], ["attention=none"]),
    Row("decimal_addition", "test/exact_match", ">= 0.99", 600, ["test/exposure_gap"]),
    Row("translation", "val/bleu", ">= 25", 3600, ["val/chrf", "val/perplexity"], [TRANSLATED]),
    Row("translation", "val/bleu", "5 less", 3600, ["val/chrf", "val/perplexity"], [TRANSLATED, "attention=none"]),
    *(
        Row(name, "test/wer", "", 600, ["test/exact_match"], [SPOKEN, f"data.test_speaker={speaker}"])
        for speaker in ("george", "jackson")
        for name in ("spoken_digits_ctc", "spoken_digits")
    ),
]


def run(row: Row, data: Path, seed: int) -> dict[str, Any]:
    """Trains once and returns what `results.json` has, with the seconds of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [word.replace("DATA", str(data.resolve())) for word in row.overrides]
        words = ["train", f"experiment={row.experiment}", *overrides, f"output_dir={folder}", f"seed={seed}"]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "seqmodels", *words], check=True, stdout=subprocess.DEVNULL)
        (results,) = Path(folder).rglob("results.json")
        return {**json.loads(results.read_text()), "command/seconds": time.perf_counter() - began}


def line(row: Row, found: list[dict[str, Any]]) -> str:
    """Returns the row of the table."""

    def mean(name: str) -> str:
        return f"{statistics.mean(result[name] for result in found):.4g}"

    figure = mean(row.metric)
    if row.seeds > 1:
        figure += f" (mean of {', '.join(f'{result[row.metric]:.4g}' for result in found)})"
    beside = ", ".join(f"{name.partition('/')[2]} {mean(name)}" for name in row.beside)
    training, whole = (max(result[name] for result in found) for name in ("train/seconds", "command/seconds"))
    return (
        f"| `{row.name}` | {row.metric.removeprefix('test/')} {figure} | {row.target} | {beside} | {training:.0f} s | "
        f"{whole:.0f} s | {row.seconds} s |"
    )


def main() -> None:
    """Trains, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--output", type=Path, default=Path("docs/results.md"))
    arguments = parser.parse_args()
    page = arguments.output.read_text()
    written = page.partition(BEGIN)[2].partition(END)[0]
    lines = {name: text for text, name in re.findall(r"^(\| `([^`]+)`.*)$", written, re.MULTILINE)}
    for row in ROWS:
        if arguments.names and row.experiment not in arguments.names:
            continue
        try:
            found = [run(row, arguments.data, seed) for seed in range(1, row.seeds + 1)]
        except subprocess.CalledProcessError:
            print(f"{row.name}: failed", file=sys.stderr)
            continue
        lines[row.name] = line(row, found)
        print(lines[row.name], flush=True)
    head = "| command: `seqmodels train ...` | test part, or val | to reach | beside | training | command | within |\n"
    table = head + "|---|---|---|---|---|---|---|\n" + "\n".join(lines[row.name] for row in ROWS if row.name in lines)
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    arguments.output.write_text(f"{before}{BEGIN}\n\nMeasured {date.today()}.\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()

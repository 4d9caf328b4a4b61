"""Greedy decoding against beam search on a part of a trained run's data: BLEU, and tokens written a second.

    python scripts/compare_decoding.py RUN [--split val] [--beams 1 5] [--length-penalty 1.0] [--length N] [--json FILE]

A beam of 1 is greedy. All figures of one beam are what `seqmodels evaluate beam_size=` reports.
References are the texts as they stand in the user's file; BLEU takes tokens as spaces part them.
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch

from seqmodels.building import build
from seqmodels.data import DataModule
from seqmodels.runs import Run, load_model, load_run
from seqmodels.tasks import Hypotheses
from seqmodels.tasks.language_modelling import longest_target


def compare(run: Run, split: str, beams: list[int], length_penalty: float, longest: int) -> list[dict[str, Any]]:
    """Returns a row for each beam."""
    data: DataModule = build(run.config["data"], "data", spec=run.spec)
    data.setup("validate")
    windows = list(data.evaluation_dataloader(split))
    model, rows = load_model(run).eval(), []
    for beam in beams:
        penalty = length_penalty if beam > 1 else 0.0
        measure = Hypotheses(model, run.spec, longest, "none", beam_size=beam, length_penalty=penalty)
        begin = time.perf_counter()
        for window in windows:
            measure.update({}, window)
        seconds = time.perf_counter() - begin
        tokens = sum(len(measure.tokenizer.encode(text)) + 1 for text in measure.hypotheses)
        rows.append(
            {
                "beam": beam,
                "length_penalty": penalty,
                "bleu": round(measure.compute()["bleu"], 2),
                "tokens_per_second": round(tokens / seconds),
                "seconds": round(seconds, 1),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    print(measure.signatures()["bleu"])
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--split", default="val")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--length", type=int, help="tokens of a text at most; what the run's data say where left out")
    parser.add_argument("--length-penalty", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    run = load_run(arguments.run)
    longest = arguments.length or longest_target(run.spec)
    rows = compare(run, arguments.split, arguments.beams, arguments.length_penalty, longest)
    if arguments.json:
        told = {"rows": rows, "threads": torch.get_num_threads(), "torch": torch.__version__}
        arguments.json.write_text(json.dumps({**told, "date": date.today().isoformat()}, indent=1) + "\n")


if __name__ == "__main__":
    main()

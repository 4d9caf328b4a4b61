"""What a run directory says of a training, and commands as a user types them."""

import csv
import json
import sys

import torch

from seqmodels import runs


def command(*arguments):
    return [sys.executable, "-m", "seqmodels", *map(str, arguments)]


def the_run(folder):
    """Returns the only run of an output folder."""
    (run,) = folder.glob("*/2*")
    return run


def reported(folder, word="loss"):
    """Returns all figures of that name in the `metrics.csv` of the only run of an output folder, step by step."""
    with (the_run(folder) / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(row[name]) for row in rows for name in row if word in name and row[name]]


def results(folder):
    """Returns the final figures of the only run, but for how long it took."""
    found = json.loads((the_run(folder) / "results.json").read_text())
    return {name: value for name, value in found.items() if "second" not in name and value == value}


def final_state(folder):
    """Returns what the last checkpoint of the only run holds."""
    return runs.load_checkpoint(the_run(folder) / "checkpoints" / "last.ckpt")


def assert_close(left, right, tolerance=1e-5):
    """Holds tensors, and what is made of them, against each other; with a tolerance of 0 to the bit."""
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)

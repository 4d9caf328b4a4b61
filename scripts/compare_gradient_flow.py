"""Draws how the gradient flows back through Elman, LSTM and GRU, before and after training: docs/gradient_flow.png.

    python scripts/compare_gradient_flow.py [RUN ...] [--updates 500] [--output docs/gradient_flow.png]

Without runs it trains the three as character language models of Python source, over windows of 200 steps.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure

from seqmodels import runs
from seqmodels.analysis import lag_profile
from seqmodels.inspection import Look, make_subject
from seqmodels.views import Subject
from seqmodels.views.gradient_flow import Flow, draw_profile, measure_flow

CELLS = ("elman", "lstm", "gru")
STEPS, WINDOWS = 200, 5
SETTINGS = ("trainer=cpu", f"tbptt.k1={STEPS}", f"tbptt.k2={STEPS}", "model.hidden_size=128", "callbacks.samples=null")


def train(cell: str, updates: int, folder: Path) -> Path:
    """Trains a language model in a process of its own; returns the run."""
    words = [*SETTINGS, f"cell={cell}", f"trainer.max_steps={updates}", f"output_dir={folder / cell}"]
    subprocess.run([sys.executable, "-m", "seqmodels", "train", *words], check=True, env={**os.environ})
    return folder / cell / "latest"


def top_layer(subject: Subject, model: torch.nn.Module) -> list[Flow]:
    """Measures the gradient at the states of the last layer, over several windows."""
    measured = []
    for number in range(WINDOWS):
        window = subject.window(0)
        part = slice(number * STEPS, (number + 1) * STEPS)
        window = window._replace(inputs=window.inputs[:, part], targets=window.targets[:, part], handoff=STEPS)
        window = window._replace(lengths=torch.full_like(window.lengths, STEPS))
        flows = measure_flow(subject, model, window, STEPS)
        measured.append([flow for flow in flows if flow.name == flows[-1].name])
    joined = []
    for same in zip(*measured, strict=True):
        norms, places = torch.cat([flow.norms for flow in same]), torch.cat([flow.places for flow in same])
        joined.append(same[0]._replace(norms=norms, places=places, profile=lag_profile(norms, places)))
    return joined


def main() -> None:
    """Trains where no runs are named, measures, draws and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("docs/gradient_flow.png"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = arguments.runs or [train(cell, arguments.updates, Path(folder)) for cell in CELLS]
        look = Look(input=None, split=None, examples=1, steps=WINDOWS * STEPS, data={})
        subjects = [make_subject(runs.load_run(str(path)), look, "cpu") for path in paths]
        figure = Figure(figsize=(8, 3.8), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        print(
            "| cell | state | when | below 1% at lag | pairs that vanish | left at lag 100 |\n|---|---|---|---|---|---|"
        )
        for number, subject in enumerate(subjects):
            name = type(subject.ran(0).recording.cells[-1].cell).__name__.removesuffix("Cell")
            for panel, model in zip(panels, (subject.untrained, subject.model), strict=True):
                assert model is not None, "a run makes its model before training from its seed"
                when = "after" if model is subject.model else "before"
                for flow in top_layer(subject, model):
                    draw_profile(panel, flow.profile, f"{name}, {flow.state}", number, flow.state != "h")
                    left = float(flow.profile.norms[100] / flow.profile.norms[0])
                    below = flow.profile.below or f"not within {len(flow.profile.norms) - 1}"
                    print(f"| {name} | {flow.state} | {when} | {below} | {flow.profile.vanished:.1%} | {left:.1e} |")
    for panel, title in zip(panels, ("before training", "after training"), strict=True):
        panel.set(title=title, xlabel="lag t - s (steps)", yscale="log", ylim=(1e-20, 5))
        panel.axhline(0.01, color="0.4", linestyle=":", linewidth=1)
    panels[0].set_ylabel("norm of d loss_t / d state_s,\nrelative to lag 0")
    panels[1].legend()
    figure.savefig(arguments.output, dpi=110)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

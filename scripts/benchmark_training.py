"""Throughput of `seqmodels train cell=native_lstm` against a bare PyTorch loop that does the same work.

Both train a character model with one torch.nn.LSTM layer on the same tokens: same windows, carried state, clipping,
AdamW and learning rates. They take turns in one process; of each the fastest interval counts.

    python scripts/benchmark_training.py [--rounds 5] [--steps 60] [--json FILE]
"""

import argparse
import csv
import json
import math
import platform
import tempfile
import time
from datetime import date
from pathlib import Path

import torch
from torch import nn

from seqmodels.building import build
from seqmodels.commands.composing import compose
from seqmodels.training import train

INTERVAL = 20


def ours(config: dict) -> float:
    """Trains as the command does; returns tokens/s of the fastest interval."""
    run = train(config).run
    with (run / "metrics.csv").open(newline="") as file:
        rates = [row["train/tokens_per_second"] for row in csv.DictReader(file)]
    return max(float(rate) for rate in rates[1:] if rate)


def bare(config: dict) -> float:
    """The loop one would write by hand; returns tokens/s of the fastest interval."""
    data = build(config["data"], "data")
    data.setup("fit")
    size, steps = config["model"]["hidden_size"], config["trainer"]["max_steps"]
    embedding = nn.Embedding(data.spec["vocab_size"], config["model"]["embedding_size"])
    lstm = nn.LSTM(config["model"]["embedding_size"], size, batch_first=True)
    head = nn.Linear(size, data.spec["vocab_size"])
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config["optimizer"]["lr"], betas=(0.9, 0.99), weight_decay=0.01)
    state, tokens, fastest, begin = None, 0, 0.0, time.perf_counter()
    for step, window in enumerate(data.train_dataloader()):
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = config["optimizer"]["lr"] * 0.5 * (1 + math.cos(math.pi * step / steps))
        outputs, state = lstm(embedding(window.inputs), state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(head(outputs).flatten(0, 1), window.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        tokens += window.targets.numel()
        if (step + 1) % INTERVAL == 0:
            now = time.perf_counter()
            fastest = max(fastest, tokens / (now - begin)) if step >= INTERVAL else 0.0
            tokens, begin = 0, now
    return fastest


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = compose(
            [
                "cell=native_lstm", "model.hidden_size=256", "data.batch_size=64", "tbptt.k1=64", "tbptt.k2=64",
                "trainer=cpu", "trainer.max_epochs=null", f"trainer.max_steps={arguments.steps}",
                f"callbacks.monitor.every_n_steps={INTERVAL}", "callbacks.samples=null",
                "trainer.limit_val_batches=1", f"output_dir={folder}",
            ]
        )  # fmt: skip
        rounds = [(ours(config), bare(config)) for _ in range(arguments.rounds)]
    best_ours, best_bare = (max(rates) for rates in zip(*rounds, strict=True))
    result = {
        "seqmodels_tokens_per_second": round(best_ours),
        "bare_tokens_per_second": round(best_bare),
        "ratio": round(best_ours / best_bare, 3),
        "rounds": [[round(a), round(b)] for a, b in rounds],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "date": date.today().isoformat(),
    }
    print(json.dumps(result, indent=1))
    print(f"ratio seqmodels / bare loop: {result['ratio']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

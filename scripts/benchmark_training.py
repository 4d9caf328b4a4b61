"""Throughput of `seqmodels train` against a bare PyTorch loop that does the same work.

`language_model` (cell=native_lstm): a character model with one torch.nn.LSTM layer; windows with carried state.
`pairs` (experiment=reversal): torch.nn.GRU on both sides, packed on the source's, and the same additive attention.
Both loops see the same batches, clip, and use AdamW with the same learning rates. They take turns in one process; of
each the fastest interval counts.

    python scripts/benchmark_training.py [language_model|pairs] [--rounds 5] [--steps 60] [--json FILE]
"""

import argparse
import csv
import json
import math
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqmodels.building import build
from seqmodels.commands.composing import compose
from seqmodels.data import Window
from seqmodels.nn import AdditiveAttention
from seqmodels.training import train

INTERVAL = 20
CASES = {
    "language_model": ["cell=native_lstm", "model.hidden_size=256", "data.batch_size=64", "tbptt.k1=64", "tbptt.k2=64"],
    "pairs": ["experiment=reversal", "task.measures.hypotheses=null", "task.measures.free_running=null"],
}


def ours(config: dict[str, Any]) -> float:
    """Trains as the command does; returns tokens/s of the fastest interval."""
    run = train(config).run
    with (run / "metrics.csv").open(newline="") as file:
        rates = [row["train/tokens_per_second"] for row in csv.DictReader(file)]
    return max(float(rate) for rate in rates[1:] if rate)


class BareLanguageModel(nn.Module):
    """What one would write by hand for a stream of text; the state goes from window to window."""

    def __init__(self, config: dict[str, Any], spec: dict[str, Any]):
        super().__init__()
        sizes = config["model"]
        self.embedding = nn.Embedding(spec["vocab_size"], sizes["embedding_size"])
        self.lstm = nn.LSTM(sizes["embedding_size"], sizes["hidden_size"], batch_first=True)
        self.head = nn.Linear(sizes["hidden_size"], spec["vocab_size"])
        self.state: tuple[Tensor, ...] | None = None

    def forward(self, window: Window) -> Tensor:
        """Returns the logits of each step."""
        outputs, state = self.lstm(self.embedding(window.inputs), self.state)
        self.state = tuple(part.detach() for part in state)
        return self.head(outputs)


class BarePairs(nn.Module):
    """What one would write by hand for pairs: keys once a source, all queries of a target at once."""

    def __init__(self, config: dict[str, Any], spec: dict[str, Any]):
        super().__init__()
        sizes, read = config["model"], config["model"]["encoder"]["hidden_size"]
        self.source = nn.Embedding(spec["context"]["source_vocab_size"], config["frontend"]["size"])
        self.encoder = nn.GRU(config["frontend"]["size"], read, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * read, sizes["hidden_size"])
        self.target = nn.Embedding(spec["vocab_size"], sizes["embedding_size"])
        self.decoder = nn.GRU(sizes["embedding_size"], sizes["hidden_size"], batch_first=True)
        self.attention = AdditiveAttention(sizes["hidden_size"], 2 * read)
        self.combine = nn.Linear(2 * read + sizes["hidden_size"], sizes["hidden_size"])
        self.head = nn.Linear(sizes["hidden_size"], spec["vocab_size"])

    def forward(self, window: Window) -> Tensor:
        """Returns the logits of each step."""
        assert window.context_lengths is not None
        packed = pack_padded_sequence(
            self.source(window.context), window.context_lengths, batch_first=True, enforce_sorted=False
        )
        encoded, state = self.encoder(packed)
        values, _ = pad_packed_sequence(encoded, batch_first=True)
        begin = torch.tanh(self.bridge(torch.cat([state[0], state[1]], -1)))
        outputs, _ = self.decoder(self.target(window.inputs), begin[None])
        found = self.attention(outputs, self.attention.remember(values, window.context_lengths))
        return self.head(torch.tanh(self.combine(torch.cat([found.context, outputs], -1))))


BARE: dict[str, Callable[..., nn.Module]] = {"language_model": BareLanguageModel, "pairs": BarePairs}


def bare(case: str, config: dict[str, Any]) -> float:
    """Runs the loop one would write by hand; returns tokens/s of the fastest interval."""
    data = build(config["data"], "data")
    data.setup("fit")
    model = BARE[case](config, data.spec)
    parameters, steps = list(model.parameters()), config["trainer"]["max_steps"]
    optimizer = torch.optim.AdamW(parameters, lr=config["optimizer"]["lr"], betas=(0.9, 0.99), weight_decay=0.01)
    tokens, fastest, begin = 0, 0.0, time.perf_counter()
    for step, window in enumerate(data.train_dataloader()):
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = config["optimizer"]["lr"] * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = cross_entropy(model(window).flatten(0, 1), window.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        tokens += int(window.lengths.sum())
        if (step + 1) % INTERVAL == 0:
            now = time.perf_counter()
            fastest = max(fastest, tokens / (now - begin)) if step >= INTERVAL else 0.0
            tokens, begin = 0, now
    return fastest


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="?", choices=CASES, default="language_model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = compose(
            [
                *CASES[arguments.case],
                "trainer=cpu", "trainer.max_epochs=null", f"trainer.max_steps={arguments.steps}",
                f"callbacks.monitor.every_n_steps={INTERVAL}", "callbacks.samples=null", "callbacks.pictures=null",
                "callbacks.checkpoints.monitor=val/loss", "callbacks.checkpoints.mode=min",
                "trainer.limit_val_batches=1", f"output_dir={folder}",
            ]
        )  # fmt: skip
        rounds = [(ours(config), bare(arguments.case, config)) for _ in range(arguments.rounds)]
    best_ours, best_bare = (max(rates) for rates in zip(*rounds, strict=True))
    result = {
        "case": arguments.case,
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

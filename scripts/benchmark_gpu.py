"""Our layers beside cuDNN's on a CUDA device, and attention: checks, times, writes JSON.

    python scripts/benchmark_gpu.py [--parts cells attentions pairs] [--cells lstm,gru] [--shapes 32x512x192x192]
        [--precisions float16] [--output FILE]

Outputs and gradients are first compared with torch's layer in float64 (where torch has no such cell: with our reference
loop), on the same weights and inputs; ours may be at most four times as far from it as that is in the same precision.
TF32 is on or off for both sides. The first call, which compiles or captures, is timed by itself.

`attentions` holds every attention to the CPU in float32, forward and backward, and tries it in half precision. `pairs`
times an update of an encoder-decoder with additive attention beside the bare one of benchmark_training.py, in float32.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from seqmodels.benchmarks import CONTENDERS, Shape
from seqmodels.benchmarks.agreement import TOLERANCE, check, errors
from seqmodels.benchmarks.attentions import ATTENTIONS, check_attention, check_half
from seqmodels.benchmarks.contenders import Batch, Contender
from seqmodels.benchmarks.report import describe_machine, describe_versions
from seqmodels.benchmarks.timing import Timing, by_turns, cpu_clock, gemm_gflops
from seqmodels.nn import Recurrent, backends

SHAPES = "16x512x160x160,32x512x176x176,13x256x192x192,30x256x256x256,64x256x512x512,20x35x650x650,128x784x1x128"
SHAPES += ",32x64x128x128+2layers+bidirectional,64x100x256x256+lengths"
# The dtype, and whether products in it may run in TF32.
PRECISIONS = {
    "float32": (torch.float32, False),
    "tf32": (torch.float32, True),
    "float16": (torch.float16, False),
    "bfloat16": (torch.bfloat16, False),
}
HALVES = (torch.float16, torch.bfloat16)


def cuda_clock(call: Callable[[], object]) -> float:
    """Times one call on the device, in seconds."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def clock_of(device: str) -> Callable[[Callable[[], object]], float]:
    """Returns what times a call on a device."""
    return cuda_clock if device == "cuda" else cpu_clock


def allow_tf32(allowed: bool) -> None:
    """Says whether products in float32 may run in TF32."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


class Bench:
    """One shape in one precision on one device.

    Args:
        shape: The sizes.
        precision: A key of `PRECISIONS`.
        device: "cuda"; "cpu" to try this script out.
        rounds: The least number of rounds.
    """

    def __init__(self, shape: Shape, precision: str, device: str, rounds: int) -> None:
        self.shape, self.precision, self.device, self.rounds = shape, precision, device, rounds
        self.dtype, tf32 = PRECISIONS[precision]
        allow_tf32(tf32)
        self.clock = clock_of(device)
        self.batch = Batch(shape, self.dtype, device)

    def candidates(self, contender: Contender) -> dict[str, nn.Module]:
        """Makes our layer by each kernel that fits, `reference` only where no other does, and the drop-in."""
        shape, layers = self.shape, {}
        if contender.dropin is not None:
            layers["drop-in"] = contender.make(shape).to(self.device, self.dtype)
        sizes = (shape.input_size, shape.hidden_size, shape.num_layers, shape.bidirectional)
        for backend in backends():
            try:
                with torch.device(self.device):
                    layer = Recurrent(contender.cell, *sizes, backend=backend).to(self.dtype)
                layer(self.batch.inputs[:, :2].detach())
            except ValueError:
                continue
            layers[backend] = layer
        if len(layers) > 1:
            layers.pop("reference", None)
        return layers

    def check(self, contender: Contender, layers: dict[str, nn.Module], opponent: nn.Module) -> float:
        """Holds our layers to float64; returns the largest error that was found."""
        batch, exact, largest = self.batch, self.batch.double(), 0.0
        known = opponent if contender.has_twin else contender.make(self.shape, "reference").to(self.device, self.dtype)
        right = copy.deepcopy(known).double()
        allowed = max(TOLERANCE, 4 * max(errors(known, right, batch, exact).values()))
        for backend, layer in layers.items():
            found = errors(layer, right, batch, exact)
            check(found, f"{contender.title} by {backend} over {self.shape} in {self.precision}", allowed)
            largest = max(largest, *found.values())
        return largest

    def first_call(self, layer: nn.Module) -> float:
        """Times the first call, in seconds."""
        begin = time.perf_counter()
        self.batch.backward(layer)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    def peak(self, layer: nn.Module) -> int | None:
        """Measures what one forward and backward pass allocates at most, in bytes."""
        if self.device != "cuda":
            return None
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        self.batch.backward(layer)
        return torch.cuda.max_memory_allocated() - before

    def measure(self, name: str) -> Iterator[dict[str, Any]]:
        """Checks and times one cell; gives a row for each kernel."""
        torch.manual_seed(0)
        contender = CONTENDERS[name]
        opponent = contender.make_opponent(self.shape).to(self.device, self.dtype)
        layers = self.candidates(contender)
        first_calls = {backend: self.first_call(layer) for backend, layer in layers.items()}
        error = self.check(contender, layers, opponent)
        sides, gemm = {"torch": opponent, **layers}, gemm_gflops(self.dtype, self.device, self.clock)
        both, alone = self.time(sides, self.batch.backward), self.time(sides, no_grad(self.batch.forward))
        flops = self.shape.products(contender.num_gates)
        for backend, layer in layers.items():
            yield {
                "cell": name, "backend": backend, "precision": self.precision, "shape": str(self.shape),
                "torch_ms": 1e3 * both["torch"].seconds, "ours_ms": 1e3 * both[backend].seconds,
                "ratio": both["torch"].seconds / both[backend].seconds,
                "forward_torch_ms": 1e3 * alone["torch"].seconds, "forward_ours_ms": 1e3 * alone[backend].seconds,
                "forward_ratio": alone["torch"].seconds / alone[backend].seconds,
                "first_call_ms": 1e3 * first_calls[backend], "largest_error": error,
                "gflops": 3e-9 * flops / both[backend].seconds, "gemm_gflops": gemm,
                "torch_peak_bytes": self.peak(opponent), "our_peak_bytes": self.peak(layer),
            }  # fmt: skip

    def time(self, sides: dict[str, nn.Module], run: Callable[[nn.Module], object]) -> dict[str, Timing]:
        """Times all sides by turns."""
        calls: dict[str, Callable[[], object]] = {name: partial(run, layer) for name, layer in sides.items()}
        return by_turns(calls, self.rounds, clock=self.clock)


def no_grad(run: Callable[[nn.Module], object]) -> Callable[[nn.Module], object]:
    """Runs a layer without gradients."""
    return torch.no_grad()(run)


def measure_cells(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Checks and times cells; returns a row for each shape, precision, cell and kernel, and prints it."""
    results = []
    print(f"{'BxTxIxH':<38}{'precision':<10}{'cell':<17}{'kernel':<11} torch ms  ours ms  ratio forward only")
    for shape in map(Shape.parse, arguments.shapes.split(",")):
        for precision in arguments.precisions.split(","):
            bench = Bench(shape, precision, arguments.device, arguments.rounds)
            for row in (row for name in arguments.cells.split(",") for row in bench.measure(name)):
                results.append(row)
                times = f"{row['torch_ms']:9.3f}{row['ours_ms']:9.3f}{row['ratio']:7.2f}{row['forward_ratio']:13.2f}"
                print(f"{row['shape']:<38}{precision:<10}{row['cell']:<17}{row['backend']:<11}{times}")
    return results


def measure_attentions(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Checks attentions; returns a row for each, and prints it."""
    allow_tf32(False)
    rows = []
    for name in ATTENTIONS:
        largest = check_attention(name, arguments.device)
        for dtype in HALVES:
            check_half(name, arguments.device, dtype)
        rows.append({"attention": name, "largest_error": largest, "halves": [str(dtype) for dtype in HALVES]})
        print(f"{name:<38}float32 as on the CPU but for {largest:.1e}; finite and masked in half precision")
    return rows


def measure_pairs(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times an update of pairs but for the optimizer's step; returns a row, and prints it."""
    allow_tf32(False)
    updates, pairs, tokens = make_updates(arguments.device)
    times = by_turns(updates, arguments.rounds, clock=clock_of(arguments.device))
    bare, ours = times["bare"].seconds, times["ours"].seconds
    row = {"case": "reversal", "precision": "float32", "pairs": pairs, "tokens": tokens, "ratio": bare / ours}
    row |= {"bare_ms": 1e3 * bare, "ours_ms": 1e3 * ours, "our_tokens_per_second": tokens / ours}
    figures = f"bare {row['bare_ms']:.3f} ms, ours {row['ours_ms']:.3f} ms, ratio {row['ratio']:.2f}"
    print(f"encoder-decoder with attention, {pairs} pairs: {figures}")
    return [row]


def make_updates(device: str) -> tuple[dict[str, Callable[[], None]], int, int]:
    """Makes the updates of our encoder-decoder and of a bare one on the same batch.

    Returns:
        Both, and how many pairs and target tokens they read.
    """
    from benchmark_training import BARE, CASES

    from seqmodels.building import build
    from seqmodels.commands.composing import compose
    from seqmodels.runs import build_model

    torch.manual_seed(0)
    config = compose(CASES["pairs"])
    data = build(config["data"], "data")
    data.setup("fit")
    window = next(iter(data.train_dataloader()))
    lengths = window.context_lengths.to(device)
    # Packing wants lengths on the CPU, ours where the source is: neither waits for the other's.
    moved = {name: getattr(window, name).to(device) for name in ("inputs", "targets", "context")}
    window = window._replace(**moved)
    ours, bare = build_model(config, data.spec).to(device), BARE["pairs"](config, data.spec).to(device)

    def update(model: nn.Module, logits: Callable[[], torch.Tensor]) -> None:
        model.zero_grad()
        cross_entropy(logits().flatten(0, 1), window.targets.flatten()).backward()

    our_logits = lambda: ours(window.inputs, context=window.context, context_lengths=lengths)[0]
    updates: dict[str, Callable[[], None]] = {
        "ours": partial(update, ours, our_logits),
        "bare": partial(update, bare, lambda: bare(window)),
    }
    return updates, len(window.targets), int(window.lengths.sum())


PARTS = {"cells": measure_cells, "attentions": measure_attentions, "pairs": measure_pairs}


def main(words: list[str] | None = None) -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cells", default="lstm,gru,elman,layer_norm_lstm,user_lstm")
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("outputs/benchmark_gpu.json"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try this script out")
    arguments = parser.parse_args(words)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("benchmark_gpu.py: torch sees no CUDA device here")
    found: dict[str, Any] = {"date": date.today().isoformat(), "device": describe_device(arguments.device)}
    found |= {"results" if part == "cells" else part: PARTS[part](arguments) for part in arguments.parts}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found | {"versions": describe_versions()}, indent=1) + "\n")


def describe_device(device: str) -> dict[str, Any]:
    """Names the device and what runs on it."""
    if device != "cuda":
        return describe_machine()
    versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return {"name": torch.cuda.get_device_name(), **versions}


if __name__ == "__main__":
    main()

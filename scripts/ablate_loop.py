"""Measures what each idea of the compiled loop buys: an LSTM, forward and backward, with one taken out at a time.

    python scripts/ablate_loop.py [output=docs/ablation.json] [rounds=15]

All variants run in turn, round after round, in one process; each figure is the minimum over the rounds.
"""

import contextlib
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from unittest import mock

import torch

from seqmodels.nn import LSTMCell, Recurrent
from seqmodels.nn.kernels.compiled import forward, library, runner, target

SHAPES = [(32, 64, 128, 128), (64, 100, 256, 256), (20, 35, 650, 650), (128, 784, 1, 128)]
NEVER = 2**62


@contextlib.contextmanager
def without(*settings: tuple[object, str, int]) -> Iterator[None]:
    """Changes some settings of the loop for a while."""
    with contextlib.ExitStack() as stack:
        for module, name, value in settings:
            stack.enter_context(mock.patch.object(module, name, value))
        yield


VARIANTS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "all ideas": contextlib.nullcontext,
    "small pages": lambda: without((library, "_LARGE_BYTES", NEVER)),
    "input product apart": lambda: without((forward, "_FUSED_ROWS", NEVER)),
    "weight gradients once, at the end": lambda: without((runner, "_CHUNK_ROWS", NEVER)),
    "weight gradients every 64 rows": lambda: without((runner, "_CHUNK_ROWS", 64), (runner, "_CHUNK_ELEMENTS", 0)),
    "all rows share a pass over the weights": lambda: without((runner, "_CACHE_BYTES", 0)),
    "each tile passes over the weights": lambda: without((runner, "_CACHE_BYTES", NEVER)),
}


def measure(shape: tuple[int, int, int, int], rounds: int) -> dict[str, float]:
    """Gives milliseconds by variant, beside torch.nn.LSTM and our other loops."""
    B, T, input_size, H = shape
    inputs, grad = torch.randn(B, T, input_size, requires_grad=True), torch.randn(B, T, H)
    native = torch.nn.LSTM(input_size, H, batch_first=True)
    layers = {name: Recurrent(LSTMCell, input_size, H, backend=name) for name in ("compiled", "aten", "reference")}
    calls = {name: (layers["compiled"], context) for name, context in VARIANTS.items()}
    calls |= {f"backend={name}": (layers[name], contextlib.nullcontext) for name in ("aten", "reference")}
    best = dict.fromkeys(["torch.nn.LSTM", *calls], float("inf"))
    for _ in range(rounds):
        for name in best:
            layer, context = calls.get(name, (native, contextlib.nullcontext))
            with context():
                start = time.perf_counter()
                layer(inputs)[0].backward(grad)
                best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
            layer.zero_grad()
            inputs.grad = None
    return best


def main(output: str = "docs/ablation.json", rounds: str = "15") -> None:
    """Prints a table of times relative to all ideas together, and writes it as JSON."""
    table = {"x".join(map(str, shape)): measure(shape, int(rounds)) for shape in SHAPES}
    print(f"{'milliseconds (ratio to all ideas)':<42}" + "".join(f"{shape:>22}" for shape in table))
    for name in next(iter(table.values())):
        cells = [f"{times[name]:.1f} ({times[name] / times['all ideas']:.2f})" for times in table.values()]
        print(f"{name:<42}" + "".join(f"{cell:>22}" for cell in cells))
    machine = {"processor": platform.processor() or platform.machine(), "instructions": target()}
    setting = {"threads": torch.get_num_threads(), "torch": torch.__version__, "date": date.today().isoformat()}
    with open(output, "w") as file:
        json.dump({**machine, **setting, "rounds": int(rounds), "milliseconds": table}, file, indent=1)


if __name__ == "__main__":
    main(**dict(argument.split("=", 1) for argument in sys.argv[1:]))

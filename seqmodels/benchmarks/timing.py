"""Times of several calls, taken by turns."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

GEMM_SIZE = 2048
_MOST_ROUNDS = 200


class Timing(NamedTuple):
    """The fastest of many rounds, in seconds, and how many there were."""

    seconds: float
    rounds: int


def cpu_clock(call: Callable[[], object]) -> float:
    """Times one call on the CPU, in seconds."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def by_turns(
    calls: Mapping[str, Callable[[], object]],
    rounds: int = 10,
    seconds: float = 1.0,
    clock: Callable[[Callable[[], object]], float] = cpu_clock,
) -> dict[str, Timing]:
    """Times calls by turns, each twice unmeasured first, every other round in the opposite order.

    Args:
        calls: What to time, by name.
        rounds: The least number of rounds.
        seconds: Goes on beyond that number until all rounds together took this long: short calls need more of them.
        clock: Times one call.

    Returns:
        The fastest round of each.

    Example:
        >>> sorted(by_turns({"a": lambda: 1, "b": lambda: 2}, rounds=3, seconds=0))
        ['a', 'b']
    """
    for call in [*calls.values()] * 2:
        call()
    fastest = dict.fromkeys(calls, float("inf"))
    order, spent, done = list(calls), 0.0, 0
    gc.collect()
    gc.disable()
    try:
        while done < rounds or (spent < seconds and done < _MOST_ROUNDS):
            for name in order:
                taken = clock(calls[name])
                fastest[name] = min(fastest[name], taken)
                spent += taken
            order.reverse()
            done += 1
    finally:
        gc.enable()
    return {name: Timing(taken, done) for name, taken in fastest.items()}


def gemm_gflops(
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    clock: Callable[[Callable[[], object]], float] = cpu_clock,
) -> float:
    """Measures the product of two large square matrices, the roof that no layer can reach through.

    Returns:
        GFLOP/s, the fastest of five.
    """
    left, right, product = (torch.randn(GEMM_SIZE, GEMM_SIZE, device=device).to(dtype) for _ in range(3))
    timing = by_turns({"gemm": lambda: torch.mm(left, right, out=product)}, rounds=5, seconds=0, clock=clock)
    return 2 * GEMM_SIZE**3 / timing["gemm"].seconds / 1e9

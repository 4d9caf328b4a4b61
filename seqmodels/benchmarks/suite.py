"""The measurements, one after the other."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from seqmodels.benchmarks.agreement import check, error, errors
from seqmodels.benchmarks.contenders import CONTENDERS, STEPWISE, Batch, Contender, Targets
from seqmodels.benchmarks.memory import Scales, scales
from seqmodels.benchmarks.shapes import SHAPES, Shape
from seqmodels.benchmarks.timing import Timing, by_turns, gemm_gflops
from seqmodels.nn import LSTMCell, Recurrent

_CHECKED_STEPS = 20  # of a cell that only the slow reference loop can vouch for
_STEPS = 100  # of the stepwise loop, in one timed call
_STEP_SHAPE = Shape(1, 1, 512, 512)


@dataclass(frozen=True)
class Settings:
    """What is measured, and how.

    Args:
        cells: Keys of `CONTENDERS`, and `stepwise`.
        shapes: The sizes.
        rounds: The least number of rounds, of which the fastest counts.
        seconds: Short measurements go on beyond that number for this long.
        threads: Threads of torch.
        backend: The kernel of our layers; "auto" for the fastest that fits.
        memory: Whether peak memory is measured too.
    """

    cells: tuple[str, ...] = (*CONTENDERS, STEPWISE)
    shapes: tuple[Shape, ...] = SHAPES
    rounds: int = 10
    seconds: float = 1.0
    threads: int = torch.get_num_threads()
    backend: str = "auto"
    memory: bool = True


@dataclass(frozen=True)
class Result:
    """One of our layers against torch's over one shape.

    Args:
        cell: A key of `CONTENDERS`, or `stepwise`.
        title: What the table calls it.
        mode: "forward+backward" or "forward".
        shape: The sizes.
        torch: Torch's fastest round.
        ours: Our fastest round.
        targets: What the ratios of this cell and mode should reach.
        flops: Floating-point operations of the products in one round.
        gemm_gflops: What a large product reached just before.
        torch_peak: Bytes that torch's pass took at most; None where not measured.
        our_peak: The same of ours.
    """

    cell: str
    title: str
    mode: str
    shape: Shape
    torch: Timing
    ours: Timing
    targets: Targets
    flops: int
    gemm_gflops: float
    torch_peak: int | None = None
    our_peak: int | None = None

    @property
    def ratio(self) -> float:
        """time(torch.nn) / time(ours)."""
        return self.torch.seconds / self.ours.seconds

    @property
    def gflops(self) -> float:
        """Our GFLOP/s."""
        return self.flops / self.ours.seconds / 1e9

    @property
    def roofline_share(self) -> float:
        """Our GFLOP/s as a share of the large product's."""
        return self.gflops / self.gemm_gflops


def measure(settings: Settings) -> Iterator[Result]:
    """Measures everything, handing out each result as soon as it is there.

    Raises:
        Disagreement: A layer does not compute what it is held to.
        ValueError: The backend does not fit a cell.
    """
    chosen = {name: CONTENDERS[name] for name in settings.cells if name in CONTENDERS}
    opponents = dict.fromkeys(contender.against for contender in chosen.values())
    torch.set_num_threads(settings.threads)
    with scales(settings.threads) if settings.memory else nullcontext() as opened:
        for shape in settings.shapes:
            for opponent in opponents:
                group = {name: contender for name, contender in chosen.items() if contender.against == opponent}
                yield from _measure_group(group, shape, settings, opened)
    if STEPWISE in settings.cells:
        yield _measure_steps(settings)


def _measure_group(
    group: dict[str, Contender], shape: Shape, settings: Settings, opened: Scales | None
) -> Iterator[Result]:
    """Measures all that have the same opponent, which so runs once a round."""
    torch.manual_seed(0)
    batch, gemm = Batch(shape), gemm_gflops()
    first = next(iter(group.values()))
    opponent = first.make_opponent(shape)
    layers = {name: contender.make(shape, settings.backend) for name, contender in group.items()}
    for name, layer in layers.items():
        _check(group[name], layer, opponent, batch, shape, settings.backend)
    sides = {"torch": opponent, **layers}
    flops = shape.products(first.num_gates)

    calls: dict[str, Callable[[], object]]
    calls = {name: partial(batch.backward, layer) for name, layer in sides.items()}
    timings = by_turns(calls, settings.rounds, settings.seconds)
    for name, contender in group.items():
        pair, targets = (timings["torch"], timings[name]), contender.backward
        result = Result(name, contender.title, "forward+backward", shape, *pair, targets, 3 * flops, gemm)
        if opened is not None:
            peaks = opened.peak(contender.against, shape), opened.peak(name, shape, settings.backend)
            result = replace(result, torch_peak=peaks[0], our_peak=peaks[1])
        yield result

    both_ways = {name: sides[name] for name in sides if name == "torch" or group[name].forward is not None}
    if len(both_ways) > 1:
        calls = {name: _inference(batch, layer.eval()) for name, layer in both_ways.items()}
        timings = by_turns(calls, settings.rounds, settings.seconds)
        for name, contender in group.items():
            if contender.forward is not None:
                pair = timings["torch"], timings[name]
                yield Result(name, contender.title, "forward", shape, *pair, contender.forward, flops, gemm)


def _check(
    contender: Contender, layer: nn.Module, opponent: nn.Module, batch: Batch, shape: Shape, backend: str
) -> None:
    """Holds a layer to torch's, or to the reference loop over fewer steps where torch has no such cell."""
    if contender.has_twin:
        return check(errors(layer, opponent, batch), f"{contender.title} over {shape}")
    short = replace(shape, time=min(shape.time, _CHECKED_STEPS))
    reference = contender.make(short, "reference")
    check(errors(contender.make(short, backend), reference, Batch(short)), f"{contender.title} over {short}")


def _inference(batch: Batch, layer: nn.Module) -> Callable[[], object]:
    def call() -> None:
        with torch.no_grad():
            batch.forward(layer)

    return call


def _measure_steps(settings: Settings) -> Result:
    """Takes one step at a time, as a model that writes or listens does: batch 1, the state handed on."""
    shape = _STEP_SHAPE
    native = nn.LSTMCell(shape.input_size, shape.hidden_size)
    layer = Recurrent(LSTMCell, shape.input_size, shape.hidden_size, backend=settings.backend)
    layer.load_state_dict({f"cells.0.{name}": value for name, value in native.state_dict().items()})
    inputs = torch.randn(1, 1, shape.input_size)

    @torch.no_grad()
    def theirs() -> torch.Tensor:
        state = native(inputs[0])
        for _ in range(_STEPS - 1):
            state = native(inputs[0], state)
        return state[0]

    @torch.no_grad()
    def ours() -> torch.Tensor:
        outputs, state = layer(inputs)
        for _ in range(_STEPS - 1):
            outputs, state = layer(inputs, state)
        return outputs[0]

    check({"outputs": error(ours(), theirs())}, f"{STEPWISE} over {shape}")
    timings = by_turns({"torch": theirs, "ours": ours}, settings.rounds, settings.seconds)
    each = {name: Timing(timing.seconds / _STEPS, timing.rounds) for name, timing in timings.items()}
    pair, targets = (each["torch"], each["ours"]), Targets(1.0, 1.0)
    return Result(STEPWISE, "LSTM, stepwise", "forward", shape, *pair, targets, shape.products(4), gemm_gflops())

"""The results as a table to read and as JSON to keep."""

import math
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from seqmodels import __version__
from seqmodels.benchmarks.suite import Result, Settings
from seqmodels.benchmarks.timing import GEMM_SIZE
from seqmodels.nn import backends

_COLUMNS = f"{'torch ms':>10}{'ours ms':>10}{'ratio':>8}{'GFLOP/s':>10}{'of gemm':>9}{'torch MB':>10}{'ours MB':>10}"


def table(results: Sequence[Result]) -> str:
    """Writes a table for each cell and mode, and one with the mean and the worst of each beside its targets.

    Args:
        results: What `measure` gave.

    Returns:
        Lines of text, 120 columns at most.
    """
    groups = _grouped(results)
    width = max([len(str(result.shape)) for result in results], default=0) + 2
    lines = []
    for group in groups:
        lines += [f"{group[0].title}, {group[0].mode}", f"  {'BxTxIxH':<{width}}{_COLUMNS}"]
        lines += [f"  {result.shape!s:<{width}}{_row(result)}" for result in group]
        lines.append("")
    lines.append("time(torch.nn) / time(ours)         mean  target   worst  target")
    lines += [_summary_row(group) for group in groups]
    return "\n".join(lines)


def as_json(results: Sequence[Result], settings: Settings) -> dict[str, Any]:
    """Gathers settings, machine, versions and every measurement in plain values."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": describe_versions(),
        "settings": {
            "cells": list(settings.cells),
            "shapes": [str(shape) for shape in settings.shapes],
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "threads": settings.threads,
            "backend": settings.backend,
            "dtype": "float32",
            "gemm_size": GEMM_SIZE,
        },
        "results": [_plain(result) for result in results],
        "summary": [_summary(group) for group in _grouped(results)],
    }


def describe_machine() -> dict[str, Any]:
    """Names the processor and what torch makes of it."""
    model = platform.processor() or platform.machine()
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in described if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    capability = torch.backends.cpu.get_cpu_capability()
    return {"cpu": model, "cores": os.cpu_count(), "capability": capability, "system": platform.system()}


def describe_versions() -> dict[str, Any]:
    """Names the versions that a speed depends on, and the kernels that are there."""
    versions = {"python": platform.python_version(), "torch": torch.__version__, "seqmodels": __version__}
    return {**versions, "kernels": list(backends())}


def geometric_mean(ratios: Iterable[float]) -> float:
    """Gives the geometric mean.

    Example:
        >>> geometric_mean([0.5, 2.0])
        1.0
    """
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logarithms) / len(logarithms))


def _grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Sorts results by mode and cell, in the order in which these first came."""
    keys = dict.fromkeys((result.mode, result.cell) for result in results)
    modes = dict.fromkeys(mode for mode, _ in keys)
    ordered = [key for mode in modes for key in keys if key[0] == mode]
    return [[result for result in results if (result.mode, result.cell) == key] for key in ordered]


def _row(result: Result) -> str:
    times = f"{1e3 * result.torch.seconds:10.3f}{1e3 * result.ours.seconds:10.3f}{result.ratio:8.2f}"
    work = f"{result.gflops:10.1f}{100 * result.roofline_share:8.0f}%"
    return f"{times}{work}{_megabytes(result.torch_peak):>10}{_megabytes(result.our_peak):>10}"


def _megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.1f}"


def _summary_row(group: list[Result]) -> str:
    values = _summary(group)
    what = f"{group[0].title}, {group[0].mode}"
    mean, worst = values["geometric_mean"], values["worst"]
    mean_target, worst_target = group[0].targets
    missed = " missed" if mean < mean_target or worst < worst_target else ""
    figures = f"{mean:6.2f}{mean_target:8.2f}{worst:8.2f}{worst_target:8.2f}"
    return f"{what:<34}{figures}   {values['worst_shape']}{missed}"


def _summary(group: list[Result]) -> dict[str, Any]:
    worst = min(group, key=lambda result: result.ratio)
    return {
        "cell": worst.cell,
        "mode": worst.mode,
        "geometric_mean": round(geometric_mean(result.ratio for result in group), 4),
        "geometric_mean_target": worst.targets.mean,
        "worst": round(worst.ratio, 4),
        "worst_target": worst.targets.worst,
        "worst_shape": str(worst.shape),
    }


def _plain(result: Result) -> dict[str, Any]:
    return {
        "cell": result.cell,
        "mode": result.mode,
        "shape": str(result.shape),
        "torch_ms": round(1e3 * result.torch.seconds, 5),
        "ours_ms": round(1e3 * result.ours.seconds, 5),
        "ratio": round(result.ratio, 4),
        "rounds": result.ours.rounds,
        "gflops": round(result.gflops, 2),
        "gemm_gflops": round(result.gemm_gflops, 2),
        "roofline_share": round(result.roofline_share, 4),
        "torch_peak_bytes": result.torch_peak,
        "our_peak_bytes": result.our_peak,
    }

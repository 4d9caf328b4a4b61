"""Functions that Triton lacks, or whose fast form is too coarse near zero, from those it has on every device.

They hold for float32 and float64; loops over constant bounds are unrolled by Triton.
"""
# mypy: allow-untyped-defs

import triton
import triton.language as tl


@triton.jit
def expm1(x):
    """Computes e^x - 1: near 0, where the subtraction would cancel, by its series."""
    small = tl.abs(x) < 0.5
    near = tl.where(small, x, 0.0)
    terms = 1.0 + near * (1.0 / 14)
    for k in tl.static_range(12):
        terms = 1.0 + near * (1.0 / (13 - k)) * terms
    return tl.where(small, near * terms, tl.exp(x) - 1.0)


@triton.jit
def log1p(x):
    """Computes log(1 + x): near 0 as 2 artanh(s), s = x / (2 + x), by its series."""
    small = tl.abs(x) < 0.3
    near = tl.where(small, x, 0.0)
    s = near / (2.0 + near)
    square = s * s
    terms = 1.0 / 19 + square * (1.0 / 21)
    for k in tl.static_range(9):
        terms = 1.0 / (17 - 2 * k) + square * terms
    return tl.where(small, 2.0 * s * terms, tl.log(1.0 + x))


@triton.jit
def sigmoid(x):
    """Computes 1 / (1 + e^-x) without overflow."""
    z = tl.exp(-tl.abs(x))
    return tl.where(x < 0, z, 1.0) / (1.0 + z)


@triton.jit
def tanh(x):
    """Computes tanh(|x|) = -e / (2 + e), e = expm1(-2 |x|), with the sign of x."""
    e = expm1(-2.0 * tl.abs(x))
    size = -e / (2.0 + e)
    return tl.where(x < 0, -size, size)


@triton.jit
def sign(x):
    """Gives -1, 0 or 1."""
    return tl.where(x > 0, 1.0, 0.0) - tl.where(x < 0, 1.0, 0.0)


@triton.jit
def remainder(a, b):
    """Gives the remainder with the sign of b, as torch does; that of `%` has the sign of a."""
    rest = a % b
    return tl.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest)

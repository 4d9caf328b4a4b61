"""What is written down for each of torch's operations, so that its value and its gradient are torch's."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from seqmodels.nn.programs.tracing import Trace, Traced

aten = torch.ops.aten

_LARGE = 80  # e^80 is a number in float32, and log(1 + e^80) is 80


def _pointwise(op: str, dtype: torch.dtype | None = None) -> Callable[..., Traced]:
    return lambda trace, *operands: trace.pointwise(op, *operands, dtype=dtype)


def _add(trace: Trace, a: Any, b: Any, alpha: float = 1) -> Traced:
    return trace.pointwise("add", a, b if alpha == 1 else trace.pointwise("mul", b, alpha))


def _sub(trace: Trace, a: Any, b: Any, alpha: float = 1) -> Traced:
    if alpha == 1:
        return trace.pointwise("sub", a, b)
    return trace.pointwise("sub", a, trace.pointwise("mul", b, alpha) if isinstance(b, Traced) else b * alpha)


def _rsub(trace: Trace, a: Any, b: Any, alpha: float = 1) -> Traced:
    return _sub(trace, b, a, alpha)


def _addcmul(trace: Trace, x: Traced, a: Any, b: Any, value: float = 1) -> Traced:
    return _add(trace, x, trace.pointwise("mul", a, b), value)


def _lerp(trace: Trace, a: Any, b: Any, weight: Any) -> Traced:
    return trace.pointwise("add", a, trace.pointwise("mul", weight, trace.pointwise("sub", b, a)))


def _pow(trace: Trace, base: Traced, exponent: Any) -> Traced:
    named = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
    if exponent in named:
        return trace.pointwise(named[exponent], base)
    trace.check(exponent in (1, 2, 3, 4), f"a power of {exponent}")
    result = base
    for _ in range(int(exponent) - 1):
        result = trace.pointwise("mul", result, base)
    return result


def _bounded(trace: Trace, x: Traced, low: Any, high: Any, below: str, above: str) -> Traced:
    for bound, comparison in ((low, below), (high, above)):
        if bound is not None:
            x = trace.pointwise("where", trace.pointwise(comparison, x, bound), bound, x)
    return x


def _clamp(trace: Trace, x: Traced, low: Any = None, high: Any = None) -> Traced:
    """Passes the gradient at the bounds too, as torch does: `where` rather than `maximum`."""
    return _bounded(trace, x, low, high, "lt", "gt")


def _clamp_max(trace: Trace, x: Traced, high: Any) -> Traced:
    return _clamp(trace, x, None, high)


def _hardtanh(trace: Trace, x: Traced, low: float = -1, high: float = 1) -> Traced:
    """Passes no gradient at the bounds, as torch does here."""
    return _bounded(trace, x, low, high, "le", "ge")


def _hardsigmoid(trace: Trace, x: Traced) -> Traced:
    bounded = _hardtanh(trace, x, -3, 3)
    return trace.pointwise("div", trace.pointwise("add", bounded, 3), 6)


def _log_one_plus_exp(trace: Trace, x: Traced, threshold: float) -> Traced:
    """Gives x itself above a threshold, and never puts what is there through e^x, whose slope may be infinite."""
    large = trace.pointwise("gt", x, threshold)
    small = trace.pointwise("where", large, 0, x)
    return trace.pointwise("where", large, x, trace.pointwise("log1p", trace.pointwise("exp", small)))


def _softplus(trace: Trace, x: Traced, beta: float = 1, threshold: float = 20) -> Traced:
    return trace.pointwise("div", _log_one_plus_exp(trace, trace.pointwise("mul", x, beta), threshold), beta)


def _log_sigmoid(trace: Trace, x: Traced) -> tuple[Traced, Traced]:
    result = trace.pointwise("neg", _log_one_plus_exp(trace, trace.pointwise("neg", x), _LARGE))
    return result, result


def _silu(trace: Trace, x: Traced) -> Traced:
    return trace.pointwise("mul", x, trace.pointwise("sigmoid", x))


def _leaky_relu(trace: Trace, x: Traced, slope: float = 0.01) -> Traced:
    return trace.pointwise("where", trace.pointwise("gt", x, 0), x, trace.pointwise("mul", x, slope))


def _elu(trace: Trace, x: Traced, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Traced:
    positive = trace.pointwise("gt", x, 0)
    negative = trace.pointwise("where", positive, 0, x)  # its e^x cannot overflow
    below = trace.pointwise("expm1", trace.pointwise("mul", negative, input_scale))
    scaled = trace.pointwise("mul", x, scale)
    return trace.pointwise("where", positive, scaled, trace.pointwise("mul", below, alpha * scale))


def _where(trace: Trace, condition: Any, a: Any, b: Any) -> Traced:
    return trace.pointwise("where", condition, a, b)


def _conditions(trace: Trace, *operands: Traced) -> None:
    trace.check(all(o.dtype is torch.bool for o in operands), "logic on anything but conditions")


def _both(trace: Trace, a: Traced, b: Traced) -> Traced:
    _conditions(trace, a, b)
    return trace.pointwise("mul", a, b, dtype=torch.bool)


def _either(trace: Trace, a: Traced, b: Traced) -> Traced:
    _conditions(trace, a, b)
    return trace.pointwise("maximum", a, b, dtype=torch.bool)


def _negated(trace: Trace, a: Traced) -> Traced:
    _conditions(trace, a)
    return trace.pointwise("eq", a, 0, dtype=torch.bool)


def _filled(trace: Trace, like: Traced, value: float, **options: Any) -> Traced:
    return Traced(trace, [trace.graph.constant(value)] * len(like.blocks), like.shape, options.get("dtype"))


def _zeros(trace: Trace, like: Traced, **options: Any) -> Traced:
    return _filled(trace, like, 0.0, **options)


def _ones(trace: Trace, like: Traced, **options: Any) -> Traced:
    return _filled(trace, like, 1.0, **options)


def _same(trace: Trace, x: Traced, **options: Any) -> Traced:
    dtype = options.get("dtype") or x.dtype
    trace.check(dtype in (trace.dtype, x.dtype) or x.dtype is torch.bool, f"a cast to {dtype}")
    return Traced(trace, x.blocks, x.shape, dtype)


def _slice(
    trace: Trace, x: Traced, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Traced:
    size = x.shape[dim]
    start, end, step = slice(start, end, step).indices(size)
    if (start, end, step) == (0, size, 1):
        return Traced(trace, x.blocks, x.shape, x.dtype)
    trace.check(step == 1 and dim in (-1, x.dim() - 1) and x.dim() < 3, "a slice of anything but columns")
    whole = start % trace.width == 0 and end % trace.width == 0
    trace.check(whole, f"columns {start} to {end} are no whole blocks")
    return Traced(trace, x.blocks[start // trace.width : end // trace.width], (*x.shape[:-1], end - start), x.dtype)


def _split(trace: Trace, x: Traced, size: int | Sequence[int], dim: int = 0) -> list[Traced]:
    total = x.shape[dim]
    sizes = [size] * (total // size) if isinstance(size, int) else list(size)
    trace.check(sum(sizes) == total, "a split into unequal parts")
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    spans = [(end - n, end) for end, n in zip(ends, sizes, strict=True)]
    if x.dim() == 3 and dim % 3 == 1:
        pieces = [x.blocks[start:end] for start, end in spans]
        return [Traced(trace, p, (x.shape[0], len(p), x.shape[2]), x.dtype) for p in pieces]
    return [_slice(trace, x, dim, start, end) for start, end in spans]


def _unbind(trace: Trace, x: Traced, dim: int = 0) -> list[Traced]:
    trace.check(x.dim() == 3 and dim % 3 == 1, "unbind of anything but blocks")
    return [Traced(trace, [place], (x.shape[0], x.shape[2]), x.dtype) for place in x.blocks]


def _select(trace: Trace, x: Traced, dim: int, index: int) -> Traced:
    return _unbind(trace, x, dim)[index]


def _cat(trace: Trace, tensors: Sequence[Any], dim: int = 0) -> Traced:
    trace.check(all(isinstance(t, Traced) for t in tensors), "cat with a tensor from outside")
    dims = {t.dim() for t in tensors}
    axis = dim % tensors[0].dim()
    trace.check(len(dims) == 1 and dims <= {1, 2} and axis == tensors[0].dim() - 1, "cat of anything but columns")
    trace.check(all(t.shape[-1] == len(t.blocks) * trace.width for t in tensors), "cat of less than a block")
    blocks = [place for t in tensors for place in t.blocks]
    return Traced(trace, blocks, (*tensors[0].shape[:-1], sum(t.shape[-1] for t in tensors)), tensors[0].dtype)


def _stack(trace: Trace, tensors: Sequence[Any], dim: int = 0) -> Traced:
    blocks = all(isinstance(t, Traced) and tuple(t.shape) == (trace.rows, trace.width) for t in tensors)
    trace.check(dim in (1, -2) and blocks, "stack of anything but blocks")
    shape = (trace.rows, len(tensors), trace.width)
    return Traced(trace, [t.blocks[0] for t in tensors], shape, tensors[0].dtype)


def _view(trace: Trace, x: Traced, shape: Sequence[int]) -> Traced:
    shape = tuple(shape)
    if -1 in shape:
        known = -torch.Size(shape).numel()
        shape = tuple(x.numel() // known if size == -1 else size for size in shape)
    flat, cut = (trace.rows, len(x.blocks) * trace.width), (trace.rows, len(x.blocks), trace.width)
    whole = shape in (flat, cut) and x.numel() == torch.Size(shape).numel()
    trace.check(whole or shape == tuple(x.shape), f"a view as {shape}")
    return Traced(trace, x.blocks, shape, x.dtype)


def _expand(trace: Trace, x: Traced, shape: Sequence[int], implicit: bool = False) -> Traced:
    old = (*[1] * (len(shape) - x.dim()), *x.shape)
    shape = tuple(o if new == -1 else new for new, o in zip(shape, old, strict=True))
    trace.check(x.shape[-1:] == shape[-1:] and len(shape) == 2, f"expand to {shape}")
    return Traced(trace, x.blocks, shape, x.dtype)


def _sum(trace: Trace, x: Traced, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Traced:
    dims = [dim] if isinstance(dim, int) else list(dim or [])
    trace.check(x.dim() == 2 and keepdim and [d % 2 for d in dims] == [1], "a sum over anything but columns, kept")
    trace.check(dtype in (None, trace.dtype), f"a sum in {dtype}")
    return Traced(trace, [trace.row_sum(x)], (trace.rows, 1))


def _mean(trace: Trace, x: Traced, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Traced:
    return trace.pointwise("div", _sum(trace, x, dim, keepdim, dtype), x.shape[-1])


def _variance(trace: Trace, x: Traced, dim: Any = None, correction: float | None = 1, keepdim: bool = False) -> Traced:
    # The variance has no slope along the mean, so that nothing need be passed on to it.
    centred = trace.pointwise("sub", x, trace.pointwise("detach", _mean(trace, x, dim, keepdim)))
    total = _sum(trace, trace.pointwise("mul", centred, centred), dim, keepdim)
    return trace.pointwise("div", total, x.shape[-1] - (1 if correction is None else correction))


def _layer_norm(
    trace: Trace, x: Traced, shape: Sequence[int], weight: Any, bias: Any, eps: float
) -> tuple[Traced, ...]:
    if x.dim() == 3:
        trace.check(tuple(shape) == (trace.width,), "layer_norm over two axes")
        flat = [Traced(trace, [place], (trace.rows, trace.width)) for place in x.blocks]
        normed = [_layer_norm(trace, block, shape, weight, bias, eps)[0].blocks[0] for block in flat]
        result = Traced(trace, normed, x.shape)
        return result, result, result
    trace.check(tuple(shape) == (x.shape[1],), "layer_norm over anything but all columns")
    mean = _mean(trace, x, [1], True)
    rstd = trace.pointwise("rsqrt", trace.pointwise("add", _variance(trace, x, [1], 0, True), eps))
    shift = trace.pointwise("neg", trace.pointwise("mul", mean, rstd))
    result = trace.pointwise("add", trace.pointwise("mul", x, rstd), shift)
    if weight is not None:
        result = trace.pointwise("mul", result, weight)
    if bias is not None:
        result = trace.pointwise("add", result, bias)
    return result, mean, rstd


_UNARY = (
    *("neg", "abs", "sign", "floor", "sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log1p"),
    *("sigmoid", "tanh", "relu", "detach"),
)
_WITH_NUMBERS = ("mul", "div", "remainder")
_COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne")

OPERATIONS: dict[Any, Callable[..., Any]] = {
    **{getattr(aten, name).default: _pointwise(name) for name in (*_UNARY, "maximum", "minimum")},
    **{getattr(aten, name).Tensor: _pointwise(name) for name in _WITH_NUMBERS},
    **{getattr(aten, name).Scalar: _pointwise(name) for name in _WITH_NUMBERS},
    **{getattr(aten, name).Tensor: _pointwise(name, torch.bool) for name in _COMPARISONS},
    **{getattr(aten, name).Scalar: _pointwise(name, torch.bool) for name in _COMPARISONS},
    **{aten.add.Tensor: _add, aten.add.Scalar: _add, aten.sub.Tensor: _sub, aten.sub.Scalar: _sub},
    **{aten.rsub.Tensor: _rsub, aten.rsub.Scalar: _rsub, aten.pow.Tensor_Scalar: _pow},
    **{aten.addcmul.default: _addcmul, aten.lerp.Tensor: _lerp, aten.lerp.Scalar: _lerp},
    **{aten.clamp.default: _clamp, aten.clamp_min.default: _clamp, aten.clamp_max.default: _clamp_max},
    **{aten.hardtanh.default: _hardtanh, aten.hardsigmoid.default: _hardsigmoid, aten.silu.default: _silu},
    **{aten.softplus.default: _softplus, aten.log_sigmoid_forward.default: _log_sigmoid},
    **{aten.leaky_relu.default: _leaky_relu, aten.elu.default: _elu},
    **{aten.where.self: _where, aten.where.ScalarOther: _where, aten.where.ScalarSelf: _where},
    **{aten.logical_and.default: _both, aten.bitwise_and.Tensor: _both},
    **{aten.logical_or.default: _either, aten.bitwise_or.Tensor: _either},
    **{aten.logical_not.default: _negated, aten.bitwise_not.default: _negated},
    **{aten.zeros_like.default: _zeros, aten.ones_like.default: _ones, aten.full_like.default: _filled},
    **{op.default: _same for op in (aten.alias, aten.clone, aten._to_copy, aten.lift_fresh)},
    **{aten.slice.Tensor: _slice, aten.split.Tensor: _split, aten.split_with_sizes.default: _split},
    **{aten.unbind.int: _unbind, aten.select.int: _select, aten.cat.default: _cat, aten.stack.default: _stack},
    **{aten.view.default: _view, aten._unsafe_view.default: _view, aten.expand.default: _expand},
    **{aten.sum.dim_IntList: _sum, aten.mean.dim: _mean, aten.var.correction: _variance},
    aten.native_layer_norm.default: _layer_norm,
}

"""Reads the arithmetic of a gated cell's `update`: runs it once on tensors that write down what is done to them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.nn.programs.graph import BLOCK, ROW, SCALAR, VECTOR, Graph

aten = torch.ops.aten


class Untraceable(Exception):
    """What an `update` does is not arithmetic within a row, as far as can be told."""


class Traced(Tensor):
    """A tensor without numbers, of (rows, blocks * width), (rows, blocks, width), (blocks * width,) or (rows, 1).

    Attributes:
        trace: What is being written down.
        blocks: The places of its blocks in the graph.
    """

    trace: "Trace"
    blocks: tuple[int, ...]

    @staticmethod
    def __new__(
        cls, trace: "Trace", blocks: Sequence[int], shape: Sequence[int], dtype: torch.dtype | None = None
    ) -> "Traced":
        """Makes one of a given shape."""
        traced = Tensor._make_wrapper_subclass(cls, tuple(shape), dtype=dtype or trace.dtype)
        traced.trace, traced.blocks = trace, tuple(blocks)
        return traced

    def __init__(self, *_: object) -> None:
        super().__init__()

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        """Writes down one operation."""
        trace = next(a.trace for a in _flat(arguments) if isinstance(a, Traced))
        handler = _HANDLERS.get(function)
        if handler is None:
            raise Untraceable(f"{function} is not known to act within a row")
        result = handler(trace, *arguments, **(options or {}))
        if torch.is_grad_enabled():
            return result
        return trace.pointwise("detach", result)  # inside the user's own no_grad


class Trace:
    """One reading of an `update`.

    Args:
        width: Columns of a block: the cell's hidden_size.
        dtype: Of the cell.
        rows: How many rows the stand-ins claim to have.
    """

    def __init__(self, width: int, dtype: torch.dtype, rows: int = 5) -> None:
        self.graph, self.width, self.dtype, self.rows = Graph(), width, dtype, rows

    def rows_input(self, name: str, num_blocks: int) -> Traced:
        """Makes a stand-in of (rows, num_blocks * width)."""
        blocks = [self.graph.input(name, k) for k in range(num_blocks)]
        return Traced(self, blocks, (self.rows, num_blocks * self.width))

    def parameter_input(self, index: int, like: Tensor) -> Traced:
        """Makes a stand-in for what all rows share: (blocks * width,), or a single number."""
        if like.numel() == 1:
            return Traced(self, [self.graph.input(f"parameter{index}", 0, SCALAR)], like.shape)
        if like.dim() != 1 or like.numel() % self.width:
            raise Untraceable(f"a parameter of shape {tuple(like.shape)} is no row of blocks")
        count = like.numel() // self.width
        return Traced(self, [self.graph.input(f"parameter{index}", k, VECTOR) for k in range(count)], like.shape)

    def blocks_of(self, value: Any, count: int) -> list[int]:
        """Gives `count` places for an operand: its blocks, or one that serves for all."""
        if isinstance(value, Traced):
            if len(value.blocks) not in (1, count):
                raise Untraceable("blocks of different number do not pair")
            if len(value.blocks) == 1 and count > 1 and self._is_wide(value.blocks[0]):
                raise Untraceable("a single block does not broadcast over several")
            return list(value.blocks) * (count // len(value.blocks))
        if isinstance(value, Tensor):
            raise Untraceable("a tensor that is neither an argument nor a registered parameter or buffer")
        return [self.graph.constant(float(value))] * count

    def _is_wide(self, place: int) -> bool:
        return self.width > 1 and self.graph.nodes[place].kind in (BLOCK, VECTOR)

    def pointwise(self, op: str, *operands: Any, dtype: torch.dtype | None = None) -> Any:
        """Applies an operation block by block."""
        if isinstance(operands[0], list | tuple):
            return type(operands[0])(self.pointwise(op, item) for item in operands[0])
        traced = [o for o in operands if isinstance(o, Traced)]
        shape = torch.broadcast_shapes(*(t.shape for t in traced))
        count = max(len(t.blocks) for t in traced)
        if len(shape) == 3 and any(t.dim() == 2 and t.shape[1] != 1 for t in traced):
            raise Untraceable("operands of two and of three axes")
        columns = [self.blocks_of(operand, count) for operand in operands]
        blocks = [self.graph.apply(op, *places) for places in zip(*columns, strict=True)]
        return Traced(self, blocks, shape, dtype)

    def row_sum(self, value: Traced) -> int:
        """Adds up all columns of (rows, blocks * width)."""
        self.check(value.dim() == 2 and value.shape[0] == self.rows, "a sum over anything but the last axis")
        sums = [self.graph.apply("sum", place) for place in value.blocks]
        total = sums[0]
        for place in sums[1:]:
            total = self.graph.apply("add", total, place)
        return total

    def check(self, condition: bool, reason: str) -> None:
        """Gives up unless a condition holds."""
        if not condition:
            raise Untraceable(reason)


def _flat(values: Any) -> list[Any]:
    if isinstance(values, list | tuple):
        return [leaf for value in values for leaf in _flat(value)]
    return [values]


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


def _pow(trace: Trace, base: Traced, exponent: Any) -> Traced:
    named = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
    if exponent in named:
        return trace.pointwise(named[exponent], base)
    trace.check(exponent in (1, 2, 3, 4), f"a power of {exponent}")
    result = base
    for _ in range(int(exponent) - 1):
        result = trace.pointwise("mul", result, base)
    return result


def _clamp(trace: Trace, x: Traced, low: Any = None, high: Any = None) -> Traced:
    """Passes the gradient at the bounds too, as torch does: `where` rather than `maximum`."""
    for bound, comparison in ((low, "lt"), (high, "gt")):
        if bound is not None:
            x = trace.pointwise("where", trace.pointwise(comparison, x, bound), bound, x)
    return x


def _addcmul(trace: Trace, x: Traced, a: Any, b: Any, value: float = 1) -> Traced:
    return _add(trace, x, trace.pointwise("mul", a, b), value)


def _lerp(trace: Trace, a: Any, b: Any, weight: Any) -> Traced:
    return trace.pointwise("add", a, trace.pointwise("mul", weight, trace.pointwise("sub", b, a)))


def _softplus(trace: Trace, x: Traced, beta: float = 1, threshold: float = 20) -> Traced:
    scaled = trace.pointwise("mul", x, beta)
    # log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which overflows nowhere
    tail = trace.pointwise("log1p", trace.pointwise("exp", trace.pointwise("neg", trace.pointwise("abs", scaled))))
    soft = trace.pointwise("div", trace.pointwise("add", trace.pointwise("relu", scaled), tail), beta)
    return trace.pointwise("where", trace.pointwise("gt", scaled, threshold), x, soft)


def _log_sigmoid(trace: Trace, x: Traced) -> tuple[Traced, Traced]:
    result = trace.pointwise("neg", _softplus(trace, trace.pointwise("neg", x), 1, float("inf")))
    return result, result


def _silu(trace: Trace, x: Traced) -> Traced:
    return trace.pointwise("mul", x, trace.pointwise("sigmoid", x))


def _leaky_relu(trace: Trace, x: Traced, slope: float = 0.01) -> Traced:
    return trace.pointwise("where", trace.pointwise("gt", x, 0), x, trace.pointwise("mul", x, slope))


def _elu(trace: Trace, x: Traced, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Traced:
    negative = trace.pointwise("expm1", trace.pointwise("mul", trace.pointwise("minimum", x, 0), input_scale))
    below = trace.pointwise("mul", negative, alpha * scale)
    return trace.pointwise("where", trace.pointwise("gt", x, 0), trace.pointwise("mul", x, scale), below)


def _hardsigmoid(trace: Trace, x: Traced) -> Traced:
    shifted = trace.pointwise("add", trace.pointwise("div", x, 6), 0.5)
    return _clamp(trace, shifted, 0, 1)


def _slice(
    trace: Trace, x: Traced, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    size = x.shape[dim]
    start, end, step = slice(start, end, step).indices(size)
    if (start, end, step) == (0, size, 1):
        return Traced(trace, x.blocks, x.shape, x.dtype)
    trace.check(step == 1 and dim in (-1, x.dim() - 1) and x.dim() < 3, "a slice of anything but columns")
    first, last = start / trace.width, end / trace.width
    trace.check(first == int(first) and last == int(last), f"columns {start} to {end} are no whole blocks")
    return Traced(trace, x.blocks[int(first) : int(last)], (*x.shape[:-1], end - start), x.dtype)


def _split(trace: Trace, x: Traced, size: int | Sequence[int], dim: int = 0) -> list[Traced]:
    total = x.shape[dim]
    sizes = [size] * (total // size) if isinstance(size, int) else list(size)
    trace.check(sum(sizes) == total, "a split into unequal parts")
    if x.dim() == 3 and dim % 3 == 1:
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        pieces = [x.blocks[s : s + n] for s, n in zip(starts, sizes, strict=True)]
        return [Traced(trace, p, (x.shape[0], len(p), x.shape[2]), x.dtype) for p in pieces]
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [_slice(trace, x, dim, end - n, end) for end, n in zip(ends, sizes, strict=True)]


def _unbind(trace: Trace, x: Traced, dim: int = 0) -> list[Traced]:
    trace.check(x.dim() == 3 and dim % 3 == 1, "unbind of anything but blocks")
    return [Traced(trace, [place], (x.shape[0], x.shape[2]), x.dtype) for place in x.blocks]


def _select(trace: Trace, x: Traced, dim: int, index: int) -> Traced:
    return _unbind(trace, x, dim)[index]


def _cat(trace: Trace, tensors: Sequence[Any], dim: int = 0) -> Traced:
    trace.check(all(isinstance(t, Traced) for t in tensors), "cat with a tensor from outside")
    dims = {t.dim() for t in tensors}
    axis = dim % tensors[0].dim()
    trace.check(len(dims) == 1 and axis in (1, tensors[0].dim() - 1) and dims <= {1, 2}, "cat of anything but columns")
    trace.check(all(t.shape[-1] % trace.width == 0 for t in tensors), "cat of less than a block")
    blocks = [place for t in tensors for place in t.blocks]
    return Traced(trace, blocks, (*tensors[0].shape[:-1], sum(t.shape[-1] for t in tensors)), tensors[0].dtype)


def _stack(trace: Trace, tensors: Sequence[Traced], dim: int = 0) -> Traced:
    trace.check(dim in (1, -2) and all(isinstance(t, Traced) and len(t.blocks) == 1 for t in tensors), "stack")
    first = tensors[0]
    return Traced(trace, [t.blocks[0] for t in tensors], (first.shape[0], len(tensors), first.shape[1]), first.dtype)


def _view(trace: Trace, x: Traced, shape: Sequence[int]) -> Traced:
    shape = tuple(shape)
    if -1 in shape:
        known = -torch.Size(shape).numel()
        shape = tuple(x.numel() // known if size == -1 else size for size in shape)
    flat = (trace.rows, len(x.blocks) * trace.width)
    trace.check(shape in (flat, (trace.rows, len(x.blocks), trace.width), tuple(x.shape)), f"a view as {shape}")
    return Traced(trace, x.blocks, shape, x.dtype)


def _expand(trace: Trace, x: Traced, shape: Sequence[int], implicit: bool = False) -> Traced:
    shape = tuple(
        old if new == -1 else new for new, old in zip(shape, (*[1] * (len(shape) - x.dim()), *x.shape), strict=True)
    )
    trace.check(x.shape[-1] == shape[-1] and len(shape) == 2, f"expand to {shape}")
    return Traced(trace, x.blocks, shape, x.dtype)


def _same(trace: Trace, x: Traced, **options: Any) -> Traced:
    dtype = options.get("dtype") or x.dtype
    trace.check(dtype in (trace.dtype, x.dtype) or x.dtype is torch.bool, f"a cast to {dtype}")
    return Traced(trace, x.blocks, x.shape, dtype)


def _sum(trace: Trace, x: Traced, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Traced:
    dims = [dim] if isinstance(dim, int) else list(dim or [])
    trace.check(x.dim() == 2 and keepdim and [d % 2 for d in dims] == [1], "a sum over anything but columns, kept")
    return Traced(trace, [trace.row_sum(x)], (trace.rows, 1))


def _mean(trace: Trace, x: Traced, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Traced:
    return trace.pointwise("div", _sum(trace, x, dim, keepdim), x.shape[-1])


def _variance(trace: Trace, x: Traced, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Traced:
    centred = trace.pointwise("sub", x, _mean(trace, x, dim, keepdim))
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
    result = trace.pointwise("mul", trace.pointwise("sub", x, mean), rstd)
    if weight is not None:
        result = trace.pointwise("mul", result, weight)
    if bias is not None:
        result = trace.pointwise("add", result, bias)
    return result, mean, rstd


def _where(trace: Trace, condition: Any, a: Any, b: Any) -> Traced:
    return trace.pointwise("where", condition, a, b)


def _filled(trace: Trace, like: Traced, value: float, **_: Any) -> Traced:
    return Traced(trace, [trace.graph.constant(value)] * len(like.blocks), like.shape)


def _both(trace: Trace, a: Traced, b: Traced) -> Traced:
    return trace.pointwise("mul", a, b, dtype=torch.bool)


def _either(trace: Trace, a: Traced, b: Traced) -> Traced:
    return trace.pointwise("maximum", a, b, dtype=torch.bool)


def _negated(trace: Trace, a: Traced) -> Traced:
    return trace.pointwise("eq", a, 0, dtype=torch.bool)


def _handlers() -> dict[Any, Callable[..., Any]]:
    """Says what is done for each of torch's operations."""
    names = ("neg", "abs", "floor", "sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log1p")
    table: dict[Any, Callable[..., Any]] = {
        getattr(aten, name).default: _pointwise(name) for name in (*names, "sigmoid", "tanh", "relu", "sign", "detach")
    }
    for name in ("gt", "ge", "lt", "le", "eq", "ne"):
        packet = getattr(aten, name)
        table |= {packet.Tensor: _pointwise(name, torch.bool), packet.Scalar: _pointwise(name, torch.bool)}
    for name in ("mul", "div", "remainder"):
        packet = getattr(aten, name)
        table |= {packet.Tensor: _pointwise(name), packet.Scalar: _pointwise(name)}
    table |= {aten.add.Tensor: _add, aten.add.Scalar: _add, aten.sub.Tensor: _sub, aten.sub.Scalar: _sub}
    table |= {aten.rsub.Tensor: _rsub, aten.rsub.Scalar: _rsub, aten.pow.Tensor_Scalar: _pow}
    table |= {aten.maximum.default: _pointwise("maximum"), aten.minimum.default: _pointwise("minimum")}
    table |= {aten.clamp.default: _clamp, aten.clamp_min.default: _clamp, aten.hardtanh.default: _hardtanh}
    table |= {aten.clamp_max.default: lambda trace, x, high: _clamp(trace, x, None, high)}
    table |= {aten.addcmul.default: _addcmul, aten.lerp.Tensor: _lerp, aten.lerp.Scalar: _lerp}
    table |= {
        aten.softplus.default: _softplus,
        aten.log_sigmoid_forward.default: _log_sigmoid,
        aten.silu.default: _silu,
    }
    table |= {aten.leaky_relu.default: _leaky_relu, aten.elu.default: _elu, aten.hardsigmoid.default: _hardsigmoid}
    table |= {aten.slice.Tensor: _slice, aten.split.Tensor: _split, aten.split_with_sizes.default: _split}
    table |= {aten.unbind.int: _unbind, aten.select.int: _select, aten.cat.default: _cat, aten.stack.default: _stack}
    table |= {aten.view.default: _view, aten._unsafe_view.default: _view, aten.expand.default: _expand}
    table |= {op.default: _same for op in (aten.alias, aten.clone, aten._to_copy, aten.lift_fresh)}
    table |= {aten.sum.dim_IntList: _sum, aten.mean.dim: _mean, aten.var.correction: _variance}
    table |= {aten.native_layer_norm.default: _layer_norm}
    table |= {overload: _where for overload in (aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf)}
    table |= {aten.zeros_like.default: lambda trace, x, **_: _filled(trace, x, 0.0)}
    table |= {aten.ones_like.default: lambda trace, x, **_: _filled(trace, x, 1.0), aten.full_like.default: _filled}
    table |= {aten.logical_and.default: _both}
    table |= {op.default: _either for op in (aten.logical_or,)} | {aten.bitwise_or.Tensor: _either}
    table |= {aten.bitwise_and.Tensor: _both, aten.logical_not.default: _negated, aten.bitwise_not.default: _negated}
    return table


def _hardtanh(trace: Trace, x: Traced, low: float = -1, high: float = 1) -> Traced:
    return _clamp(trace, x, low, high)


_HANDLERS = _handlers()

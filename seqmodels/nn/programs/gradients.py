"""Reverse-mode differentiation of a graph, into the same graph."""

from collections.abc import Callable, Sequence

from seqmodels.nn.programs.graph import BLOCK, CONSTANT, ROW, SCALAR, VECTOR, Graph


class Gradients:
    """Builds, in a graph, the gradients of inputs from the gradients of results.

    Args:
        graph: The graph; it grows.
        results: Places, with the places of their gradients.
        width: Columns of a block.
    """

    def __init__(self, graph: Graph, results: list[tuple[int, int]], width: int) -> None:
        self.graph, self.width = graph, width
        self._gradients: dict[int, int] = {}
        for place, gradient in results:
            self._add(place, gradient, BLOCK)
        for place in reversed(graph.reachable([place for place, _ in results])):
            node = graph.nodes[place]
            if place in self._gradients and node.op in _RULES:
                slopes = _RULES[node.op](graph, self._gradients[place], place, *node.arguments)
                for argument, slope in zip(node.arguments, slopes, strict=True):
                    if slope is not None:
                        self._add(argument, slope, node.kind)

    def of(self, place: int) -> int | None:
        """Gives the place of an input's gradient, None where nothing depends on it."""
        return self._gradients.get(place)

    def _add(self, place: int, gradient: int, source: str) -> None:
        """Adds to what a node's gradient is so far, summed over the columns where all of them share the node.

        Args:
            place: The node.
            gradient: What is added.
            source: The kind of the node that it comes from.
        """
        kind, graph = self.graph.nodes[place].kind, self.graph
        if kind == CONSTANT:
            return
        if kind in (ROW, SCALAR) and source == BLOCK:
            same_in_all_columns = graph.nodes[gradient].kind not in (BLOCK, VECTOR)
            width = graph.constant(self.width)
            gradient = graph.apply("mul", gradient, width) if same_in_all_columns else graph.apply("sum", gradient)
        so_far = self._gradients.get(place)
        self._gradients[place] = gradient if so_far is None else graph.apply("add", so_far, gradient)


# The rules: from the graph, the gradient g of y, y and its arguments to the gradients of these, None for zero.
# What has no rule (comparisons, sign, floor, detach) passes nothing on.
Slopes = Sequence[int | None]


def _neg(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("neg", g),)


def _abs(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("mul", g, graph.apply("sign", x)),)


def _exp(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("mul", g, y),)


def _expm1(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("mul", g, graph.apply("add", y, graph.constant(1))),)


def _log(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("div", g, x),)


def _log1p(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("div", g, graph.apply("add", x, graph.constant(1))),)


def _sqrt(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("div", graph.apply("mul", g, graph.constant(0.5)), y),)


def _rsqrt(graph: Graph, g: int, y: int, x: int) -> Slopes:
    cube = graph.apply("mul", y, graph.apply("mul", y, y))
    return (graph.apply("mul", g, graph.apply("mul", cube, graph.constant(-0.5))),)


def _reciprocal(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (graph.apply("neg", graph.apply("mul", g, graph.apply("mul", y, y))),)


def _by_value(op: str) -> Callable[..., Slopes]:
    return lambda graph, g, y, x: (graph.apply(op, g, y),)


def _sum(graph: Graph, g: int, y: int, x: int) -> Slopes:
    return (g,)


def _add(graph: Graph, g: int, y: int, a: int, b: int) -> Slopes:
    return g, g


def _sub(graph: Graph, g: int, y: int, a: int, b: int) -> Slopes:
    return g, graph.apply("neg", g)


def _mul(graph: Graph, g: int, y: int, a: int, b: int) -> Slopes:
    if a == b:
        return graph.apply("mul", graph.apply("mul", g, graph.constant(2)), a), None
    return graph.apply("mul", g, b), graph.apply("mul", g, a)


def _div(graph: Graph, g: int, y: int, a: int, b: int) -> Slopes:
    # g * (y / b) rather than (g / b) * y, which is no number where y is 0 and g / b is infinite
    return graph.apply("div", g, b), graph.apply("neg", graph.apply("mul", g, graph.apply("div", y, b)))


def _remainder(graph: Graph, g: int, y: int, a: int, b: int) -> Slopes:
    times = graph.apply("floor", graph.apply("div", a, b))
    return g, graph.apply("neg", graph.apply("mul", g, times))


def _extremum(better: str) -> Callable[..., Slopes]:
    """The larger (or smaller) one gets all; equals share, as in torch."""

    def slopes(graph: Graph, g: int, y: int, a: int, b: int) -> Slopes:
        half = graph.apply("mul", graph.apply("eq", a, b), graph.constant(0.5))
        shares = [graph.apply("add", graph.apply(better, *pair), half) for pair in ((a, b), (b, a))]
        return [graph.apply("mul", g, share) for share in shares]

    return slopes


def _where(graph: Graph, g: int, y: int, condition: int, a: int, b: int) -> Slopes:
    zero = graph.constant(0)
    return None, graph.apply("where", condition, g, zero), graph.apply("where", condition, zero, g)


_RULES: dict[str, Callable[..., Slopes]] = {
    **{"neg": _neg, "abs": _abs, "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p, "sqrt": _sqrt},
    **{"rsqrt": _rsqrt, "reciprocal": _reciprocal, "sum": _sum},
    **{name: _by_value(f"{name}_grad") for name in ("sigmoid", "tanh", "relu")},
    **{"add": _add, "sub": _sub, "mul": _mul, "div": _div, "remainder": _remainder, "where": _where},
    **{"maximum": _extremum("gt"), "minimum": _extremum("lt")},
}

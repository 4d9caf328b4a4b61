"""Reverse-mode differentiation of a graph, into the same graph."""

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
        self._source = BLOCK  # the kind of the node whose gradient is being passed on
        self._gradients: dict[int, int] = {}
        for place, gradient in results:
            self._add(place, gradient)
        for place in reversed(graph.reachable([place for place, _ in results])):
            if place in self._gradients and graph.nodes[place].op not in ("input", "constant"):
                self._pass_on(place, self._gradients[place])

    def of(self, place: int) -> int | None:
        """Gives the place of an input's gradient, None where nothing depends on it."""
        return self._gradients.get(place)

    def _add(self, place: int, gradient: int) -> None:
        """Adds to what a node's gradient is so far, summed over the columns where all of them share the node."""
        kind, graph = self.graph.nodes[place].kind, self.graph
        if kind == CONSTANT:
            return
        if kind in (ROW, SCALAR) and self._source == BLOCK:
            same_in_all_columns = graph.nodes[gradient].kind not in (BLOCK, VECTOR)
            width = graph.constant(self.width)
            gradient = graph.apply("mul", gradient, width) if same_in_all_columns else graph.apply("sum", gradient)
        so_far = self._gradients.get(place)
        self._gradients[place] = gradient if so_far is None else graph.apply("add", so_far, gradient)

    def _pass_on(self, place: int, g: int) -> None:
        """Passes a node's gradient on to its arguments."""
        graph = self.graph
        node = graph.nodes[place]
        self._source = node.kind
        apply = graph.apply
        a, b, c = (*node.arguments, -1, -1, -1)[:3]
        match node.op:
            case "add":
                self._add(a, g)
                self._add(b, g)
            case "sub":
                self._add(a, g)
                self._add(b, apply("neg", g))
            case "mul":
                self._add(a, apply("mul", g, b))
                self._add(b, apply("mul", g, a))
            case "fma":
                self._add(a, apply("mul", g, b))
                self._add(b, apply("mul", g, a))
                self._add(c, g)
            case "div":
                by_a = apply("div", g, b)
                self._add(a, by_a)
                self._add(b, apply("neg", apply("mul", by_a, place)))
            case "maximum" | "minimum":
                self._add_extremum(node.op, a, b, g)
            case "where":
                zero = graph.constant(0)
                self._add(b, apply("where", a, g, zero))
                self._add(c, apply("where", a, zero, g))
            case "remainder":
                self._add(a, g)
                self._add(b, apply("neg", apply("mul", g, apply("floor", apply("div", a, b)))))
            case "sum":
                self._add(a, g)
            case _:
                slope = self._unary(node.op, place, a, g)
                if slope is not None:
                    self._add(a, slope)

    def _add_extremum(self, op: str, a: int, b: int, g: int) -> None:
        """The larger (or smaller) one gets all; equals share, as in torch."""
        graph = self.graph
        better, equal = ("gt", "eq") if op == "maximum" else ("lt", "eq")
        half = graph.apply("mul", graph.apply(equal, a, b), graph.constant(0.5))
        for x, y in ((a, b), (b, a)):
            self._add(x, graph.apply("mul", g, graph.apply("add", graph.apply(better, x, y), half)))

    def _unary(self, op: str, y: int, x: int, g: int) -> int | None:
        """Gives the gradient of x, where y = op(x); None where there is none."""
        graph = self.graph
        apply, constant = graph.apply, graph.constant
        match op:
            case "sigmoid" | "tanh" | "relu":
                return apply(f"{op}_grad", g, y)
            case "neg":
                return apply("neg", g)
            case "abs":
                return apply("mul", g, apply("sign", x))
            case "exp":
                return apply("mul", g, y)
            case "expm1":
                return apply("mul", g, apply("add", y, constant(1)))
            case "log":
                return apply("div", g, x)
            case "log1p":
                return apply("div", g, apply("add", x, constant(1)))
            case "sqrt":
                return apply("div", apply("mul", g, constant(0.5)), y)
            case "rsqrt":
                cube = apply("mul", y, apply("mul", y, y))
                return apply("mul", g, apply("mul", cube, constant(-0.5)))
            case "reciprocal":
                return apply("neg", apply("mul", g, apply("mul", y, y)))
        return None  # sign, floor, detach, comparisons

"""Arithmetic within a row, as data: what a kernel runs, differentiates and compiles.

A graph is a list of nodes, each an operation on earlier ones. Every node stands for one *block* of `hidden_size`
numbers in each row, for one number in each row (`ROW`, what a sum over a block gives), or for numbers that all rows
share: a `VECTOR` of `hidden_size`, a `SCALAR` that is learned, a constant. A tensor of `k * hidden_size` columns is k
blocks.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

BLOCK, ROW, VECTOR, SCALAR, CONSTANT = "block", "row", "vector", "scalar", "constant"

UNARY = (
    *("neg", "abs", "sign", "floor", "sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log1p"),
    *("sigmoid", "tanh", "relu", "detach"),
)
COMPARISONS = ("gt", "ge", "lt", "le", "eq", "ne")
# sigmoid_grad and tanh_grad take the gradient and the function's value; relu_grad too. fma(a, b, c) = a * b + c.
BINARY = (
    *("add", "sub", "mul", "div", "maximum", "minimum", "remainder", *COMPARISONS),
    *("sigmoid_grad", "tanh_grad", "relu_grad"),
)
TERNARY = ("where", "fma")
ARITY = {**dict.fromkeys(UNARY, 1), "sum": 1, **dict.fromkeys(BINARY, 2), **dict.fromkeys(TERNARY, 3)}


class Node(NamedTuple):
    """One value.

    Attributes:
        op: A name of `ARITY`, "input" or "constant".
        arguments: Places of earlier nodes.
        value: An input's (name, index), or a constant's number.
        kind: `BLOCK`, `ROW`, `VECTOR`, `SCALAR` or `CONSTANT`.
    """

    op: str
    arguments: tuple[int, ...]
    value: tuple[str, int] | float | None
    kind: str


class Graph:
    """A growing list of nodes; equal nodes are one, and what is known already is not computed."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._places: dict[tuple[object, ...], int] = {}

    def input(self, name: str, index: int = 0, kind: str = BLOCK) -> int:
        """Gives the place of an input."""
        return self._place(Node("input", (), (name, index), kind))

    def constant(self, value: float) -> int:
        """Gives the place of a number."""
        return self._place(Node("constant", (), float(value), CONSTANT))

    def apply(self, op: str, *arguments: int) -> int:
        """Gives the place of an operation's result, simplified where it can be.

        Args:
            op: A name of `ARITY`.
            *arguments: Places of its operands.

        Example:
            >>> graph = Graph()
            >>> h = graph.input("state0")
            >>> graph.apply("mul", h, graph.constant(1)) == h
            True
        """
        assert len(arguments) == ARITY[op], (op, arguments)
        simple = self._simplified(op, arguments)
        if simple is not None:
            return simple
        kinds = {self.nodes[a].kind for a in arguments}
        kind = ROW if op == "sum" or kinds <= {ROW, SCALAR, CONSTANT} else BLOCK
        return self._place(Node(op, arguments, None, kind))

    def number(self, place: int) -> float | None:
        """Gives a constant's number, None for what is no constant."""
        node = self.nodes[place]
        return node.value if node.op == "constant" and isinstance(node.value, float) else None

    def _place(self, node: Node) -> int:
        value = node.value
        sign = math.copysign(1.0, value) if isinstance(value, float) else None  # 0.0 == -0.0, but they are two numbers
        key = (node.op, node.arguments, str(value) if value != value else value, sign, node.kind)
        if key not in self._places:
            self._places[key] = len(self.nodes)
            self.nodes.append(node)
        return self._places[key]

    def _simplified(self, op: str, arguments: tuple[int, ...]) -> int | None:
        """Finds the operations that cost nothing. `x * 0` stays: it is no zero where x is infinite."""
        numbers = [self.number(a) for a in arguments]
        if op == "add" and 0.0 in numbers:
            return arguments[1 - numbers.index(0.0)]
        if op == "mul" and 1.0 in numbers:
            return arguments[1 - numbers.index(1.0)]
        if op in ("sub", "div") and numbers[1] == (0.0 if op == "sub" else 1.0):
            return arguments[0]
        if op == "neg" and self.nodes[arguments[0]].op == "neg":
            return self.nodes[arguments[0]].arguments[0]
        if op in ("neg", "add", "sub", "mul", "div") and None not in numbers:
            return self._folded(op, [n for n in numbers if n is not None])
        return None

    def _folded(self, op: str, numbers: list[float]) -> int | None:
        a, b = (*numbers, 0.0)[:2]
        if op == "div" and b == 0:
            return None
        results = {"neg": -a, "add": a + b, "sub": a - b, "mul": a * b, "div": a / b if b else 0.0}
        return self.constant(results[op])

    def reachable(self, roots: list[int]) -> list[int]:
        """Lists, in order, the nodes that some roots are made of."""
        wanted, stack = set(), list(roots)
        while stack:
            place = stack.pop()
            if place not in wanted:
                wanted.add(place)
                stack.extend(self.nodes[place].arguments)
        return sorted(wanted)

    def inputs(self, roots: list[int]) -> Iterator[tuple[int, str, int]]:
        """Lists (place, name, index) of the inputs that some roots are made of."""
        for place in self.reachable(roots):
            node = self.nodes[place]
            if node.op == "input" and isinstance(node.value, tuple):
                yield place, *node.value

"""Programs in the numbers that `loops.cpp` reads: instructions, and where their operands live."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field

from seqmodels.nn.programs.graph import BLOCK, CONSTANT, ROW, VECTOR, Graph

# In the order of `enum Operation`; "copy", "dot" and "accumulate" are no operations of a graph.
OPERATIONS = (
    *("neg", "abs", "sign", "floor", "sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log1p", "sigmoid", "tanh"),
    *("relu", "copy", "add", "sub", "mul", "div", "maximum", "minimum", "remainder", "gt", "ge", "lt", "le", "eq"),
    *("ne", "sigmoid_grad", "tanh_grad", "relu_grad", "where", "fma", "sum", "dot", "accumulate"),
)
# In the order of `enum Place`.
REGISTER, ROW_REGISTER, NUMBER, STEP, BEFORE, AFTER, BATCH, SHARED, ACCUMULATOR = range(9)


@dataclass(frozen=True)
class Location:
    """Where a value lives: a place, which buffer (or register, or number) of it, and which block of a row."""

    place: int
    index: int
    column: int = 0
    wide: bool = True


@dataclass
class Encoded:
    """What `loops.cpp` runs for each block of rows.

    Attributes:
        operands: Locations by number.
        instructions: (operation, target, a, b, c), operands by number.
        numbers: Constants.
        num_registers: Registers in use.
    """

    operands: list[Location] = field(default_factory=list)
    instructions: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    num_registers: int = 0

    def operand(self, location: Location) -> int:
        """Gives a location's number."""
        if location not in self.operands:
            self.operands.append(location)
        return self.operands.index(location)

    def emit(self, operation: str, target: Location, *arguments: Location) -> None:
        """Appends an instruction."""
        numbers = [self.operand(argument) for argument in arguments]
        numbers += [numbers[0] if numbers else 0] * (3 - len(numbers))
        self.instructions.append((OPERATIONS.index(operation), self.operand(target), *numbers))  # type: ignore[arg-type]

    def tables(self) -> tuple[ctypes.Array[ctypes.c_int32], ctypes.Array[ctypes.c_int32]]:
        """Gives operands and instructions as `loops.cpp` has them."""
        operands = [n for o in self.operands for n in (o.place, o.index, o.column, int(o.wide))]
        instructions = [n for instruction in self.instructions for n in instruction]
        return (ctypes.c_int32 * len(operands))(*operands), (ctypes.c_int32 * len(instructions))(*instructions)


def encode(
    graph: Graph,
    known: dict[int, Location],
    targets: Sequence[tuple[int | None, Location]],
    accumulated: Sequence[tuple[int, Location]] = (),
) -> Encoded:
    """Turns a part of a graph into instructions.

    Args:
        graph: The graph.
        known: Where the values are that need not be computed.
        targets: What to put where; None is zero. A target may be where a known value was, which is read before.
        accumulated: What to add up over all rows, and where.
    """
    encoder = _Encoder(graph, known, targets, accumulated)
    encoder.write()
    return encoder.encoded


class _Encoder:
    """Chooses for each value where it lives while it is needed.

    Attributes:
        order: The places to compute, in this order.
        calls: The operation and its arguments, by place.
        where: Where a value is, by place: known at first, then as it is computed.
        last_use: The last step, as an index of `order`, that reads a place.
        free: Registers free again, wide and narrow apart: a row of one overlaps many of the other.
        claims: The targets that are computed where they are wanted.
        pending: The targets that are copied there at the end.
    """

    def __init__(
        self,
        graph: Graph,
        known: dict[int, Location],
        targets: Sequence[tuple[int | None, Location]],
        accumulated: Sequence[tuple[int, Location]],
    ) -> None:
        self.graph, self.known, self.targets, self.accumulated = graph, known, targets, accumulated
        self.encoded, self.where = Encoded(), dict(known)
        roots = [p for p, _ in targets if p is not None] + [p for p, _ in accumulated]
        self.order, self.calls = _schedule(graph, known, roots)
        self.last_use = {a: step for step, place in enumerate(self.order) for a in self.calls[place][1]}
        self.last_use |= {place: len(self.order) for place, _ in accumulated}
        self.free: dict[bool, list[int]] = {True: [], False: []}
        self.moved: dict[int, Location] = {}
        self.claims: dict[int, Location] = {}
        self.pending: list[tuple[int, Location]] = []

    def write(self) -> None:
        """Emits all instructions."""
        self._move_known_targets()
        self._claim()
        for step, place in enumerate(self.order):
            self._emit(step, place)
        for place, location in self.accumulated:
            self.encoded.emit("accumulate", location, self._read(place))
        for place, location in self.pending:
            self.encoded.emit("copy", location, self._read(place))
        zero = self.graph.constant(0)
        for root, location in self.targets:
            if root is None:
                self.encoded.emit("copy", location, self._read(zero))

    def _move_known_targets(self) -> None:
        """Reads what is only moved first, as its place may be another's target."""
        known, aimed = self.known, {location for _, location in self.targets}
        for root, location in self.targets:
            if root is not None and root in known and known[root] != location and known[root] in aimed:
                self.moved[root] = self._register(BLOCK)
                self.encoded.emit("copy", self.moved[root], known[root])

    def _claim(self) -> None:
        """Lets values be computed where they are wanted, where nothing else there is still to be read."""
        readers: dict[Location, int] = {}
        for place, location in self.where.items():
            readers[location] = max(readers.get(location, -1), self.last_use.get(place, -1))
        position = {place: step for step, place in enumerate(self.order)}
        for root, location in self.targets:
            if root is None or self.where.get(root) == location:
                continue
            wide = self.graph.nodes[root].kind in (BLOCK, VECTOR)
            if root in position and root not in self.claims and wide and readers.get(location, -1) <= position[root]:
                self.claims[root] = location
            else:
                self.pending.append((root, location))
                self.last_use[root] = len(self.order)

    def _emit(self, step: int, place: int) -> None:
        op, arguments = self.calls[place]
        operands = [self._read(argument) for argument in arguments]
        for argument in set(arguments):
            location = self.where.get(argument)
            if location and location.place in (REGISTER, ROW_REGISTER) and self.last_use[argument] == step:
                self.free[location.wide].append(location.index)
        self.where[place] = self.claims[place] if place in self.claims else self._register(self.graph.nodes[place].kind)
        self.encoded.emit("copy" if op == "detach" else op, self.where[place], *operands)

    def _register(self, kind: str) -> Location:
        wide = kind in (BLOCK, VECTOR)
        if not self.free[wide]:
            self.free[wide].append(self.encoded.num_registers)
            self.encoded.num_registers += 1
        return Location(REGISTER if wide else ROW_REGISTER, self.free[wide].pop(), wide=wide)

    def _read(self, place: int) -> Location:
        if place in self.moved:
            return self.moved[place]
        number = self.graph.number(place)
        if place not in self.where and number is not None:
            if number not in self.encoded.numbers:
                self.encoded.numbers.append(number)
            return Location(NUMBER, self.encoded.numbers.index(number), wide=False)
        return self.where[place]


def _schedule(
    graph: Graph, known: dict[int, Location], roots: list[int]
) -> tuple[list[int], dict[int, tuple[str, tuple[int, ...]]]]:
    """Lists what must be computed, in order, with multiplications joined to the addition or sum they are for."""
    wanted: set[int] = set()
    stack = list(roots)
    users: dict[int, int] = {}
    while stack:
        place = stack.pop()
        if place in wanted or place in known or graph.nodes[place].kind == CONSTANT:
            continue
        wanted.add(place)
        for argument in graph.nodes[place].arguments:
            users[argument] = users.get(argument, 0) + 1
            stack.append(argument)
    calls: dict[int, tuple[str, tuple[int, ...]]] = {}
    joined: set[int] = set()
    for place in sorted(wanted):
        node = graph.nodes[place]
        calls[place] = (node.op, node.arguments)
        if (node.op, node.kind) not in (("add", BLOCK), ("sum", ROW)):
            continue
        for product in node.arguments:
            single = users[product] == 1 and product in wanted and product not in roots
            if single and graph.nodes[product].op == "mul" and graph.nodes[product].kind == BLOCK:
                others = list(node.arguments)
                others.remove(product)
                calls[place] = ("fma" if others else "dot", (*graph.nodes[product].arguments, *others))
                joined.add(product)
                break
    return [place for place in sorted(wanted) if place not in joined], calls

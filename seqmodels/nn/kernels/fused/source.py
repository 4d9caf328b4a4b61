"""The text of two Triton kernels for a program: one step forward, one step back.

An instance of a kernel computes a tile of R rows and C columns of every block. All values in it have two axes: blocks
are (R, C), what a row shares (R, 1), what all rows share (1, C), numbers (1, 1). Arithmetic is in `FLOAT`, float32 or
float64, whatever the buffers hold.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from seqmodels.nn.programs import StepProgram
from seqmodels.nn.programs.graph import CONSTANT, ROW, SCALAR, VECTOR

_EXPRESSIONS = {
    "neg": "-{0}",
    "abs": "tl.abs({0})",
    "sign": "sign({0})",
    "floor": "tl.floor({0})",
    "sqrt": "tl.sqrt({0})",
    "rsqrt": "tl.rsqrt({0})",
    "reciprocal": "1.0 / {0}",
    "exp": "tl.exp({0})",
    "expm1": "expm1({0})",
    "log": "tl.log({0})",
    "log1p": "log1p({0})",
    "sigmoid": "sigmoid({0})",
    "tanh": "tanh({0})",
    "relu": "tl.where({0} < 0, 0.0, {0})",
    "detach": "{0}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "maximum": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "minimum": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "remainder": "remainder({0}, {1})",
    "gt": "({0} > {1}).to(FLOAT)",
    "ge": "({0} >= {1}).to(FLOAT)",
    "lt": "({0} < {1}).to(FLOAT)",
    "le": "({0} <= {1}).to(FLOAT)",
    "eq": "({0} == {1}).to(FLOAT)",
    "ne": "({0} != {1}).to(FLOAT)",
    "sigmoid_grad": "{0} * (1.0 - {1}) * {1}",
    "tanh_grad": "{0} * (1.0 - {1} * {1})",
    "relu_grad": "tl.where({1} > 0, {0}, 0.0)",
    "where": "tl.where({0} != 0, {1}, {2})",
    "fma": "{0} * {1} + {2}",
    "sum": "tl.sum(tl.where(column < H, {0}, 0.0), axis=1, keep_dims=True)",
}

_TILE = """\
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)[:, None]
    column = tl.program_id(1) * C + tl.arange(0, C)[None, :]
    zero = tl.full((1, 1), 0, tl.int32)
    inside = (row < rows) & (column < H)
    here = (begin + row) * H + column
    old = (before + row) * H + column
    new = (after + row) * H + column
"""


@dataclass(frozen=True)
class StepSource:
    """The kernels of a program, and what must be known to call them.

    Their arguments are, in this order:

        step_forward    work, hidden, output, histories, parameters, rows, begin, before, after
        step_backward   work, product, output, grad_output, grad_work, sums, histories, grad_states, parameters,
                        rows, begin, before, after

    and by name `H` (hidden_size), `FLOAT`, `R`, `C`, and for `step_forward` `STEP` (whether to write output and state),
    `CAST` (whether to write the hidden state into `hidden` too) and `KEEP` (whether to keep what the derivative reads).

    Attributes:
        text: Of `step_forward` and `step_backward`.
        parameters: Which of the shared parameters are arguments.
        sums: (parameter, block) of each row of `sums`, (row tiles, rows, hidden_size).
        whole_rows: Whether a tile must hold all columns.
    """

    text: str
    parameters: tuple[int, ...]
    sums: tuple[tuple[int, int], ...]
    whole_rows: bool


@functools.cache
def write_source(program: StepProgram) -> StepSource:
    """Writes the kernels of a program."""
    nodes = program.graph.nodes
    parameters = sorted(
        {int(n.value[0][9:]) for n in nodes if isinstance(n.value, tuple) and n.value[0][:9] == "parameter"}
    )
    backward, forward = _Backward(program, parameters), _Forward(program, parameters)
    scalar_sums = any(_is_scalar(program, j) for j, *_ in program.grad_parameters)
    return StepSource(
        text=forward.text() + "\n\n" + backward.text(),
        parameters=tuple(parameters),
        sums=tuple((j, k) for j, k, _ in program.grad_parameters),
        whole_rows=forward.sums_rows or backward.sums_rows or scalar_sums,
    )


def _is_scalar(program: StepProgram, parameter: int) -> bool:
    name = f"parameter{parameter}"
    return any(n.kind == SCALAR for n in program.graph.nodes if isinstance(n.value, tuple) and n.value[0] == name)


class _Kernel:
    """Text that loads what is read, computes it once, and stores what is wanted."""

    def __init__(self, program: StepProgram, parameters: list[int]) -> None:
        self.program, self.parameters = program, parameters
        self.histories = [f"history{s}" for s in range(len(program.states))]
        self.sums_rows = False
        self.lines: list[str] = []
        self.written: set[int] = set()

    def location(self, place: int) -> str | None:
        """Says where the kernel finds a value; None where it must compute it."""
        value = self.program.graph.nodes[place].value
        if not isinstance(value, tuple):
            return None
        name, block = value
        if name.startswith("state"):
            return f"history{name[5:]} + old"
        if name.startswith("parameter"):
            return (
                f"{name} + zero" if self.program.graph.nodes[place].kind == SCALAR else f"{name} + {block} * H + column"
            )
        return None

    def write(self, roots: Iterable[int]) -> None:
        """Writes what some values are made of, in order."""
        wanted: set[int] = set()
        stack = list(roots)
        while stack:
            place = stack.pop()
            if place not in wanted | self.written:
                wanted.add(place)
                if self.location(place) is None:
                    stack.extend(self.program.graph.nodes[place].arguments)
        for place in sorted(wanted):
            self.lines.append(f"v{place} = {self._expression(place)}")
        self.written |= wanted

    def _expression(self, place: int) -> str:
        node, location = self.program.graph.nodes[place], self.location(place)
        if node.kind == CONSTANT:
            return f"tl.full((1, 1), {_number(node.value)}, FLOAT)"
        if location is not None:
            mask = {VECTOR: ", mask=column < H, other=0.0", SCALAR: ""}.get(node.kind, ", mask=inside, other=0.0")
            return f"tl.load({location}{mask}).to(FLOAT)"
        if node.op == "sum":
            if self.program.graph.nodes[node.arguments[0]].kind in (ROW, SCALAR, CONSTANT):
                return f"v{node.arguments[0]}"  # of one column
            self.sums_rows = True
        return _EXPRESSIONS[node.op].format(*(f"v{a}" for a in node.arguments))

    def wait(self) -> None:
        """Lets all threads of the instance read what any of them is about to overwrite."""
        self.lines.append("tl.debug_barrier()")

    def store(self, location: str, place: int | None, indent: str = "") -> None:
        """Writes a value, zero if None, to (R, C) places."""
        value = "tl.full((1, 1), 0.0, FLOAT)" if place is None else f"v{place}"
        self.lines.append(f"{indent}tl.store({location}, {value}, mask=inside)")

    def assemble(self, name: str, buffers: list[str], constants: str) -> str:
        """Puts a head to the lines."""
        shared = [f"parameter{j}" for j in self.parameters]
        arguments = ", ".join([*buffers, *shared, "rows", "begin", "before", "after"])
        constants = ", ".join(f"{c}: tl.constexpr" for c in constants.split())
        head = '@triton.jit(do_not_specialize=["rows", "begin", "before", "after"])\n'
        head += f"def {name}({arguments}, {constants}):\n{_TILE}"
        return head + "".join(f"    {line}\n" for line in self.lines)


class _Forward(_Kernel):
    """One step forward."""

    def location(self, place: int) -> str | None:
        """Finds the products in the workspace."""
        value = self.program.graph.nodes[place].value
        if isinstance(value, tuple) and value[0] == "work":
            return f"work + blocks + {value[1]} * H"
        return super().location(place)

    def text(self) -> str:
        """Gives the kernel."""
        program, nodes = self.program, self.program.graph.nodes
        kept, columns = program.num_saved_blocks, program.layout.num_blocks
        self.lines.append(f"blocks = (begin + row) * (H * ({kept} if KEEP else {columns})) + column")
        moved = {place: k for place, k in program.saved.items() if nodes[place].value != ("work", k)}
        self.write([*program.states, program.output, *moved])
        self.wait()
        self.lines.append("if STEP:")
        for s, place in enumerate(program.states):
            self.store(f"history{s} + new", place, "    ")
        if not program.output_is_state:
            self.store("output + here", program.output, "    ")
        self.lines.append("if CAST:")
        self.store("hidden + new", program.states[0], "    ")
        if moved:
            self.lines.append("if KEEP:")
        for place, k in moved.items():
            self.store(f"work + blocks + {k} * H", place, "    ")
        return self.assemble(
            "step_forward", ["work", "hidden", "output", *self.histories], "H STEP CAST KEEP FLOAT R C"
        )


class _Backward(_Kernel):
    """One step back. The gradient of the hidden state is in two parts: one through the product, one not."""

    def location(self, place: int) -> str | None:
        """Finds what the way forward left, and the gradients of what came after."""
        program = self.program
        value = program.graph.nodes[place].value
        if place in program.saved:
            return f"work + kept + {program.saved[place]} * H"
        if isinstance(value, tuple) and value[0] == "grad_output":
            return "grad_output + here"
        if isinstance(value, tuple) and value[0].startswith("grad_state"):
            return f"{value[0]} + across"
        shared = super().location(place)
        if shared is None and program.graph.number(place) is None:
            if place in program.states:
                return f"history{program.states.index(place)} + new"
            if place == program.output:
                return "output + here"
        return shared

    def _expression(self, place: int) -> str:
        expression = super()._expression(place)
        if self.program.graph.nodes[place].value == ("grad_state0", 0):
            return f"{expression} + tl.load(product + across, mask=inside, other=0.0).to(FLOAT)"
        return expression

    def text(self) -> str:
        """Gives the kernel."""
        program = self.program
        states, columns = range(len(program.states)), program.layout.num_blocks
        self.lines.append("across = row * H + column")
        self.lines.append(f"kept = (begin + row) * (H * {program.num_saved_blocks}) + column")
        self.lines.append(f"gates = (begin + row) * (H * {columns}) + column")
        accumulated = [place for *_, place in program.grad_parameters]
        results = [*program.grad_work, *program.grad_states, *accumulated]
        self.write(place for place in results if place is not None)
        self.wait()
        for k, place in enumerate(program.grad_work):
            self.store(f"grad_work + gates + {k} * H", place)
        for s, place in enumerate(program.grad_states):
            self.store(f"grad_state{s} + across", place)
        for n, (j, _, place) in enumerate(program.grad_parameters):
            self._accumulate(n, place, _is_scalar(program, j))
        buffers = ["work", "product", "output", "grad_output", "grad_work", "sums"]
        buffers += [*self.histories, *(f"grad_state{s}" for s in states)]
        return self.assemble("step_backward", buffers, "H FLOAT R C")

    def _accumulate(self, n: int, place: int, is_scalar: bool) -> None:
        """Adds what the rows of the tile give to the tile's own sums, so that no two instances write to one place."""
        column, mask, of = ("zero", "zero == 0", "row < rows") if is_scalar else ("column", "column < H", "inside")
        self.lines += [
            f"s{n} = sums + (tl.program_id(0) * {len(self.program.grad_parameters)} + {n}) * H + {column}",
            f"t{n} = tl.sum(tl.where({of}, v{place}, 0.0), axis=0, keep_dims=True)",
            f"tl.store(s{n}, tl.load(s{n}, mask={mask}, other=0.0) + t{n}, mask={mask})",
        ]


def _number(value: object) -> str:
    text = repr(value)
    return text if text[-1].isdigit() else f'float("{text}")'

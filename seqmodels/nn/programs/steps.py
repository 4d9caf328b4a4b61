"""From a cell's `update` to what a kernel needs of it: one step forward, one step back, and what lies between."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.programs.gradients import Gradients
from seqmodels.nn.programs.graph import ROW, SCALAR, Graph
from seqmodels.nn.programs.tracing import Trace, Traced, Untraceable

# Worth a place in memory rather than a second computation in the backward pass.
_SAVED = {"sigmoid", "tanh", "relu", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "div", "remainder"}


@dataclass(frozen=True)
class Layout:
    """Where the products of a step land: the blocks of a workspace of (rows, blocks * hidden_size).

    The first `num_gates` blocks receive the recurrent product. A block of it that `update` only ever adds to one of
    the projected inputs shares that one's place. The projected inputs are the last blocks.

    Attributes:
        recurrent: The block of `weight_hh`'s rows at each of the first places.
        projected: The block of the projected inputs at each of the last places.
    """

    recurrent: tuple[int, ...]
    projected: tuple[int, ...]
    num_blocks: int

    @property
    def first_projected(self) -> int:
        """Gives the place of the first projected block."""
        return self.num_blocks - len(self.projected)


@dataclass(frozen=True, eq=False)  # one program is itself alone, so that plans can be kept by it
class StepProgram:
    """One step of a gated cell and its derivative.

    Inputs of the graph are `work` (the blocks of the layout), `state0`, `state1`, ..., `parameter0`, ... (what all rows
    share) and, for the derivative, `grad_output`, `grad_state0`, ...

    Attributes:
        graph: All arithmetic.
        layout: Of the workspace before the step.
        output: Place of the output.
        states: Places of the new state.
        saved: Place of each value that the derivative reads, by the block of the workspace where it is kept.
        num_saved_blocks: Blocks of the workspace after the step, at least the layout's.
        grad_work: Places of the gradients of the layout's blocks; None for zero.
        grad_states: Places of the gradients of the state before the step, the recurrent product apart; None for zero.
        grad_parameters: (parameter, block, place of its gradient).
    """

    graph: Graph
    layout: Layout
    output: int
    states: tuple[int, ...]
    saved: dict[int, int]
    num_saved_blocks: int
    grad_work: tuple[int | None, ...]
    grad_states: tuple[int | None, ...]
    grad_parameters: tuple[tuple[int, int, int], ...]

    @property
    def output_is_state(self) -> bool:
        """Tells whether the output is the first tensor of the new state."""
        return self.output == self.states[0]


def shared_parameters(cell: nn.Module) -> dict[str, Tensor]:
    """Names the registered tensors that an update may read: all but the weights of the products."""
    products = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    named = [*cell.named_parameters(), *cell.named_buffers()]
    return {name: tensor for name, tensor in named if name.rpartition(".")[2] not in products}


class _Update(nn.Module):
    """Calls `update` as a forward, so that `functional_call` can put other tensors for the parameters."""

    def __init__(self, cell: GatedCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, projected: Tensor, recurrent: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Gives output and state."""
        output, new_state = self.cell.update(projected, recurrent, state)
        return output, *new_state


def call_update(
    cell: GatedCell, parameters: dict[str, Tensor], projected: Tensor, recurrent: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """Runs `update` with other tensors for what all rows share."""
    renamed = {f"cell.{name}": tensor for name, tensor in parameters.items()}
    arguments = (projected, recurrent, state)
    return torch.func.functional_call(_Update(cell), renamed, arguments)  # type: ignore[no-any-return]


def derive(cell: GatedCell, num_projected: int, dtype: torch.dtype) -> StepProgram:
    """Reads a cell's `update` and differentiates it.

    Args:
        cell: The cell.
        num_projected: Blocks of what `project` gives.
        dtype: Of the cell.

    Raises:
        Untraceable: It is no arithmetic within a row.
    """
    trace = Trace(cell.hidden_size, dtype)
    parameters = shared_parameters(cell)
    stand_ins: dict[str, Tensor] = {}
    for index, (name, tensor) in enumerate(parameters.items()):
        if tensor.is_floating_point() and (tensor.dim() <= 1 or tensor.numel() == 1):
            stand_ins[name] = trace.parameter_input(index, tensor)
    states = tuple(trace.rows_input(f"state{s}", 1) for s in range(cell.num_states))
    projected = trace.rows_input("projected", num_projected)
    recurrent = trace.rows_input("recurrent", cell.num_gates)
    with torch.enable_grad():
        results = call_update(cell, stand_ins, projected, recurrent, states)
    places = []
    for result in results:
        trace.check(isinstance(result, Traced) and len(result.blocks) == 1, "an output or state of the wrong shape")
        places.append(result.blocks[0])
    trace.check(len(places) == 1 + cell.num_states, f"{len(places) - 1} state tensors, not {cell.num_states}")
    graph, places, layout = _laid_out(trace.graph, places, cell.num_gates, num_projected)
    return _differentiated(graph, layout, places, cell.hidden_size)


def _laid_out(graph: Graph, roots: list[int], num_gates: int, num_projected: int) -> tuple[Graph, list[int], Layout]:
    """Copies a graph so that it reads the workspace in place of the two products."""
    reachable = graph.reachable(roots)
    users: dict[int, set[int]] = {place: set() for place in reachable}
    for place in reachable:
        for argument in graph.nodes[place].arguments:
            users[argument].add(place)
    joined: dict[int, tuple[int, int]] = {}  # projected block: (gate, place of the sum)
    inputs = {(name, index): place for place, name, index in graph.inputs(roots)}
    for gate in range(num_gates):
        sums = users.get(inputs.get(("recurrent", gate), -1), set())
        for place in sums if len(sums) == 1 else ():
            others = [a for a in graph.nodes[place].arguments if a != inputs["recurrent", gate]]
            value = graph.nodes[others[0]].value if others else None
            if graph.nodes[place].op == "add" and isinstance(value, tuple) and value[0] == "projected":
                if users[others[0]] == {place} and not {others[0], inputs["recurrent", gate]} & set(roots):
                    joined[value[1]] = (gate, place)
    apart = [gate for gate in range(num_gates) if gate not in {g for g, _ in joined.values()}]
    order = [*sorted(joined), *(p for p in range(num_projected) if p not in joined)]
    layout = Layout(
        recurrent=(*apart, *(joined[p][0] for p in sorted(joined))),
        projected=tuple(order),
        num_blocks=len(apart) + num_projected,
    )
    work: dict[object, int] = {("recurrent", gate): k for k, gate in enumerate(apart)}
    work |= {joined[p][1] if p in joined else ("projected", p): len(apart) + k for k, p in enumerate(order)}
    copy, places = Graph(), {}
    for place in reachable:
        node = graph.nodes[place]
        block = work.get(place, work.get(node.value) if isinstance(node.value, tuple) else None)
        if block is not None:
            places[place] = copy.input("work", block)
        elif isinstance(node.value, tuple):
            places[place] = copy.input(*node.value, node.kind)
        elif node.op == "constant" and isinstance(node.value, float):
            places[place] = copy.constant(node.value)
        else:
            places[place] = copy.apply(node.op, *(places[a] for a in node.arguments))
    return copy, [places[root] for root in roots], layout


def _differentiated(graph: Graph, layout: Layout, results: list[int], width: int) -> StepProgram:
    """Adds the derivative, and decides what is kept for it."""
    output, *states = results
    forward = graph.reachable(results)
    seeds = [(output, graph.input("grad_output"))]
    seeds += [(place, graph.input(f"grad_state{s}")) for s, place in enumerate(states)]
    gradients = Gradients(graph, seeds, width)
    inputs = {(name, index): place for place, name, index in graph.inputs(results)}

    def of(name: str, index: int = 0) -> int | None:
        return gradients.of(inputs[name, index]) if (name, index) in inputs else None

    grad_work = tuple(of("work", k) for k in range(layout.num_blocks))
    grad_states = tuple(of(f"state{s}") for s in range(len(states)))
    parameters = [
        (int(name[9:]), k, gradients.of(place)) for (name, k), place in inputs.items() if name[:9] == "parameter"
    ]
    grad_parameters = tuple((j, k, place) for j, k, place in parameters if place is not None)
    roots = [p for p in (*grad_work, *grad_states, *(p for *_, p in grad_parameters)) if p is not None]
    kept = _kept(graph, set(forward), roots, {output, *states})
    saved, count = _places(graph, forward, kept, layout.num_blocks)
    return StepProgram(graph, layout, output, tuple(states), saved, count, grad_work, grad_states, grad_parameters)


def _kept(graph: Graph, forward: set[int], roots: list[int], results: set[int]) -> list[int]:
    """Chooses the values of the forward step that the derivative reads rather than computes again.

    States, outputs and parameters are there anyway; what is cheap, or made of those alone, is computed again.
    """

    def free(place: int) -> bool:
        node = graph.nodes[place]
        return place in results or node.op == "constant" or (node.op == "input" and node.value[0] != "work")  # type: ignore[index]

    kept, seen, stack = set(), set(), list(roots)
    while stack:
        place = stack.pop()
        if place in seen:
            continue
        seen.add(place)
        node = graph.nodes[place]
        if place in forward:
            if free(place):
                continue
            expensive = node.op in _SAVED and node.kind not in (ROW, SCALAR) and not all(map(free, node.arguments))
            if node.op == "input" or expensive:
                kept.add(place)
                continue
        stack.extend(node.arguments)
    return sorted(kept)


def _places(graph: Graph, forward: list[int], kept: list[int], num_blocks: int) -> tuple[dict[int, int], int]:
    """Finds each kept value a block of the workspace, over one that nothing reads any more where there is one."""
    last_use = dict.fromkeys(range(num_blocks), -1)
    for place in forward:
        for argument in graph.nodes[place].arguments:
            value = graph.nodes[argument].value
            if isinstance(value, tuple) and value[0] == "work":
                last_use[value[1]] = place
    saved: dict[int, int] = {}
    for place in kept:
        value = graph.nodes[place].value
        if isinstance(value, tuple):
            saved[place] = value[1]
    for place in kept:
        if place not in saved:
            over = [k for k, use in last_use.items() if use <= place and k not in saved.values()]
            own = [
                graph.nodes[a].value[1] for a in graph.nodes[place].arguments if isinstance(graph.nodes[a].value, tuple)
            ]  # type: ignore[index]
            over.sort(key=lambda k: k not in own)
            saved[place] = over[0] if over else max(num_blocks, *(k + 1 for k in saved.values()), 0)
    return saved, max([num_blocks, *(k + 1 for k in saved.values())])

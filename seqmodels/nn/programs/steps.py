"""From a cell's `update` to what a kernel needs of it: one step forward, one step back, and what lies between."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqmodels.nn.cells.gated import GatedCell, Weights
from seqmodels.nn.programs.gradients import Gradients
from seqmodels.nn.programs.graph import ROW, SCALAR, Graph
from seqmodels.nn.programs.operations import OPERATIONS
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

    @functools.cached_property
    def is_plain(self) -> bool:
        """Tells whether every gate shares the place of the projected input of its own number."""
        order = tuple(range(self.num_blocks))
        return self.recurrent == order == self.projected

    @property
    def first_projected(self) -> int:
        """Gives the place of the first projected block."""
        return self.num_blocks - len(self.projected)


@dataclass(frozen=True, eq=False)  # one program is itself alone, so that plans can be kept by it
class StepProgram:
    """One step of a gated cell and its derivative.

    Inputs of the graph are `work` (the blocks of the layout), `drawn` (what the cell's `draw` gave), `state0`, ...,
    `parameter0`, ... (what all rows share) and, for the derivative, `grad_output`, `grad_state0`, ...

    Attributes:
        graph: All arithmetic.
        layout: Of the workspace before the step.
        num_drawn: Blocks of what is drawn.
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
    num_drawn: int
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
    return {name: tensor for name, tensor in _registered(cell) if name.rpartition(".")[2] not in Weights._fields}


def _registered(cell: nn.Module) -> list[tuple[str, Tensor]]:
    return [*cell.named_parameters(), *cell.named_buffers()]


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
    """Runs `update` with other tensors for what all rows share.

    Args:
        cell: The cell.
        parameters: The other tensors, by the names that the cell has for them.
        projected: As for `update`.
        recurrent: As for `update`.
        state: As for `update`.

    Returns:
        The output, and each tensor of the new state.

    Raises:
        Untraceable: It puts a tensor of its own in the place of a registered one.
    """
    renamed = {f"cell.{name}": tensor for name, tensor in parameters.items()}
    given = dict(renamed)
    results: tuple[Tensor, ...] = torch.func.functional_call(_Update(cell), renamed, (projected, recurrent, state))
    if any(renamed[name] is not tensor for name, tensor in given.items()):
        raise Untraceable("it sets a parameter or buffer")
    return results


def derive(cell: GatedCell, num_projected: int, num_drawn: int, dtype: torch.dtype) -> StepProgram:
    """Reads a cell's `update` and differentiates it.

    Args:
        cell: The cell.
        num_projected: Blocks of what `project` gives.
        num_drawn: Blocks of what `draw` gives.
        dtype: Of the cell.

    Raises:
        Untraceable: It is no arithmetic within a row.
    """
    graph, places = _traced(cell, num_projected, num_drawn, dtype, rows=5)
    again, same_places = _traced(cell, num_projected, num_drawn, dtype, rows=1_000_003)
    if (graph.nodes, places) != (again.nodes, same_places):
        raise Untraceable("it depends on the number of rows")
    sums = _sums_of_products(graph, places, cell.num_gates)
    layout = _layout(sums, cell.num_gates, num_projected)
    graph, places = _on_workspace(graph, places, layout, sums)
    return _differentiated(graph, layout, num_drawn, places, cell.hidden_size)


def _traced(
    cell: GatedCell, num_projected: int, num_drawn: int, dtype: torch.dtype, rows: int
) -> tuple[Graph, list[int]]:
    """Writes down what a cell's `update` does with so many rows; gives the places of output and new state."""
    trace = Trace(cell.hidden_size, dtype, OPERATIONS, rows)
    indices = {name: index for index, name in enumerate(shared_parameters(cell))}
    stand_ins: dict[str, Tensor] = {
        name: trace.parameter_input(indices[name], tensor) if name in indices else trace.unusable(tensor)
        for name, tensor in _registered(cell)
    }
    states = tuple(trace.rows_input(f"state{s}", 1) for s in range(cell.num_states))
    projected = trace.join(trace.rows_input("projected", num_projected), trace.rows_input("drawn", num_drawn))
    recurrent = trace.rows_input("recurrent", cell.num_gates)
    with torch.enable_grad():
        results = call_update(cell, stand_ins, projected, recurrent, states)
    places = []
    for result in results:
        trace.check(isinstance(result, Traced), "an output or state that depends on no argument")
        trace.check(result.shape == (trace.rows, trace.width), "an output or state of the wrong shape")
        trace.check(result.dtype is dtype, f"an output or state of {result.dtype}")
        places.append(result.blocks[0])  # type: ignore[attr-defined]
    trace.check(len(places) == 1 + cell.num_states, f"{len(places) - 1} state tensors, not {cell.num_states}")
    return trace.graph, places


def _sums_of_products(graph: Graph, roots: list[int], num_gates: int) -> dict[int, tuple[int, int]]:
    """Finds the projected blocks that meet a block of the recurrent product in one sum and are read nowhere else.

    Returns:
        (gate, place of the sum) by projected block.
    """
    users = _users(graph, roots)
    inputs = {(name, index): place for place, name, index in graph.inputs(roots)}
    joined = {}
    for gate in range(num_gates):
        recurrent = inputs.get(("recurrent", gate))
        if recurrent is None or len(users[recurrent]) != 1:
            continue
        (total,) = users[recurrent]
        for other in graph.nodes[total].arguments:
            value = graph.nodes[other].value
            alone = users[other] == {total} and not {other, recurrent} & set(roots)
            if graph.nodes[total].op == "add" and isinstance(value, tuple) and value[0] == "projected" and alone:
                joined[value[1]] = (gate, total)
    return joined


def _users(graph: Graph, roots: list[int]) -> dict[int, set[int]]:
    """Finds which nodes read each node."""
    reachable = graph.reachable(roots)
    users: dict[int, set[int]] = {place: set() for place in reachable}
    for place in reachable:
        for argument in graph.nodes[place].arguments:
            users[argument].add(place)
    return users


def _layout(sums: dict[int, tuple[int, int]], num_gates: int, num_projected: int) -> Layout:
    """Lays out the workspace: gates that stand apart, then those that share a place, then the rest of the inputs."""
    shared = sorted(sums)
    apart = [gate for gate in range(num_gates) if gate not in {gate for gate, _ in sums.values()}]
    return Layout(
        recurrent=(*apart, *(sums[p][0] for p in shared)),
        projected=(*shared, *(p for p in range(num_projected) if p not in sums)),
        num_blocks=len(apart) + num_projected,
    )


def _on_workspace(
    graph: Graph, roots: list[int], layout: Layout, sums: dict[int, tuple[int, int]]
) -> tuple[Graph, list[int]]:
    """Copies a graph so that it reads the workspace in place of the two products."""
    apart = layout.first_projected
    read: dict[object, int] = {("recurrent", gate): k for k, gate in enumerate(layout.recurrent[:apart])}
    read |= {sums[p][1] if p in sums else ("projected", p): apart + k for k, p in enumerate(layout.projected)}
    copy, places = Graph(), {}
    for place in graph.reachable(roots):
        node = graph.nodes[place]
        block = read.get(place, read.get(node.value) if isinstance(node.value, tuple) else None)
        if block is not None:
            places[place] = copy.input("work", block)
        elif isinstance(node.value, tuple):
            places[place] = copy.input(*node.value, node.kind)
        elif node.op == "constant" and isinstance(node.value, float):
            places[place] = copy.constant(node.value)
        else:
            places[place] = copy.apply(node.op, *(places[a] for a in node.arguments))
    return copy, [places[root] for root in roots]


def _differentiated(graph: Graph, layout: Layout, num_drawn: int, results: list[int], width: int) -> StepProgram:
    """Adds the derivative, and decides what is kept for it."""
    seeds = [(place, graph.input(f"grad_state{s}")) for s, place in enumerate(results[1:])]
    gradients = Gradients(graph, [(results[0], graph.input("grad_output")), *seeds], width)
    inputs = {(name, index): place for place, name, index in graph.inputs(results)}

    def of(name: str, index: int = 0) -> int | None:
        return gradients.of(inputs[name, index]) if (name, index) in inputs else None

    work = [of("work", k) for k in range(layout.num_blocks)]
    states = [of(f"state{s}") for s in range(len(results) - 1)]
    parameters = {(int(name[9:]), k): of(name, k) for name, k in inputs if name[:9] == "parameter"}
    graph, places = _attached(graph, [*results, *work, *states, *parameters.values()])
    output, *new_states = (place for place in places[: len(results)] if place is not None)
    kept = _kept(graph, set(graph.reachable([output, *new_states])), places[len(results) :], {output, *new_states})
    saved, count = _places(graph, graph.reachable([output, *new_states]), kept, layout.num_blocks)
    gradients_at = iter(places[len(results) :])
    return StepProgram(
        graph,
        layout,
        num_drawn,
        output,
        tuple(new_states),
        saved,
        count,
        grad_work=tuple(next(gradients_at) for _ in work),
        grad_states=tuple(next(gradients_at) for _ in states),
        grad_parameters=tuple(
            (j, k, place) for (j, k), place in zip(parameters, gradients_at, strict=True) if place is not None
        ),
    )


def _attached(graph: Graph, roots: list[int | None]) -> tuple[Graph, list[int | None]]:
    """Copies what some roots are made of, without `detach`: it has done its work, and what it kept apart may be one."""
    copy = Graph()
    places: dict[int, int] = {}
    for place in graph.reachable([root for root in roots if root is not None]):
        node = graph.nodes[place]
        if isinstance(node.value, tuple):
            places[place] = copy.input(*node.value, node.kind)
        elif isinstance(node.value, float):
            places[place] = copy.constant(node.value)
        elif node.op == "detach":
            places[place] = places[node.arguments[0]]
        else:
            places[place] = copy.apply(node.op, *(places[a] for a in node.arguments))
    return copy, [None if root is None else places[root] for root in roots]


def _kept(graph: Graph, forward: set[int], roots: list[int | None], results: set[int]) -> list[int]:
    """Chooses the values of the forward step that the derivative reads rather than computes again.

    States, outputs and parameters are there anyway; what is cheap, or made of those alone, is computed again.
    """

    def free(place: int) -> bool:
        node = graph.nodes[place]
        stays = isinstance(node.value, tuple) and node.value[0] != "work"
        return place in results or node.op == "constant" or stays

    kept, seen, stack = set(), set(), [root for root in roots if root is not None]
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
        for block in _work_read(graph, place):
            last_use[block] = place
    saved: dict[int, int] = {}
    for place in kept:
        value = graph.nodes[place].value
        if isinstance(value, tuple):
            saved[place] = value[1]
    for place in kept:
        if place not in saved:
            over = [k for k, use in last_use.items() if use <= place and k not in saved.values()]
            own = _work_read(graph, place)
            over.sort(key=lambda k: k not in own)
            saved[place] = over[0] if over else max(num_blocks, *(k + 1 for k in saved.values()), 0)
    return saved, max([num_blocks, *(k + 1 for k in saved.values())])


def _work_read(graph: Graph, place: int) -> list[int]:
    """Lists the blocks of the workspace among a node's arguments."""
    values = [graph.nodes[argument].value for argument in graph.nodes[place].arguments]
    return [value[1] for value in values if isinstance(value, tuple) and value[0] == "work"]

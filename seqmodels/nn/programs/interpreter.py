"""Runs a graph in torch operations, and holds a program to the `update` it was read from."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.programs.graph import COMPARISONS, Graph
from seqmodels.nn.programs.steps import StepProgram, call_update, shared_parameters
from seqmodels.nn.programs.tracing import Untraceable


def _comparison(name: str) -> Callable[..., Tensor]:
    compare = getattr(torch, name)
    return lambda a, b: compare(a, b).to(a.dtype)


_SAME_NAME = (
    *("neg", "abs", "sign", "floor", "sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log1p", "sigmoid", "tanh"),
    *("relu", "add", "sub", "mul", "div", "maximum", "minimum", "remainder"),
)
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{name: getattr(torch, name) for name in _SAME_NAME},
    **{name: _comparison(name) for name in COMPARISONS},
    "detach": lambda x: x,
    "sum": lambda x: x.sum(-1, keepdim=True),
    "where": lambda condition, a, b: torch.where(condition != 0, a, b),
    "fma": lambda a, b, c: a * b + c,
    "sigmoid_grad": lambda g, y: torch.ops.aten.sigmoid_backward(*torch.broadcast_tensors(g, y)),
    "tanh_grad": lambda g, y: torch.ops.aten.tanh_backward(*torch.broadcast_tensors(g, y)),
    "relu_grad": lambda g, y: torch.where(y <= 0, torch.zeros_like(g), g),
}


def evaluate(graph: Graph, roots: list[int], known: dict[int, Tensor], like: Tensor) -> list[Tensor]:
    """Computes nodes of a graph.

    Args:
        graph: The graph.
        roots: The places wanted.
        known: Values by place; inputs at least, and anything that need not be computed.
        like: A tensor of the dtype and device.

    Returns:
        The values of the roots, each (..., hidden_size) or what broadcasts to it.
    """
    values = dict(known)
    stack = list(roots)
    while stack:
        place = stack[-1]
        node = graph.nodes[place]
        missing = [a for a in node.arguments if a not in values] if place not in values else []
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if place in values:
            continue
        if node.op == "constant":
            values[place] = like.new_tensor(node.value)
        else:
            values[place] = _FUNCTIONS[node.op](*(values[a] for a in node.arguments))
    return [values[root] for root in roots]


def verify(program: StepProgram, cell: GatedCell) -> None:
    """Holds a program to its cell, results and gradients in float64: on random numbers, on positive ones, and on zeros.

    What a trace cannot see, such as a derivative of the user's own or a condition on the number of rows, shows here.

    Args:
        program: What was read.
        cell: What it was read from.

    Raises:
        Untraceable: They differ.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for rows, change in ((3, torch.clone), (1, torch.abs), (2, torch.zeros_like)):
        for mine, theirs in _compared(program, cell, rows, draw, change):
            # At zero, an infinite slope times nothing may be anything.
            either = mine.isfinite() & theirs.isfinite() if change is torch.zeros_like else torch.tensor(True)
            close = torch.isclose(mine, theirs, rtol=1e-6, atol=1e-8, equal_nan=True) | ~either
            if not close.all():
                raise Untraceable("what was traced does not give the results and gradients of update")


def _compared(
    program: StepProgram,
    cell: GatedCell,
    rows: int,
    draw: Callable[..., Tensor],
    change: Callable[[Tensor], Tensor],
) -> list[tuple[Tensor, Tensor]]:
    """Pairs results and gradients of a program with those of its cell."""
    H = cell.hidden_size
    columns = (len(program.layout.projected) * H, cell.num_gates * H, *[H] * cell.num_states)
    projected, recurrent, *states = (change(draw(rows, n)).requires_grad_() for n in columns)
    state, drawn = tuple(states), change(draw(rows, program.num_drawn * H))
    named = {
        name: draw(*tensor.shape).requires_grad_() if tensor.is_floating_point() else tensor
        for name, tensor in shared_parameters(cell).items()
    }
    with torch.enable_grad():
        expected = call_update(cell, named, torch.cat([projected, drawn], 1), recurrent, state)
        grads = [draw(rows, H) for _ in expected]
        wanted = [projected, recurrent, *state, *(p for p in named.values() if p.requires_grad)]
        loss = torch.stack([(e * g).sum() for e, g in zip(expected, grads, strict=True)]).sum()
        loss = loss + 0 * projected.sum()  # has a gradient even where an update only gives constants
        truth = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        ours = _replayed(program, projected, recurrent, state, list(named.values()), grads, drawn)
    return [(mine.expand_as(theirs), theirs) for mine, theirs in zip(ours, [*expected, *truth], strict=True)]


def _replayed(
    program: StepProgram,
    projected: Tensor,
    recurrent: Tensor,
    state: tuple[Tensor, ...],
    parameters: list[Tensor],
    grads: list[Tensor],
    drawn: Tensor,
) -> list[Tensor]:
    """Gives output, new state, and the gradients of projected, recurrent, state and parameters, by the program."""
    layout, graph, H = program.layout, program.graph, state[0].shape[1]
    apart = layout.first_projected
    gates = recurrent.split(H, 1)
    blocks = [gates[layout.recurrent[k]] for k in range(apart)]
    blocks += [projected.split(H, 1)[p] for p in layout.projected]
    for k in range(apart, len(layout.recurrent)):
        blocks[k] = blocks[k] + gates[layout.recurrent[k]]
    known = input_values(program, blocks, state, parameters, drawn)
    results = evaluate(graph, [program.output, *program.states], known, state[0])
    by_name = {"grad_output": grads[0], **{f"grad_state{s}": g for s, g in enumerate(grads[1:])}}
    for place, node in enumerate(graph.nodes):
        if isinstance(node.value, tuple) and node.value[0] in by_name:
            known[place] = by_name[node.value[0]]

    def gradient(place: int | None, like: Tensor) -> Tensor:
        return torch.zeros_like(like) if place is None else evaluate(graph, [place], known, like)[0].expand_as(like)

    work = [gradient(place, state[0]) for place in program.grad_work]
    grad_recurrent = [work[layout.recurrent.index(gate)] for gate in range(len(gates))]
    grad_projected = [work[apart + layout.projected.index(p)] for p in range(len(layout.projected))]
    shared = [torch.zeros_like(p) for p in parameters]
    for j, k, place in program.grad_parameters:
        value = evaluate(graph, [place], known, state[0])[0]
        if shared[j].numel() == 1:
            shared[j] += value.expand(len(state[0]), 1).sum()
        else:
            shared[j][k * H : (k + 1) * H] += value.expand_as(state[0]).sum(0)
    states = [gradient(place, s) for place, s in zip(program.grad_states, state, strict=True)]
    differentiable = [g for g, p in zip(shared, parameters, strict=True) if p.requires_grad]
    return [*results, torch.cat(grad_projected, 1), torch.cat(grad_recurrent, 1), *states, *differentiable]


def input_values(
    program: StepProgram, work: list[Tensor], state: tuple[Tensor, ...], parameters: list[Tensor], drawn: Tensor
) -> dict[int, Tensor]:
    """Finds the value of each input of a step, by place."""
    H = state[0].shape[-1]
    values = {}
    for place, node in enumerate(program.graph.nodes):
        if isinstance(node.value, tuple):
            name, k = node.value
            if name == "work":
                values[place] = work[k]
            elif name == "drawn":
                values[place] = drawn[:, k * H : (k + 1) * H]
            elif name.startswith("state"):
                values[place] = state[int(name[5:])]
            elif name.startswith("parameter"):
                parameter = parameters[int(name[9:])].reshape(-1)
                values[place] = parameter if len(parameter) == 1 else parameter[k * H : (k + 1) * H]
    return values

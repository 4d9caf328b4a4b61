"""What the compiled loop runs for a program: encoded once, for every shape and both types."""

import ctypes
import functools
from dataclasses import dataclass, replace

from seqmodels.nn.kernels.compiled.encoding import (
    ACCUMULATOR,
    AFTER,
    BATCH,
    BEFORE,
    SHARED,
    STEP,
    Encoded,
    Location,
    encode,
)
from seqmodels.nn.programs import StepProgram
from seqmodels.nn.programs.graph import VECTOR

WORK, OUTPUT, GRAD_OUTPUT, GRAD_WORK, INPUTS, DRAWN, FIRST_STATE = range(7)


@dataclass(frozen=True)
class Routine:
    """Instructions with the tables that `loops.cpp` reads; inputs, source and target are the product's operands."""

    encoded: Encoded
    operands: ctypes.Array[ctypes.c_int32]
    instructions: ctypes.Array[ctypes.c_int32]
    single: ctypes.Array[ctypes.c_float]
    twofold: ctypes.Array[ctypes.c_double]
    inputs: int
    source: int
    target: int


@dataclass(frozen=True)
class Plan:
    """The routines of a program.

    Attributes:
        program: The program.
        forward: One step, keeping what the derivative needs.
        inference: One step, keeping nothing; its workspace has a row for each row of a step.
        scratch: The same, with a row for each row of the batch, in which all steps write over each other, for the
            workspace and for all of the state but its first tensor.
        recompute: What the derivative needs, from states that are known already.
        backward: One step back.
        accumulated: (parameter, block) of each block of an accumulator.
    """

    program: StepProgram
    forward: Routine
    inference: Routine
    scratch: Routine
    recompute: Routine
    backward: Routine
    accumulated: tuple[tuple[int, int], ...]


@functools.cache
def plan(program: StepProgram) -> Plan:
    """Encodes a program."""
    num_states = len(program.states)
    known = _inputs(program)
    states: list[tuple[int | None, Location]] = [
        (place, Location(AFTER, FIRST_STATE + s)) for s, place in enumerate(program.states)
    ]
    if not program.output_is_state:
        states.append((program.output, Location(STEP, OUTPUT)))
    saved: list[tuple[int | None, Location]] = [(p, Location(STEP, WORK, k)) for p, k in program.saved.items()]
    hidden, work = Location(BEFORE, FIRST_STATE), Location(STEP, WORK)
    kept = {place: Location(STEP, WORK, k) for place, k in program.saved.items()}
    after = {place: Location(AFTER, FIRST_STATE + s) for s, place in enumerate(program.states)}
    if not program.output_is_state:
        after.setdefault(program.output, Location(STEP, OUTPUT))
    rest = {p: location for p, location in known.items() if location.index != WORK}
    running = [Location(BATCH, FIRST_STATE + num_states + s) for s in range(num_states)]
    grads: list[tuple[int | None, Location]] = [
        (place, Location(STEP, GRAD_WORK, k)) for k, place in enumerate(program.grad_work)
    ]
    grads += [(p, running[s]) for s, p in enumerate(program.grad_states) if s > 0 or p is not None]
    accumulated = [
        (place, Location(ACCUMULATOR, 0, n, _is_vector(program, j)))
        for n, (j, _, place) in enumerate(program.grad_parameters)
    ]
    graph = program.graph
    return Plan(
        program,
        forward=_routine(encode(graph, known, states + saved), hidden, work),
        inference=_routine(encode(graph, known, states), hidden, work),
        scratch=_routine(
            encode(
                graph, {p: _overwritten(where) for p, where in known.items()}, [(p, _overwritten(w)) for p, w in states]
            ),
            hidden,
            _overwritten(work),
        ),
        recompute=_routine(encode(graph, known, saved), hidden, work),
        backward=_routine(
            encode(graph, {**after, **rest, **kept}, grads, accumulated), Location(STEP, GRAD_WORK), running[0]
        ),
        accumulated=tuple((j, k) for j, k, _ in program.grad_parameters),
    )


def _inputs(program: StepProgram) -> dict[int, Location]:
    """Says where the inputs of the graph are."""
    num_states = len(program.states)
    known = {}
    for place, node in enumerate(program.graph.nodes):
        if not isinstance(node.value, tuple):
            continue
        name, block = node.value
        if name == "work":
            known[place] = Location(STEP, WORK, block)
        elif name == "drawn":
            known[place] = Location(STEP, DRAWN, block)
        elif name == "grad_output":
            known[place] = Location(STEP, GRAD_OUTPUT)
        elif name.startswith("grad_state"):
            known[place] = Location(BATCH, FIRST_STATE + num_states + int(name[10:]))
        elif name.startswith("state"):
            known[place] = Location(BEFORE, FIRST_STATE + int(name[5:]))
        elif name.startswith("parameter"):
            index = FIRST_STATE + 2 * num_states + int(name[9:])
            known[place] = Location(SHARED, index, block, wide=node.kind == VECTOR)
    return known


def _overwritten(location: Location) -> Location:
    """Puts what only the next step reads where each row of the batch has one row of it."""
    later_state = location.place in (BEFORE, AFTER) and location.index > FIRST_STATE
    return replace(location, place=BATCH) if location.index == WORK or later_state else location


def _is_vector(program: StepProgram, parameter: int) -> bool:
    names = {node.value[0]: node.kind for node in program.graph.nodes if isinstance(node.value, tuple)}
    return names[f"parameter{parameter}"] == VECTOR


def _routine(encoded: Encoded, source: Location, target: Location) -> Routine:
    numbers = [encoded.operand(location) for location in (Location(STEP, INPUTS), source, target)]
    operands, instructions = encoded.tables()
    count = max(1, len(encoded.numbers))
    single, twofold = (ctypes.c_float * count)(*encoded.numbers), (ctypes.c_double * count)(*encoded.numbers)
    return Routine(encoded, operands, instructions, single, twofold, *numbers)

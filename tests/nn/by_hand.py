"""What `Recurrent` computes, written out: one row, one part between resets, one step and one cell at a time."""

import itertools

import torch
from torch import Tensor
from torch.nn.functional import pad

from seqmodels.nn import Recurrent, State


def run_by_hand(
    layer: Recurrent,
    inputs: Tensor,
    state: State | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    context: Tensor | None,
) -> tuple[Tensor, State]:
    """Gives what `layer` should, in evaluation."""
    B, T, _ = inputs.shape
    all_outputs, all_finals = [], []
    for b in range(B):
        length = T if lengths is None else int(lengths[b])
        resets = [] if reset is None else [t for t in range(length) if reset[b, t]]
        row_context = None if context is None else context[b]
        fresh = [fresh_state(layer, k, row_context) for k in range(len(layer.cells))]
        given = fresh if state is None else [cell_state(layer, state, k, b) for k in range(len(layer.cells))]
        spans = list(itertools.pairwise(sorted({0, length, *resets})))
        outputs, finals = [], [given]
        for start, stop in spans:
            begin = [
                given[k] if (stop == length if goes_back(layer, k) else start == 0 and 0 not in resets) else fresh[k]
                for k in range(len(layer.cells))
            ]
            part_outputs, part_final = run_part(layer, inputs[b, start:stop], begin, row_context)
            outputs.append(part_outputs)
            finals.append(part_final)
        first, last = finals[min(1, len(spans))], finals[-1]
        all_finals.append([first[k] if goes_back(layer, k) else last[k] for k in range(len(layer.cells))])
        row = torch.cat([*outputs, inputs.new_zeros(0, layer.output_size)])
        all_outputs.append(pad(row, (0, 0, 0, T - length)))
    final = tuple(
        torch.stack(
            [
                torch.stack([pad(row[k][i], (0, layer.hidden_size - row[k][i].shape[0])) for row in all_finals])
                for k in range(len(layer.cells))
            ]
        )
        for i in range(layer.num_states)
    )
    return torch.stack(all_outputs), final


def goes_back(layer: Recurrent, k: int) -> bool:
    return k % layer.num_directions == 1


def cell_state(layer: Recurrent, state: State, k: int, b: int) -> State:
    return tuple(s[k, b, : layer.cells[k].hidden_size] for s in state)


def fresh_state(layer: Recurrent, k: int, context: Tensor | None) -> State:
    """The state of cell k before a row's first step and after a reset, each (width,)."""
    width = layer.cells[k].hidden_size
    if layer.context is not None and layer.context.use != "inputs":
        made = torch.tanh(layer.context_to_state.weight @ context + layer.context_to_state.bias)
        widths = [cell.hidden_size for cell in layer.cells]
        starts = [i * sum(widths) + sum(widths[:k]) for i in range(layer.num_states)]
        return tuple(made[start : start + width] for start in starts)
    if layer.learned_state:
        return tuple(s[k, 0, :width] for s in layer.learned_state)
    return tuple(s[0] for s in layer.cells[k].initial_state(1))


def run_part(layer: Recurrent, inputs: Tensor, state: list[State], context: Tensor | None) -> tuple[Tensor, list]:
    """Runs (time, input_size) without resets."""
    if layer.context is not None and layer.context.use != "state":
        inputs = torch.stack([torch.cat([x, context]) for x in inputs])
    final, handed_on, all_outputs = [], [inputs], []
    for depth in range(layer.num_layers):
        reads = torch.cat(handed_on, -1) if layer.connections == "dense" else handed_on[-1]
        sides = []
        for direction in range(layer.num_directions):
            k = depth * layer.num_directions + direction
            cell, current, outputs = layer.cells[k], tuple(s[None] for s in state[k]), {}
            order = range(len(inputs)) if direction == 0 else reversed(range(len(inputs)))
            for t in order:
                outputs[t], current = cell.step(cell.project(reads[t : t + 1]), current)
            sides.append(torch.cat([outputs[t] for t in range(len(inputs))]))
            final.append(tuple(s[0] for s in current))
        output = torch.cat(sides, -1)
        if layer.connections == "residual" and output.shape == handed_on[-1].shape:
            output = output + handed_on[-1]
        all_outputs.append(output)
        handed_on.append(layer.between[depth](output) if len(layer.between) > depth else output)
    if layer.outputs == "concat":
        return torch.cat(all_outputs, -1), final
    return sum(all_outputs) if layer.outputs == "sum" else all_outputs[-1], final

"""Beam search with any model that can take one step, over all rows and beams of a batch at once."""

from functools import partial

import torch
from torch import Tensor

from seqmodels.decoding.beam import BeamSearch, Hypotheses
from seqmodels.decoding.constraints import Constraints
from seqmodels.decoding.hypotheses import Beam
from seqmodels.decoding.sampling import StepModel, check_prompt
from seqmodels.errors import UserError
from seqmodels.nn import map_state


@torch.no_grad()
def beam_search(
    model: StepModel,
    prompt: Tensor,
    length: int,
    search: BeamSearch,
    stop: int | None = None,
    constraints: Constraints | None = None,
    source_lengths: Tensor | None = None,
) -> Hypotheses:
    """Finds the texts of the highest score that continue a prompt.

    A hypothesis ends with the stop id, where it is among the `beam_size` likeliest of its step, or after `length` ids.
    A row is done when what it has found cannot be beaten: a log-probability only falls as a text grows, so that an
    unfinished text of log-probability `p` never scores above `p / ((5 + length) / 6) ** length_penalty`.

    Args:
        model: The model, in evaluation mode, for `rows * beam_size` rows; those of one beam are neighbours. Coverage
            needs its attention weights.
        prompt: Ids `(rows, time)` with at least one step.
        length: Ids to write at most, the stop id counted.
        search: How the search goes.
        stop: The id that ends a text; without one all texts are of `length` ids.
        constraints: What may be written; anything where they are left out. What they rule out keeps its share of the
            probability.
        source_lengths: Steps of each source `(rows,)`, for coverage; all where left out.

    Returns:
        The texts, from the best to the worst.

    Raises:
        ValueError: Where the prompt is empty or the length below 1.
        UserError: Where logits are NaN, attention weights are needed and missing, or ids are required of a beam in
            groups.

    Example:
        >>> cycle = lambda ids, state=None: (torch.nn.functional.one_hot((ids + 1) % 4, 4).float(), ())
        >>> found = beam_search(cycle, torch.tensor([[1]]), 5, BeamSearch(beam_size=3, n_best=2), stop=0)
        >>> found.ids[0].tolist(), found.lengths[0].tolist()
        ([[2, 3, 0], [3, 0, 0]], [2, 1])
    """
    check_prompt(prompt)
    if length < 1:
        raise ValueError(f"length={length}: expected at least 1")
    constraints = constraints or Constraints()
    if constraints.required and search.beam_groups > 1:
        raise UserError(f"required: cannot be promised by beam_groups={search.beam_groups}; expected 1")
    size = search.beam_size
    first = torch.arange(len(prompt), device=prompt.device)[:, None] * size
    beam = Beam(prompt, length, search, stop, constraints, source_lengths)
    output = model(prompt.repeat_interleave(size, 0))
    for step in range(length):
        weights = output[2] if len(output) == 3 else None
        beam.extend(output[0][:, -1].float(), None if weights is None else weights[:, -1].float())
        if step == length - 1 or beam.all_done():
            break
        rows = (first + beam.parents[-1]).flatten()
        state = map_state(partial(torch.index_select, dim=1, index=rows), output[1])
        output = model(beam.ids[-1].view(-1, 1), state)
    return beam.best()

"""The state of a beam search: the hypotheses that are gone on with, and the best that have ended."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from seqmodels.decoding.beam import BeamSearch, Hypotheses
from seqmodels.decoding.candidates import Candidates, places_within, propose
from seqmodels.decoding.constraints import NOTHING, Constraints, check_logits, force
from seqmodels.decoding.ended import Ended, best_of, different_of
from seqmodels.decoding.required import Progress, Required
from seqmodels.errors import UserError
from seqmodels.nn import valid_mask


class Beam:
    """The hypotheses of all rows, step by step.

    Args:
        prompt: Ids `(rows, time)`.
        length: Ids to write at most.
        search: How the search goes.
        stop: The id that ends a hypothesis.
        constraints: What may be written.
        source_lengths: Steps of each source `(rows,)`; all where left out.
    """

    def __init__(
        self,
        prompt: Tensor,
        length: int,
        search: BeamSearch,
        stop: int | None,
        constraints: Constraints,
        source_lengths: Tensor | None = None,
    ):
        rows, size, device = len(prompt), search.beam_size, prompt.device
        self.search, self.constraints, self.length = search, constraints, length
        self.source_lengths = source_lengths
        self.stop = NOTHING if stop is None else stop
        self.prompt_length = prompt.shape[1]
        self.text = prompt[:, None].repeat(1, size, 1)
        self.forced = constraints.forced(rows, device)
        # All hypotheses of a group are the same at first: one goes on, the others are out.
        self.totals = torch.full((rows, size), -torch.inf, device=device)
        self.totals[:, :: size // search.beam_groups] = 0
        # A group keeps as many as are asked for, as what other groups have found too counts once.
        nothing = torch.zeros(rows, search.n_best, dtype=torch.long, device=device)
        lost = torch.full(nothing.shape, -torch.inf, device=device)
        self.ended = [Ended(lost, lost, nothing, nothing, nothing)] * search.beam_groups
        self.required = Required(constraints.required, rows, device) if constraints.required else None
        self.progress = None if self.required is None else self.required.begin(size)
        self.coverage: Tensor | None = None
        self.parents: list[Tensor] = []  # of each step, to walk back on
        self.ids: list[Tensor] = []
        self.weights: list[Tensor] = []

    def all_done(self) -> bool:
        """Whether there is nothing to go on with."""
        return bool((self.totals == -torch.inf).all())

    def extend(self, logits: Tensor, weights: Tensor | None) -> None:
        """Goes on with each hypothesis by one id.

        Args:
            logits: Scores of what comes next `(rows * size, vocab_size)`.
            weights: What attention saw of the source `(rows * size, source)`.

        Raises:
            UserError: Where logits are NaN, or weights are needed and missing.
        """
        scores, base = self._scores(logits)
        covered = self._cover(weights)
        wanted = None
        if self.required is not None and self.progress is not None:
            wanted = self.required.wanted(self.progress)
        size = self.search.beam_size // self.search.beam_groups
        taken = torch.zeros_like(scores[:, 0])
        chosen = []
        for group in range(self.search.beam_groups):  # each sees what those before it took
            part = slice(group * size, (group + 1) * size)
            own = scores[:, part]
            lowered = own - self.search.diversity * taken[:, None] if group else own
            kept = self._choose(group, propose(base[:, part], own, lowered, wanted, part.start), covered)
            taken = taken.scatter_add(1, kept.ids, (kept.totals > -torch.inf).to(taken.dtype))
            bound = kept.totals.amax(1, keepdim=True) / self.search.norm(self.length)
            done = self.ended[group].scores[:, -1:] >= bound
            chosen.append(kept._replace(totals=kept.totals.masked_fill(done, -torch.inf)))
        parents, ids, self.totals, _ = (torch.cat(parts, 1) for parts in zip(*chosen, strict=True))
        self.parents.append(parents)
        self.ids.append(ids)
        self.text = torch.cat([_pick(self.text, parents), ids[..., None]], 2)
        if self.coverage is not None:
            self.coverage = _pick(self.coverage, parents)

    def best(self) -> Hypotheses:
        """Returns the best hypotheses that have ended, no text twice."""
        ended = self.ended[0]
        if len(self.ended) > 1:
            ids = self._ids(Ended(*(torch.cat(parts, 1) for parts in zip(*self.ended, strict=True))))
            ended = different_of(self.ended, ids, self.search.n_best)
        attention = None
        if self.weights:
            shape = (*ended.last.shape, int(ended.steps.max()), self.weights[0].shape[2])
            attention = self.weights[0].new_zeros(shape)
            for step, _, at, inside in self._walk(ended):
                attention[:, :, step] = _pick(self.weights[step], at) * inside[..., None]
        lengths = ended.steps - ((ended.last == self.stop) & (ended.steps > 0)).long()
        return Hypotheses(self._ids(ended), lengths, ended.scores, ended.totals, attention)

    def _ids(self, ended: Ended) -> Tensor:
        """Returns the ids of hypotheses `(rows, count, time)`, the stop id behind their ends."""
        fill = max(self.stop, 0)
        ids = ended.last.new_full((*ended.last.shape, int(ended.steps.max())), fill)
        for step, written, _, inside in self._walk(ended):
            ids[:, :, step] = written.masked_fill(~inside, fill)
        return ids

    def _walk(self, ended: Ended) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """Walks back to where hypotheses came from.

        Yields:
            From the last step to the first: the step; the id of each hypothesis, its place in the beam before that id,
            and whether it has come so far `(rows, count)`.
        """
        at = ended.parents
        for step in reversed(range(int(ended.steps.max()))):
            last, inside = ended.steps == step + 1, ended.steps > step
            written = torch.where(last, ended.last, self.ids[step].gather(1, at))
            at = torch.where(inside & ~last, self.parents[step].gather(1, at), at)
            yield step, written, at, inside

    def _scores(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Returns scores of what may come next `(rows, size, vocab_size)`, and what makes log-probabilities of them."""
        step, text = len(self.ids), self.text.flatten(0, 1)
        scores = self.constraints.penalise(logits, text)
        norms = scores.logsumexp(1)
        norms = norms.masked_fill(norms == -torch.inf, 0)  # where nothing may come, nothing is divided
        check_logits(norms)
        allowed = self.constraints.permit(scores, text, step, None if self.stop == NOTHING else self.stop)
        if step < self.forced.shape[1]:
            allowed = force(scores, self.forced[:, step].repeat_interleave(self.search.beam_size), allowed)
        allowed = allowed.view(*self.totals.shape, -1)
        if self.required is not None and self.progress is not None and self.stop != NOTHING:
            early = self.required.missing(self.progress) > 0
            stop = torch.arange(logits.shape[1], device=logits.device) == self.stop
            allowed = allowed.masked_fill(early[..., None] & stop, -torch.inf)
        return allowed, self.totals - norms.view(self.totals.shape)

    def _cover(self, weights: Tensor | None) -> Tensor | None:
        """Adds up what attention saw, and returns what is added to scores for it `(rows, size)`."""
        if weights is not None:
            weights = weights.view(*self.totals.shape, -1)
            self.weights.append(weights)
        factor = self.search.coverage_penalty
        if not factor:
            return None
        if weights is None:
            raise UserError(f"coverage_penalty={factor}: the model gives no attention weights; expected 0")
        self.coverage = weights if self.coverage is None else self.coverage + weights
        # What was never looked at at all would count as minus infinity, and so as no text.
        logs = self.coverage.clamp(torch.finfo(torch.float32).tiny, 1).log()
        if self.source_lengths is not None:
            valid = valid_mask(self.source_lengths.to(logs.device), logs.shape[2])
            logs = logs.masked_fill(~valid[:, None], 0)
        return factor * logs.sum(2)

    def _choose(self, group: int, found: Candidates, covered: Tensor | None) -> Candidates:
        """Keeps what has ended among the best candidates of a group, and returns those that are gone on with."""
        size, step = self.search.beam_size // self.search.beam_groups, len(self.ids) + 1
        if self.required is None:
            # At most one candidate of each hypothesis ends, so that twice the size holds all that matters.
            found = found.take(found.ranks.topk(min(2 * size, found.ranks.shape[1]), 1).indices)
            places = turns = torch.arange(found.ids.shape[1], device=found.ids.device).expand_as(found.ids)
            complete = torch.ones_like(found.ids, dtype=torch.bool)
        else:
            found = found.take(found.ranks.sort(dim=1, descending=True, stable=True).indices)
            progress = self._after(found.parents, found.ids)
            missing = self.required.missing(progress)
            places, complete = places_within(missing), missing == 0
            # The best of each bank, then the second best of each; first those that miss the fewest ids.
            turns = places * (missing.amax() + 1) + missing
        stops = found.ids == self.stop
        ends = (stops | (step == self.length)) & complete & (places < size) & (found.totals > -torch.inf)
        self._end(group, found, ends, covered)
        out = stops | (found.totals == -torch.inf)
        chosen = turns.masked_fill(out, torch.iinfo(turns.dtype).max).argsort(dim=1, stable=True)[:, :size]
        if self.required is not None:
            self.progress = progress.take(chosen)
        kept = found.take(chosen)
        return kept._replace(totals=kept.totals.masked_fill(out.gather(1, chosen), -torch.inf))

    def _after(self, parents: Tensor, ids: Tensor) -> Progress:
        """Returns how far candidates have come with the ids that must appear."""
        assert self.required is not None
        assert self.progress is not None
        written = self.text[..., self.prompt_length :]
        tails = _pick(written[..., max(0, written.shape[2] + 1 - self.required.longest) :], parents)
        tails = torch.cat([tails, ids[..., None]], 2)
        tails = pad(tails, (self.required.longest - tails.shape[2], 0), value=NOTHING)
        return self.required.after(tails, self.progress.take(parents))

    def _end(self, group: int, found: Candidates, ends: Tensor, covered: Tensor | None) -> None:
        """Adds candidates that end to the best of their group."""
        step = len(self.ids) + 1
        scores = found.totals / self.search.norm(step)
        if covered is not None:
            scores = scores + covered.gather(1, found.parents)
        new = Ended(
            scores.masked_fill(~ends, -torch.inf),
            found.totals.masked_fill(~ends, -torch.inf),
            ends.long() * step,
            found.parents,
            found.ids,
        )
        self.ended[group] = best_of([self.ended[group], new], self.ended[group].scores.shape[1])


def _pick(tensor: Tensor, hypotheses: Tensor) -> Tensor:
    """Returns the rows of `(rows, size, features)` that belong to hypotheses `(rows, count)`."""
    return tensor.gather(1, hypotheses[..., None].expand(-1, -1, tensor.shape[2]))

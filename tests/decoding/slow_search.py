"""Searches in plain Python, one hypothesis at a time, and a model of random probabilities, to hold beam search to."""

import itertools
import math
from collections import Counter

import torch

STATES = 997


class World:
    """A model whose logits depend on all ids that it has read, and on the source; its state is the ids themselves."""

    def __init__(self, seed, vocab_size, sources=1, source_size=0, scale=2.0):
        generator = torch.Generator().manual_seed(seed)
        self.vocab_size = vocab_size
        self.logits = torch.randn(sources, STATES, vocab_size, generator=generator) * scale
        self.weights = None
        if source_size:
            self.lengths = torch.randint(1, source_size + 1, (sources,), generator=generator)
            self.lengths[0] = source_size
            weights = torch.randn(sources, STATES, source_size, generator=generator)
            behind = torch.arange(source_size) >= self.lengths[:, None]
            self.weights = weights.masked_fill(behind[:, None], -torch.inf).softmax(-1)

    def place(self, ids):
        return sum((number + 1) * 31**power for power, number in enumerate(reversed(ids))) % STATES

    def bound(self, beam_size, sources=None):
        """The step model of some sources, for a beam."""
        sources = range(len(self.logits)) if sources is None else sources
        each = torch.tensor(list(sources)).repeat_interleave(beam_size)

        def step(ids, state=None):
            history = ids[None] if state is None else torch.cat([state[0], ids[None]], 2)
            places = torch.tensor([self.place(row) for row in history[0].tolist()])
            found = self.logits[each, places][:, None], (history,)
            return found if self.weights is None else (*found, self.weights[each, places][:, None])

        return step


class Reference:
    """Both searches for one source, by the definitions."""

    def __init__(self, world, source, prompt, length, search, stop=None, rules=None, prefix=(), required=()):
        self.world, self.source, self.prompt, self.length = world, source, list(prompt), length
        self.search, self.stop, self.rules, self.prefix, self.required = search, stop, rules, prefix, required

    def next(self, written):
        """The log-probabilities of what may come next."""
        text = [*self.prompt, *written]
        logits = self.world.logits[self.source, self.world.place(text)].tolist()
        rules = self.rules
        for number in set(text):
            factor = rules.repetition_penalty
            logits[number] = logits[number] / factor if logits[number] > 0 else logits[number] * factor
        norm = math.log(sum(math.exp(logit) for logit in logits))
        found = {number: logit - norm for number, logit in enumerate(logits)}
        if len(written) < len(self.prefix):
            return {self.prefix[len(written)]: found[self.prefix[len(written)]]}
        allowed = {number: value for number, value in found.items() if number not in rules.forbidden}
        n = rules.no_repeat_ngram
        seen = {tuple(text[at : at + n]) for at in range(len(text) - n + 1)} if n else set()
        strict = {
            number: value
            for number, value in allowed.items()
            if not (n and tuple([*text, number][-n:]) in seen and len(text) >= n)
            and not (number == self.stop and len(written) < rules.min_length)
        }
        return strict or allowed

    def score(self, written, total):
        score = total / ((5 + len(written)) / 6) ** self.search.length_penalty
        if self.search.coverage_penalty:
            for place in range(int(self.world.lengths[self.source])):
                seen = sum(
                    float(self.world.weights[self.source, self.world.place([*self.prompt, *written[:step]]), place])
                    for step in range(len(written))
                )
                score += self.search.coverage_penalty * math.log(min(seen, 1.0))
        return score

    def has_required(self, written):
        return all(self.reached(written, group) == len(group) for group in self.required)

    def reached(self, written, group):
        """How many ids of a group are met: all where it appears, else those that the text ends with."""
        if any(written[at : at + len(group)] == list(group) for at in range(len(written))):
            return len(group)
        return max(size for size in range(len(group)) if written[len(written) - size :] == list(group[:size]))

    def ended(self, written):
        return len(written) == self.length or (self.stop is not None and written[-1:] == [self.stop])

    def everything(self):
        """All texts that may be written, from the best to the worst: `(score, log-probability, ids)`."""
        found = []
        for size in range(1, self.length + 1):
            for ids in itertools.product(range(self.world.vocab_size), repeat=size):
                written, total = [], 0.0
                for number in ids:
                    allowed = self.next(written) if not (written and self.ended(written)) else {}
                    if number not in allowed:
                        break
                    total += allowed[number]
                    written.append(number)
                else:
                    if self.ended(written) and self.has_required(written):
                        found.append((self.score(written, total), total, written))
        return sorted(found, reverse=True)

    def beam(self):
        """What a beam finds."""
        size = self.search.beam_size // self.search.beam_groups
        keep = self.search.n_best
        live = [[([], 0.0)] for _ in range(self.search.beam_groups)]
        ended = [[] for _ in range(self.search.beam_groups)]
        while any(live):
            taken = Counter()
            for group, hypotheses in enumerate(live):
                found = sorted(self.candidates(hypotheses, taken), reverse=True)
                new = self.deal(found, size)
                ended[group] = sorted([*ended[group], *new[1]], reverse=True)[:keep]
                live[group] = new[0]
                taken.update(written[-1] for written, _ in live[group])
                best = max((total for _, total in live[group]), default=-math.inf)
                bound = best / ((5 + self.length) / 6) ** self.search.length_penalty
                at_end = bool(live[group]) and len(live[group][0][0]) == self.length
                if at_end or (len(ended[group]) == keep and ended[group][-1][0] >= bound):
                    live[group] = []
        return self.different(ended)

    def different(self, groups):
        """The best of each group that no group before it has, then the best of the rest."""
        given, rest = [], []
        for group in groups:
            fresh = [one for one in group if one not in given]
            given += fresh[: -(-self.search.n_best // len(groups))]
        for one in sorted(itertools.chain(*groups), reverse=True):
            if one not in given + rest:
                rest.append(one)
        chosen = sorted(given, reverse=True)[: self.search.n_best]
        return sorted([*chosen, *rest[: self.search.n_best - len(chosen)]], reverse=True)

    def candidates(self, hypotheses, taken):
        for written, total in hypotheses:
            for number, value in self.next(written).items():
                if number != self.stop or self.has_required(written):
                    rank = total + value - self.search.diversity * taken[number]
                    yield rank, total + value, [*written, number]

    def deal(self, found, size):
        """Those that are gone on with, and those that end."""
        banks = {}
        turns = []
        for _, total, written in found:
            missing = sum(len(group) - self.reached(written, group) for group in self.required)
            place = banks.get(missing, 0)
            banks[missing] = place + 1
            turns.append((place, missing, total, written))
        new = [
            (self.score(written, total), total, written)
            for place, missing, total, written in turns
            if self.ended(written) and place < size and not missing
        ]
        going = [turn for turn in turns if turn[3][-1] != self.stop]
        going.sort(key=lambda turn: turn[:2])
        return [(written, total) for _, _, total, written in going[:size]], new

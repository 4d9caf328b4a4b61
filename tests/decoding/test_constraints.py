"""What may be written, in sampling; beam search is held to the same rules by its own tests."""

from itertools import pairwise

import pytest
import torch
from slow_search import Reference, World

from seqmodels.decoding import Constraints, Sampling, generate


def written(rules, world, prompt, length=12, stop=None, sampling=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    steps = generate(world.bound(1), torch.tensor(prompt), length, sampling, stop, generator, rules)
    return torch.stack(list(steps), 1).tolist()


@pytest.mark.parametrize(
    "rules",
    [
        Constraints(forbidden=[1, 4]),
        Constraints(min_length=5),
        Constraints(no_repeat_ngram=1),
        Constraints(no_repeat_ngram=3),
        Constraints(repetition_penalty=1.5),
        Constraints(repetition_penalty=0.8),
        Constraints([1], 4, 2, 1.2, [[3, 3], [], [2]]),
    ],
)
def test_greedy_steps_are_the_likeliest_that_the_rules_leave(rules):
    for seed in range(10):
        world = World(seed, vocab_size=6, sources=3)
        prompt = [[0, 2], [1, 3], [5, 5]]
        for row, ids in enumerate(written(rules, world, prompt, stop=5, sampling=Sampling(0))):
            prefix = rules.prefix[row] if rules.prefix else ()
            reference = Reference(world, row, prompt[row], 12, None, 5, rules, prefix)
            expected = []
            while not reference.ended(expected):
                allowed = reference.next(expected)
                expected.append(max(allowed, key=allowed.get))
            assert ids[: len(expected)] == expected
            assert set(ids[len(expected) :]) <= {5}


def test_no_group_of_ids_comes_twice_in_samples_either():
    world = World(0, vocab_size=8, sources=20)
    for ids in written(Constraints(no_repeat_ngram=2), world, [[1]] * 20, 40):
        pairs = list(zip([1, *ids], ids, strict=False))
        assert len(pairs) == len(set(pairs))
    free = written(Constraints(), world, [[1]] * 20, 40)
    assert any(len(set(pairwise(ids))) < 39 for ids in free)


def test_rules_give_way_where_they_leave_nothing():
    # Three ids, none twice: after three steps, each may come again; the forbidden one never.
    ids = written(Constraints(forbidden=[0], no_repeat_ngram=1), World(0, vocab_size=4), [[0]], 9)[0]
    assert sorted(ids[:3]) == [1, 2, 3]
    assert len(ids) == 9
    assert 0 not in ids


def test_a_row_does_not_end_before_its_minimum():
    world = World(0, vocab_size=4, sources=50)
    rows = written(Constraints(min_length=4), world, [[0]] * 50, stop=3)
    assert all(3 not in ids[:4] for ids in rows)
    assert any(ids[4] == 3 for ids in rows)


def test_one_prefix_serves_all_rows():
    world = World(0, vocab_size=5, sources=3)
    assert all(ids[:2] == [4, 4] for ids in written(Constraints(prefix=[[4, 4]]), world, [[0]] * 3))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"min_length": -1}, "min_length=-1"),
        ({"no_repeat_ngram": -2}, "no_repeat_ngram=-2"),
        ({"repetition_penalty": 0}, "repetition_penalty=0"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty=nan"),
        ({"required": [[[1], []]]}, "required: expected at least one id"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Constraints(**arguments)


def test_what_sampling_cannot_keep_is_told():
    world = World(0, vocab_size=3)
    with pytest.raises(ValueError, match="required: sampling cannot promise"):
        written(Constraints(required=[[[1]]]), world, [[0]])
    with pytest.raises(ValueError, match="nothing may come next"):
        written(Constraints(forbidden=[0, 1, 2]), world, [[0]])
    with pytest.raises(ValueError, match="prefix: expected a list for each of 1 rows, or one for all, got 2"):
        written(Constraints(prefix=[[1], [2]]), world, [[0]])

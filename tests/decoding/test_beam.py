"""Beam search: against all texts there are, against a search in plain Python, and what it refuses."""

import pytest
import torch
from slow_search import Reference, World

from seqmodels.decoding import BeamSearch, Constraints, Sampling, beam_search, generate
from seqmodels.decoding.candidates import propose

FREE = Constraints()


def texts(found, row, stop):
    """The texts of a row as a reference gives them: `(score, log-probability, ids)`."""
    listed = []
    for place in range(found.ids.shape[1]):
        score, size = float(found.scores[row, place]), int(found.lengths[row, place])
        if score == float("-inf"):
            assert size == 0
            continue
        ids = found.ids[row, place].tolist()
        ended = ids[size : size + 1]
        assert set(ids[size:]) <= {stop}
        listed.append((score, float(found.log_probabilities[row, place]), ids[:size] + ended))
    return listed


def assert_same(found, expected):
    assert [ids for *_, ids in found] == [ids for *_, ids in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[:2] == pytest.approx(other[:2], abs=1e-4)


def found_and_reference(world, search, length, stop, rules=FREE, source=0, prompt=(0,)):
    """What the beam of one row finds, and the reference for it."""
    prefix = rules.prefix[0] if rules.prefix else ()
    required = rules.required[0] if rules.required else ()
    lengths = None if world.weights is None else world.lengths[source : source + 1]
    model = world.bound(search.beam_size, [source])
    found = beam_search(model, torch.tensor([prompt]), length, search, stop, rules, lengths)
    return texts(found, 0, stop), Reference(world, source, prompt, length, search, stop, rules, prefix, required)


WIDE = {"beam_size": 256, "n_best": 6}

RULES = {
    "none": FREE,
    "forbidden": Constraints(forbidden=[0]),
    "min_length": Constraints(min_length=3),
    "ngrams": Constraints(no_repeat_ngram=2),
    "unigrams": Constraints(no_repeat_ngram=1),
    "repetition": Constraints(repetition_penalty=1.7),
    "prefix": Constraints(prefix=[[2, 0]]),
    "prefix that ends": Constraints(prefix=[[2, 3]]),
    "required": Constraints(required=[[[1, 2], [0]]]),
    "required that overlap": Constraints(required=[[[1, 1, 2]]]),
    "all": Constraints([0], 1, 3, 1.3, [[2]], [[[1]]]),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all_texts(rules, penalty):
    for seed in range(3):
        world = World(seed, vocab_size=4)
        found, reference = found_and_reference(world, BeamSearch(length_penalty=penalty, **WIDE), 4, 3, rules)
        assert_same(found, reference.everything()[:6])


def test_a_wide_beam_finds_the_best_by_coverage():
    for seed in range(5):
        world = World(seed, vocab_size=4, sources=2, source_size=3)
        search = BeamSearch(length_penalty=0.6, coverage_penalty=0.8, **WIDE)
        for source in (0, 1):
            found, reference = found_and_reference(world, search, 4, 3, source=source)
            assert_same(found, reference.everything()[:6])


def test_without_a_stop_id_all_texts_are_of_one_length():
    world = World(0, vocab_size=3)
    found, reference = found_and_reference(world, BeamSearch(beam_size=81, n_best=9), 4, None)
    assert_same(found, reference.everything()[:9])
    assert {len(ids) for *_, ids in found} == {4}


def test_there_are_no_more_texts_than_there_are():
    found, reference = found_and_reference(World(0, vocab_size=3), BeamSearch(beam_size=30, n_best=30), 3, 2)
    assert len(found) == 1 + 2 + 4 * 3
    assert_same(found, reference.everything())
    found, _ = found_and_reference(World(0, 3), BeamSearch(), 3, 2, Constraints(required=[[[0, 1, 0, 1]]]))
    assert found == []


NARROW = {
    "plain": ({"beam_size": 3, "n_best": 3}, FREE),
    "one": ({"beam_size": 1}, FREE),
    "length": ({"beam_size": 4, "n_best": 2, "length_penalty": 0.9}, FREE),
    "rules": ({"beam_size": 3, "n_best": 3, "length_penalty": 0.4}, Constraints([0], 2, 2, 1.4, [[4]])),
    "groups": ({"beam_size": 6, "n_best": 6, "beam_groups": 3, "diversity": 0.7}, FREE),
    "groups of one": ({"beam_size": 3, "n_best": 2, "beam_groups": 3, "diversity": 2.0}, FREE),
    "groups as wide as the vocabulary": ({"beam_size": 12, "n_best": 8, "beam_groups": 2, "diversity": 3.0}, FREE),
    "groups and rules": (
        {"beam_size": 4, "n_best": 3, "beam_groups": 2, "diversity": 0.5, "length_penalty": 1.0},
        Constraints(min_length=2, no_repeat_ngram=2),
    ),
    "required": ({"beam_size": 4, "n_best": 3}, Constraints(required=[[[1, 2], [4]]])),
    "required, one beam": ({"beam_size": 1}, Constraints(required=[[[1], [3], [1, 0]]])),
    "required, few beams": ({"beam_size": 2, "n_best": 2}, Constraints(required=[[[1, 2, 1], [4]]])),
}


@pytest.mark.parametrize("arguments, rules", NARROW.values(), ids=NARROW)
def test_a_narrow_beam_is_the_search_in_plain_python(arguments, rules):
    search = BeamSearch(**arguments)
    for seed in range(15):
        found, reference = found_and_reference(World(seed, vocab_size=6), search, 8, 5, rules, prompt=(0, 3))
        assert_same(found, reference.beam())


def test_no_text_is_found_twice_and_as_many_as_there_are():
    for groups, least in ((2, 4), (4, 2)):  # which hardly differ: each finds what another one does
        search = BeamSearch(beam_size=8, n_best=4, beam_groups=groups, diversity=0.01)
        for seed in range(10):
            found, reference = found_and_reference(World(seed, vocab_size=6), search, 8, 5)
            assert len({tuple(ids) for *_, ids in found}) == len(found) >= least
            assert_same(found, reference.beam())
    search = BeamSearch(beam_size=30, n_best=30, beam_groups=2, diversity=0.5)
    found, reference = found_and_reference(World(0, vocab_size=3), search, 3, 2)
    assert_same(found, reference.everything())
    assert len(found) == 1 + 2 + 4 * 3


def test_each_group_gives_its_best():
    found, _ = found_and_reference(World(0, 8), BeamSearch(4, n_best=2, beam_groups=2, diversity=50.0), 6, 7)
    assert found[0][2][0] != found[1][2][0]


def test_groups_that_find_nothing_give_nothing():
    nothing = torch.full((3,), -torch.inf)
    model = lambda ids, state=None: (nothing.expand(len(ids), 1, 3), ())
    found = beam_search(model, torch.tensor([[0]]), 3, BeamSearch(4, n_best=3, beam_groups=2, diversity=1.0))
    assert found.scores.tolist() == [[-torch.inf] * 3]
    assert found.ids.shape == (1, 3, 0)


def test_a_narrow_beam_with_coverage_is_the_search_in_plain_python():
    search = BeamSearch(beam_size=3, n_best=3, length_penalty=0.5, coverage_penalty=0.6)
    for seed in range(10):
        world = World(seed, vocab_size=6, sources=2, source_size=4)
        found, reference = found_and_reference(world, search, 8, 5, source=1)
        assert_same(found, reference.beam())


def test_a_wanted_id_is_a_candidate_once_wherever_it_stands_among_the_wanted():
    scores = torch.tensor([[[0.0, 5.0, 4.0, 3.0, 2.0, 1.0]]])
    found = propose(torch.zeros(1, 1), scores, scores, torch.tensor([[[-1, 3, 0]]]), 0)
    assert sorted(found.ids[found.ranks > -torch.inf].tolist()) == [0, 1, 2, 3, 4, 5]


def test_required_ids_appear_however_unlikely():
    world = World(0, vocab_size=20, scale=4.0)
    required = [[[11, 12, 13], [7]]]
    found, _ = found_and_reference(world, BeamSearch(beam_size=5, n_best=5), 12, 19, Constraints(required=required))
    assert len(found) == 5
    for *_, ids in found:
        assert "11, 12, 13" in str(ids)
        assert 7 in ids
    free, _ = found_and_reference(world, BeamSearch(beam_size=5, n_best=5), 12, 19)
    assert not any("11, 12, 13" in str(ids) for *_, ids in free)


@pytest.mark.parametrize("rules", [FREE, Constraints(no_repeat_ngram=2, repetition_penalty=1.2, min_length=3)])
def test_a_beam_of_one_is_greedy_is_sampling_without_temperature(rules):
    for seed in range(20):
        world = World(seed, vocab_size=7, sources=3)
        prompt = torch.tensor([[0, 1], [2, 3], [4, 5]])
        found = beam_search(world.bound(1), prompt, 12, BeamSearch(beam_size=1), 6, rules)
        steps = list(generate(world.bound(1), prompt, 12, Sampling(temperature=0), 6, constraints=rules))
        assert found.ids[:, 0].tolist() == torch.stack(steps, 1).tolist()


@pytest.mark.parametrize(
    "arguments, rules",
    [
        ({"beam_size": 4, "n_best": 3, "length_penalty": 0.7, "coverage_penalty": 0.3}, {}),
        ({"beam_size": 4, "n_best": 4, "beam_groups": 2, "diversity": 0.9}, {"no_repeat_ngram": 2}),
        (
            {"beam_size": 4, "n_best": 2},
            {"required": [[[1]], [[2, 3], [4]], [], [[5]]], "prefix": [[1, 2], [3], [], [4]]},
        ),
    ],
)
def test_rows_of_a_batch_are_what_they_are_alone(arguments, rules):
    search = BeamSearch(**arguments)
    world = World(1, vocab_size=8, sources=4, source_size=3)
    prompts = torch.tensor([[0], [1], [2], [0]])
    together = beam_search(world.bound(4), prompts, 9, search, 7, Constraints(**rules), world.lengths)
    sizes = set()
    for row in range(4):
        own = Constraints(
            **{name: value[row : row + 1] if isinstance(value, list) else value for name, value in rules.items()}
        )
        found, _ = found_and_reference(world, search, 9, 7, own, row, prompts[row].tolist())
        assert_same(texts(together, row, 7), found)
        sizes.add(len(found[0][2]))
    assert len(sizes) > 1  # rows end at different steps


def test_the_state_follows_its_hypothesis():
    world = World(0, vocab_size=6)
    model, states = world.bound(4), []

    def spy(ids, state=None):
        states.append(ids if state is None else torch.cat([state[0][0], ids], 1))
        return model(ids, state)

    found = beam_search(spy, torch.tensor([[0]]), 7, BeamSearch(beam_size=4, n_best=4))
    # Each text is, but for its last id, one of the histories that the model read.
    read = states[-1].tolist()
    assert all([0, *ids[:-1]] in read for ids in found.ids[0].tolist())
    assert len(read) == len({tuple(row) for row in read}) == 4


def test_attention_is_that_of_each_step():
    world = World(3, vocab_size=6, sources=2, source_size=3)
    found = beam_search(world.bound(4), torch.tensor([[0], [1]]), 6, BeamSearch(beam_size=4, n_best=3), 5)
    for row in range(2):
        for place in range(3):
            ids, size = found.ids[row, place].tolist(), int(found.lengths[row, place])
            for step in range(found.ids.shape[2]):
                expected = world.weights[row, world.place([row, *ids[:step]])] * (step <= size)
                assert torch.allclose(found.attention[row, place, step], expected)


def test_a_search_ends_when_nothing_better_can_come():
    calls = []

    def model(ids, state=None):  # the stop id has nearly all of the probability
        calls.append(1)
        return torch.tensor([0.0, 0.0, 9.0]).expand(len(ids), ids.shape[1], 3), ()

    found = beam_search(model, torch.tensor([[0]]), 50, BeamSearch(beam_size=2), 2)
    assert found.lengths.tolist() == [[0]]
    assert len(calls) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_of_half_precision_are_summed_in_single(dtype):
    logits = torch.tensor([[0.3, 1.1, -0.2]]).to(dtype)
    model = lambda ids, state=None: (logits.expand(len(ids), 1, 3), ())
    found = beam_search(model, torch.tensor([[0]]), 40, BeamSearch(beam_size=2))
    expected = 40 * float(logits.float().log_softmax(-1)[0, 1])
    assert float(found.log_probabilities[0, 0]) == pytest.approx(expected, rel=1e-5)


def test_minus_infinity_is_never_chosen_and_may_leave_nothing():
    row = torch.tensor([-torch.inf, 0.0, -torch.inf])
    found = beam_search(
        lambda ids, state=None: (row.expand(len(ids), 1, 3), ()), torch.tensor([[0]]), 3, BeamSearch(3, n_best=3)
    )
    assert found.ids[0, 0].tolist() == [1, 1, 1]
    assert found.scores[0].tolist() == [0, -torch.inf, -torch.inf]
    nothing = torch.full((3,), -torch.inf)
    found = beam_search(
        lambda ids, state=None: (nothing.expand(len(ids), 1, 3), ()), torch.tensor([[0]]), 3, BeamSearch(2)
    )
    assert found.scores.tolist() == [[-torch.inf]]
    assert found.ids.shape == (1, 1, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_told(value):
    model = lambda ids, state=None: (torch.tensor([0.0, value, 1.0]).expand(len(ids), 1, 3), ())
    with pytest.raises(ValueError, match="NaN or infinite"):
        beam_search(model, torch.tensor([[0]]), 3, BeamSearch(2))
    with pytest.raises(ValueError, match="NaN or infinite"):
        list(generate(model, torch.tensor([[0]]), 3))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"beam_size": 0}, "beam_size=0: expected at least 1"),
        ({"length_penalty": -0.1}, "length_penalty=-0.1: expected a number of at least 0"),
        ({"coverage_penalty": float("nan")}, "coverage_penalty=nan"),
        ({"n_best": 6}, "n_best=6: expected 1 to beam_size=5"),
        ({"n_best": 0}, "n_best=0: expected 1 to beam_size=5"),
        ({"beam_groups": 2, "diversity": 0.5}, "beam_groups=2: expected what divides beam_size=5"),
        ({"beam_groups": 5}, "diversity=0.0: expected above 0"),
        ({"diversity": 0.5}, "diversity=0.5: expected above 0 with several"),
    ],
)
def test_searches_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError) as caught:
        BeamSearch(**arguments)
    assert str(caught.value).startswith(message)


def test_what_a_search_cannot_do_is_told():
    model, prompt = World(0, vocab_size=4).bound(2), torch.tensor([[0]])
    for search, rules, arguments, message in (
        (BeamSearch(2, coverage_penalty=0.1), FREE, (prompt, 3), "coverage_penalty=0.1: the model gives no attention"),
        (BeamSearch(2), FREE, (prompt, 0), "length=0"),
        (BeamSearch(2), FREE, (prompt[:, :0], 3), "at least one step"),
        (BeamSearch(2), Constraints(prefix=[[0], [1]]), (prompt, 3), "prefix: expected a list for each of 1 rows"),
        (BeamSearch(2, beam_groups=2, diversity=1.0), Constraints(required=[[[1]]]), (prompt, 3), "beam_groups=2"),
    ):
        with pytest.raises(ValueError, match=message):
            beam_search(model, *arguments, search, constraints=rules)

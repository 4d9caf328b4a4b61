"""The generated problems against oracles of their own: their rules, written another way."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest

from seqmodels.data.examples import GeneratedExamples
from seqmodels.data.synthetic.algorithms import BinaryAddition, Parity
from seqmodels.data.synthetic.memory import Adding, Copy, DelayedRecall, Multiplication, TemporalOrder
from seqmodels.data.synthetic.moving_digits import MovingDigit
from seqmodels.data.synthetic.reber import SYMBOLS, EmbeddedReber, allowed_successors

PROBLEMS = [
    Adding(20),
    Multiplication(20),
    Copy(5),
    TemporalOrder(30),
    TemporalOrder(30, num_symbols=3),
    DelayedRecall(10),
    Parity(),
    BinaryAddition(),
    EmbeddedReber(),
    EmbeddedReber(40),
    MovingDigit(),
]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: type(problem).__name__)


def draws(problem, count=300, seed=0):
    return [problem.draw(np.random.default_rng([seed, number])) for number in range(count)]


@each_problem
def test_an_example_is_a_pure_function_of_seed_part_and_index(problem):
    def examples(seed=1, part="train"):
        return GeneratedExamples(problem, seed, part, 40)

    def content(example):
        return example.inputs.tobytes(), example.targets.tobytes()

    backwards = [content(examples()[index]) for index in reversed(range(40))][::-1]
    assert [content(examples()[index]) for index in range(40)] == backwards
    assert backwards != [content(examples(seed=2)[index]) for index in range(40)]
    assert backwards != [content(examples(part="val")[index]) for index in range(40)]
    assert len(set(backwards)) > 20


@each_problem
def test_examples_are_what_the_spec_says(problem):
    spec = problem.spec
    examples = draws(problem)
    assert max(len(example.inputs) for example in examples) <= problem.max_steps
    for example in examples:
        inputs, targets = example.inputs, example.targets
        steps = len(inputs)
        kind = spec["inputs"]["kind"]
        if kind == "tokens":
            assert (inputs.dtype, inputs.shape) == (np.int64, (steps,))
            assert inputs.min() >= 0
            assert inputs.max() < spec["inputs"]["vocab_size"]
        elif kind == "vectors":
            assert (inputs.dtype, inputs.shape) == (np.float32, (steps, spec["inputs"]["num_features"]))
        else:
            assert (inputs.dtype, inputs.shape[:2]) == (np.float32, (steps, spec["inputs"]["image_channels"]))
        lead = (steps,) if spec["shape"] == "many_to_many" else ()
        if spec["targets"]["kind"] == "classes":
            assert (targets.dtype, targets.shape) == (np.int64, lead)
            assert targets.min() >= 0
            assert targets.max() < len(spec["targets"]["classes"])
        else:
            names = spec["targets"].get("names") or spec["targets"]["labels"]
            assert (targets.dtype, targets.shape) == (np.float32, (*lead, len(names)))


@pytest.mark.parametrize(
    "problem",
    [problem for problem in PROBLEMS if "classes" in problem.spec["targets"] and not isinstance(problem, Copy)],
    ids=lambda problem: type(problem).__name__,
)
def test_every_class_comes_up_about_as_often(problem):
    classes = np.concatenate([np.atleast_1d(example.targets) for example in draws(problem, 2000)])
    counts = np.bincount(classes, minlength=len(problem.spec["targets"]["classes"]))
    assert counts.min() > 0.6 * counts.mean()


def test_adding_and_multiplication_answer_for_one_marked_number_of_each_half():
    for adding, multiplying in zip(draws(Adding(21)), draws(Multiplication(21)), strict=True):
        (first, second) = np.flatnonzero(adding.inputs[:, 1])
        assert first < 10 <= second
        a, b = adding.inputs[[first, second], 0].tolist()
        np.testing.assert_allclose(adding.targets, [a + b], rtol=1e-6)
        np.testing.assert_allclose(multiplying.targets, [a * b], rtol=1e-6)


def test_the_constant_predictors_are_as_good_as_the_documentation_says():
    sums = np.array([example.targets[0] for example in draws(Adding(4), 4000)])
    products = np.array([example.targets[0] for example in draws(Multiplication(4), 4000)])
    assert np.mean((sums - 1) ** 2) == pytest.approx(1 / 6, rel=0.05)
    assert np.mean((products - 0.25) ** 2) == pytest.approx(7 / 144, rel=0.07)


def test_copy_says_the_symbols_after_the_delimiter():
    for example in draws(Copy(length=7, num_symbols=4, num_values=3), 50):
        read, said = example.inputs.tolist(), example.targets.tolist()
        assert len(read) == 4 + 7 + 4
        assert read[4:] == [3] * 6 + [4] + [3] * 4
        assert said == [3] * 11 + read[:4]
        assert set(read[:4]) <= {0, 1, 2}


@pytest.mark.parametrize("num_symbols, places", [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])])
def test_temporal_order_is_the_order_of_x_and_y(num_symbols, places):
    problem = TemporalOrder(100, num_symbols)
    lengths, seen = set(), [set() for _ in places]
    for example in draws(problem, 2000):
        text = "".join("abcdXYEB"[symbol] for symbol in example.inputs)
        assert re.fullmatch(rf"E[abcd]*([XY][abcd]+){{{num_symbols}}}B", text)
        assert problem.classes[example.targets] == re.sub("[^XY]", "", text)
        lengths.add(len(text))
        for place, match in zip(seen, re.finditer("[XY]", text), strict=True):
            place.add(match.start())
    assert lengths == set(range(100, 111))
    assert [(min(place), max(place)) for place in seen] == places


def test_delayed_recall_asks_for_the_first_symbol():
    for example in draws(DelayedRecall(12, num_cues=3, num_distractors=2), 50):
        first, *between, last = example.inputs.tolist()
        assert example.targets == first < 3
        assert len(between) == 10
        assert set(between) <= {3, 4}
        assert last == 5


def test_parity_against_counting():
    lengths = set()
    for example in draws(Parity(16), 500):
        assert example.targets == int("".join(map(str, example.inputs.tolist())), 2).bit_count() % 2
        lengths.add(len(example.inputs))
    assert lengths == set(range(1, 17))


def test_binary_addition_against_integers():
    def number(bits):
        return int("".join(str(int(bit)) for bit in reversed(bits)), 2)

    lengths = set()
    for example in draws(BinaryAddition(8).of_part("val"), 500):
        first, second = example.inputs.T
        assert number(example.targets) == number(first) + number(second)
        assert example.inputs[-1].tolist() == [0, 0]
        lengths.add(len(example.inputs) - 1)
    assert (min(lengths), max(lengths)) == (9, 32)


@pytest.mark.parametrize("problem", [Parity(16), BinaryAddition(8)], ids=["parity", "addition"])
def test_longer_sequences_are_for_measuring_alone(problem):
    length = problem.length
    parts = {part: problem.of_part(part) for part in ("train", "val", "test")}

    assert {part: (one.shortest, one.length) for part, one in parts.items()} == {
        "train": (1, length),
        "val": (length + 1, 4 * length),
        "test": (4 * length, 4 * length),
    }


# Every string of the Reber grammar, as a regular expression.
REBER = "B(?:(?:TS*X|PT*VP)(?:XT*VP)*(?:S|XT*VV)|PT*VV)E"
EMBEDDED = re.compile(f"B(?:T{REBER}T|P{REBER}P)E")


def test_reber_strings_are_of_the_grammar_and_reach_all_of_it():
    strings = Counter(EmbeddedReber().draw_string(np.random.default_rng(number)) for number in range(4000))

    assert all(EMBEDDED.fullmatch(string) for string in strings)
    short = {
        string
        for length in range(9, 13)
        for string in map("".join, itertools.product("TPSXV", repeat=length - 6))
        for string in (f"BTB{string}ETE", f"BPB{string}EPE")
        if EMBEDDED.fullmatch(string)
    }
    assert {string for string in strings if len(string) <= 12} == short


def test_allowed_successors_against_all_strings():
    following = {}
    for number in range(6000):
        string = EmbeddedReber().draw_string(np.random.default_rng([7, number]))
        for end in range(1, min(len(string), 8)):
            following.setdefault(string[:end], set()).add(string[end])
    for number in range(200):
        string = EmbeddedReber().draw_string(np.random.default_rng(number))
        for end, allowed in enumerate(allowed_successors(string)[:7], 1):
            assert following[string[:end]] == allowed
        assert allowed_successors(string)[-2:] == [{string[1]}, {"E"}]


def test_reber_examples_show_the_string_and_its_successors():
    generator, again = np.random.default_rng(3), np.random.default_rng(3)
    example, string = EmbeddedReber(15).draw(generator), EmbeddedReber(15).draw_string(again)
    assert "".join(SYMBOLS[symbol] for symbol in example.inputs) == string[:-1]
    assert [{SYMBOLS[place] for place in np.flatnonzero(row)} for row in example.targets] == allowed_successors(string)


def test_reber_strings_are_as_long_as_asked():
    lengths = [len(EmbeddedReber(40).draw_string(np.random.default_rng(number))) for number in range(500)]
    assert min(lengths) == 40
    assert all(EMBEDDED.fullmatch(EmbeddedReber(40).draw_string(np.random.default_rng(n))) for n in range(200))


def test_a_moving_digit_goes_where_its_target_says():
    problem = MovingDigit(length=30, size=16)
    turned = 0
    for clip in draws(problem, 60):
        directions, digits = np.divmod(clip.targets, 10)
        assert len(set(digits)) == 1
        frames = clip.inputs[:, 0]
        shifts = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}  # up, down, left, right
        for frame in range(1, 30):
            moved = np.roll(frames[frame - 1], shifts[directions[frame]], axis=(0, 1))
            np.testing.assert_array_equal(frames[frame], moved)
        assert directions[0] == directions[1]
        turned += len(set(directions)) > 1
    assert turned > 50


def test_the_first_frame_tells_nothing_of_the_direction():
    places = {direction: Counter() for direction in range(4)}
    for clip in draws(MovingDigit(size=11), 8000):
        rows, columns = (np.flatnonzero(clip.inputs[0, 0].any(axis)) for axis in (1, 0))
        centre = (rows[0] + rows[-1], columns[0] + columns[-1])
        places[clip.targets[0] // 10][centre] += 1
    common = [centre for centre, count in sum(places.values(), Counter()).items() if count > 400]
    assert common
    for centre in common:
        counts = [places[direction][centre] for direction in range(4)]
        assert min(counts) > 0.7 * max(counts)


def test_digits_of_the_parts_are_different_images():
    def images(part):
        clips = draws(MovingDigit(size=11).of_part(part), 2000)
        shown = set()
        for clip in clips:
            frame = clip.inputs[0, 0]
            rows, columns = np.flatnonzero(frame.any(1)), np.flatnonzero(frame.any(0))
            shown.add(frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].tobytes())
        return shown

    train, val, test = images("train"), images("val"), images("test")
    assert min(map(len, (train, val, test))) > 100
    assert not train & val
    assert not train & test
    assert not val & test


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Adding(1), "length=1: expected at least 2"),
        (lambda: Multiplication(0), "length=0: expected at least 2"),
        (lambda: Copy(0), "length=0: expected at least 1"),
        (lambda: Copy(num_values=1), "num_values=1: expected at least 2"),
        (lambda: TemporalOrder(9), "length=9: expected at least 10"),
        (lambda: TemporalOrder(num_symbols=4), "num_symbols=4: expected 2 or 3"),
        (lambda: DelayedRecall(2), "length=2: expected at least 3"),
        (lambda: Parity(0), "length=0: expected at least 1"),
        (lambda: BinaryAddition(4, shortest=5), "shortest=5: expected 1 to length, which is 4"),
        (lambda: EmbeddedReber(8), "length=8: expected at least 9"),
        (lambda: MovingDigit(size=10), "size=10: expected at least 11"),
        (lambda: MovingDigit(length=1), "length=1: expected at least 2"),
    ],
)
def test_sizes_out_of_range_are_told(make, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        make()

"""Generated pairs of texts: right answers, parts that share nothing, batches that are others in every epoch."""

import numpy as np
import pytest
import torch

from seqmodels.data import (
    TBPTT,
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Dates,
    DecimalAddition,
    GeneratedPairs,
    Reversal,
    WordTokenizer,
    tokenizer_from_spec,
)
from seqmodels.errors import UserError

PROBLEMS = [Reversal(), DecimalAddition(), Dates(["de", "el", "ja"], target=["iso", "el"])]


def drawn(problem, part, count=1000):
    generator = np.random.default_rng(5)
    return [problem.write(generator, part) for _ in range(count)]


def ready(problem, **keywords):
    module = GeneratedPairs(problem, **{"num_pairs": 60, "batch_size": 8, **keywords})
    module.setup()
    return module


def test_strings_are_reversed_and_of_one_part_alone():
    problem = Reversal("abcd", longest=6)
    parts = {part: drawn(problem, part) for part in ("train", "val", "test")}
    for pairs in parts.values():
        assert all(pair.target == "".join(reversed(pair.source)) for pair in pairs)
    seen = [{pair.source for pair in pairs} for pairs in parts.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_lengths_are_drawn_alike_in_every_part(part):
    lengths = np.bincount([len(pair.source) for pair in drawn(Reversal(), part, 2500)], minlength=26)
    assert lengths[0] == 0
    assert lengths[1:].min() > 60  # of 100 that are expected
    assert lengths[1:].max() < 140


def test_sums_are_right_and_two_numbers_of_one_part_alone():
    problem = DecimalAddition(digits=2)
    seen = []
    for part in ("train", "val", "test"):
        numbers = set()
        for pair in drawn(problem, part, 3000):
            first, second = map(int, pair.source.split("+"))
            assert pair.target == str(first + second)
            assert f"{first}+{second}" == pair.source
            numbers.add((min(first, second), max(first, second)))
        seen.append(numbers)
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert len(seen[2]) > 300  # of about 505


def test_an_answer_may_be_written_from_its_lowest_digit():
    pairs = zip(drawn(DecimalAddition(4), "train", 50), drawn(DecimalAddition(4, True), "train", 50), strict=True)
    assert all((one.source, one.target[::-1]) == (other.source, other.target) for one, other in pairs)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: type(problem).__name__)
@pytest.mark.parametrize("joint", [False, True])
def test_batches_are_the_texts_that_were_drawn(problem, joint):
    module = ready(problem, joint=joint, val_fraction=0.1, test_fraction=0.2)
    assert module.splits == ("train", "val", "test")
    spec = module.spec
    target, source = tokenizer_from_spec(spec["tokenizer"]), tokenizer_from_spec(spec["context"]["tokenizer"])
    counts = {}
    for part in module.splits:
        texts = []
        for window in module.evaluation_dataloader(part):
            assert spec["unk"] not in [
                token for row, length in zip(window.targets, window.lengths, strict=True) for token in row[:length]
            ]
            for row in range(len(window.inputs)):
                context = window.context[row][: window.context_lengths[row]]
                texts.append((source.decode(context), target.decode(window.inputs[row][: window.lengths[row]])))
        generators = [np.random.default_rng([0, ("train", "val", "test").index(part), n]) for n in range(len(texts))]
        assert texts == [problem.write(generator, part)[:2] for generator in generators]
        counts[part] = len(texts)
    assert counts == {"train": 42, "val": 6, "test": 12}


def test_epochs_differ_and_resume_exactly():
    module = ready(Reversal())
    loader = module.train_dataloader()
    batches, places = [], []
    for _ in range(2):
        for batch in loader:
            batches.append(batch)
            places.append(module.state_dict())
    half = len(batches) // 2
    assert not torch.equal(batches[0].context, batches[half].context)
    for stop in (2, half - 1, half):
        second = ready(Reversal())
        second.load_state_dict(places[stop])
        batch = next(iter(second.train_dataloader()))
        assert torch.equal(batch.context, batches[stop + 1].context)
        assert torch.equal(batch.targets, batches[stop + 1].targets)


@pytest.mark.parametrize(
    "tokenizer", [CharTokenizer(), ByteTokenizer(), WordTokenizer(), BPETokenizer(300)], ids=lambda one: one.kind
)
def test_windows_miss_no_step_of_any_target(tokenizer):
    problem = Dates(["el"], target="el")
    module = ready(problem, tokenizer=tokenizer, tbptt=TBPTT(5, 5), val_fraction=0.0, test_fraction=0.0)
    scored = sum(int((window.targets != -100).sum()) for window in module.train_dataloader())
    whole = sum(int(window.lengths.sum()) for window in module.evaluation_dataloader("train"))
    assert scored == whole


def test_requests_take_only_what_occurs(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("12+3\n1-2x\n\n99999+1\n")
    trained = ready(DecimalAddition(2))
    requests = GeneratedPairs(DecimalAddition(2), spec=trained.spec).read_requests(str(path))
    assert [request.problem for request in requests] == [
        None,
        f"{path} line 2: '-', 'x' never occurs in the training data",
        f"{path} line 3: there is no text",
        None,
    ]
    source = tokenizer_from_spec(trained.spec["context"]["tokenizer"])
    assert source.decode(requests[0].example.context) == "12+3"
    assert requests[0].items == [{"source": "12+3"}]


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: Reversal("aa"), "letters=aa: expected different letters"),
        (lambda: Reversal("a b"), "letters=a b: expected different letters"),
        (lambda: Reversal("ab", longest=3), "longest=3: expected so many that 2 letters make 1000 strings"),
        (lambda: Reversal(shortest=0), "shortest=0: expected at least 1"),
        (lambda: Reversal(longest=2, shortest=3), "longest=2: expected at least 3"),
        (lambda: DecimalAddition(0), "digits=0: expected 1 to 18"),
        (lambda: DecimalAddition(19), "digits=19: expected 1 to 18"),
    ],
)
def test_problems_out_of_range_are_told(make, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        make()


def test_sizes_out_of_range_are_told():
    with pytest.raises(UserError, match=r"^data\.num_pairs=0"):
        GeneratedPairs(Reversal(), num_pairs=0)
    with pytest.raises(UserError, match=r"^data\.joint=true"):
        GeneratedPairs(Reversal(), source_tokenizer=CharTokenizer(), joint=True)
    with pytest.raises(UserError, match=r"^data\.batch_size=0"):
        ready(Reversal(), batch_size=0)

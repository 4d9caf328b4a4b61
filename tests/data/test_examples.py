"""Examples become batches: padding, windows, fresh data for generated tasks, exact resumption."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from seqmodels.data import (
    IGNORE_INDEX,
    TBPTT,
    BucketedLines,
    DataModule,
    Example,
    Form,
    GeneratedExamples,
    Loaded,
    collate,
    load_examples,
)
from seqmodels.errors import UserError

WHOLE = TBPTT(None, None)


def vectors(steps, start=0.0):
    return np.arange(start, start + 2 * steps, dtype=np.float32).reshape(steps, 2)


@dataclass(frozen=True)
class Sums:
    """Numbers, and at each step whether their sum is odd."""

    max_steps: int = 7

    def draw(self, generator):
        numbers = generator.integers(0, 9, generator.integers(1, self.max_steps + 1))
        return Example(numbers, numbers.cumsum() % 2)


class Module(DataModule):
    def __init__(self, parts, tbptt=WHOLE, batch_size=3, shape="many_to_many", num_workers=0):
        super().__init__(num_workers)
        self.arguments = ({"kind": "sequences", "shape": shape}, parts, batch_size, tbptt, 5)

    def load(self) -> Loaded:
        return load_examples(*self.arguments)


def ready(*arguments, **keywords):
    module = Module(*arguments, **keywords)
    module.setup()
    return module


def same(first, second):
    return all(
        a is b or torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(first, second, strict=True)
    )


def test_padding_is_zero_in_inputs_and_unscored_in_targets():
    numbers = Example(vectors(3), np.float32([[1], [2], [3]]))
    window = collate([numbers, Example(vectors(1), np.float32([[9]]))])
    assert window.inputs.shape == (2, 3, 2)
    assert window.inputs[1, 1:].eq(0).all()
    assert window.targets[1, 1:].isnan().all()
    assert not window.targets[0].isnan().any()
    classes = collate([Example(vectors(2), np.array([1, 0])), Example(vectors(1), np.array([1]))])
    assert classes.targets.tolist() == [[1, 0], [1, IGNORE_INDEX]]
    assert classes.context is None


def test_a_target_of_the_whole_sequence_is_not_cut():
    examples = [Example(vectors(5), np.int64(2), np.int64(1)), Example(vectors(3), np.int64(0), np.int64(0))]
    window = collate(examples, form=Form(targets=False), windowing=TBPTT(None, 2))
    assert window.targets.tolist() == [2, 0]
    assert window.context.tolist() == [1, 0]
    assert window.num_without_gradient == 3
    assert window.first


@pytest.mark.parametrize("k1,k2", [(2, 2), (2, 4), (4, 2), (3, None)])
def test_windows_of_one_batch_score_every_step_that_is_due_once(k1, k2):
    parts = {"train": [Example(np.arange(n), np.arange(n)) for n in (7, 4, 6)]}
    windows = list(ready(parts, TBPTT(k1, k2)).train_dataloader())
    scored = torch.cat([window.targets.flatten() for window in windows])
    scored = sorted(scored[scored != IGNORE_INDEX].tolist())
    every = [n for n in range(7) if k2 is None or k2 >= k1 or (min(n // k1 * k1 + k1, 7) - n) <= k2]
    assert scored == sorted([n for length in (7, 4, 6) for n in every if n < length])


def test_generated_examples_are_a_function_of_seed_part_and_index():
    examples = GeneratedExamples(Sums(), seed=3, part="train", count=4)
    again = GeneratedExamples(Sums(), seed=3, part="train", count=9)
    assert all(np.array_equal(examples[i].inputs, again[i].inputs) for i in range(20))
    for other in (GeneratedExamples(Sums(), 4, "train", 4), GeneratedExamples(Sums(), 3, "val", 4)):
        assert any(not np.array_equal(examples[i].inputs, other[i].inputs) for i in range(20))


def test_each_epoch_draws_others_and_validation_the_same():
    parts = {part: GeneratedExamples(Sums(), 1, part, 8) for part in ("train", "val")}
    module = ready(parts)
    loader = module.train_dataloader()
    first, second = list(loader), list(loader)
    assert len(first) == len(second) == len(loader) == 3
    assert not any(same(a, b) for a, b in zip(first, second, strict=True))
    assert all(map(same, module.val_dataloader(), module.val_dataloader()))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("tbptt", [WHOLE, TBPTT(2, 3)])
def test_generated_batches_resume_exactly(num_workers, tbptt):
    parts = {"train": GeneratedExamples(Sums(), 1, "train", 8)}
    module = ready(parts, tbptt, num_workers=num_workers)
    loader = module.train_dataloader()
    whole = [*loader, *loader]
    for stop in range(1, len(loader), 1 if num_workers == 0 else 4):
        resumed = module.train_dataloader()
        resumed.load_state_dict({"epoch": 0, "batches": stop, "batches_per_epoch": len(loader)})
        assert all(map(same, [*resumed, *resumed], whole[stop:]))


def test_sequences_of_like_length_share_a_batch():
    parts = {"train": [Example(np.zeros(n, np.int64), np.zeros(n, np.int64)) for n in (1, 9, 1, 9, 1, 9)]}
    module = ready(parts)
    assert isinstance(module.train_dataloader().place.order, BucketedLines)
    assert sorted(window.inputs.shape[1] for window in module.train_dataloader()) == [1, 9]


@pytest.mark.parametrize(
    "keywords,message",
    [
        ({"shape": "many_to_one", "tbptt": TBPTT(4, 4)}, "tbptt.k1=4: here each sequence has one target"),
        ({"tbptt": TBPTT(None, 40)}, "tbptt.k2=40: the longest sequence has 3 steps"),
        ({"batch_size": 0}, "data.batch_size=0: expected an integer of at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_told(keywords, message):
    target = np.int64(0) if keywords.get("shape") == "many_to_one" else np.zeros(3, np.int64)
    with pytest.raises(UserError, match=message):
        ready({"train": [Example(vectors(3), target)]}, **keywords)


def test_no_examples_are_told():
    with pytest.raises(UserError, match="no example to train on"):
        ready({"train": [], "val": [Example(vectors(1), np.int64([0]))]})

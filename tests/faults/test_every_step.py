"""Resumed from every step, over tasks, workers, regimes of TBPTT and accumulation, a run ends with the same bits.

The short form goes on from the first step, one within an epoch, those around an epoch's end and the last but one.
"""

import itertools
import shutil
import sys

import pytest
from same_bits import final_state, same

from seqmodels import runs
from seqmodels.commands.composing import compose
from seqmodels.training import train

SHARED = [
    *(
        "trainer=cpu",
        "model.hidden_size=6",
        "model.output_dropout=0.3",
        "trainer.max_epochs=2",
        "callbacks.samples=null",
    ),
    *("callbacks.checkpoints.every_n_steps=1", "callbacks.pictures=null", "callbacks.monitor.every_n_steps=2"),
]
FRESH = ["data.train_size=28", "data.val_size=4", "data.test_size=4", "data.batch_size=8"]
TASKS = {
    "language model": ["data=text_file", "data.path={short}", "data.batch_size=4", "cell=lstm"],
    "lines": ["experiment=lines", "data.path={lines}", "data.batch_size=12"],
    "classification": ["experiment=sentiment", *FRESH],
    "series to numbers": ["experiment=adding", "data.problem.length=12", *FRESH],
    "targets at each step": ["experiment=memory/copy", *FRESH],
    "sequence to sequence": [
        *("experiment=reversal", "data.num_pairs=36", "data.val_fraction=0.1", "data.batch_size=8"),
        *("data.problem.longest=5", "task.measures.hypotheses.length=4", "model.encoder.hidden_size=6"),
        *("callbacks.checkpoints.monitor=val/loss", "callbacks.checkpoints.mode=min"),
    ],
}
REGIMES = {
    "side by side": ["tbptt.k1=12", "tbptt.k2=12"],
    "overlapping": ["tbptt.k1=8", "tbptt.k2=12"],
    "gaps": ["tbptt.k1=12", "tbptt.k2=8"],
    "whole": ["tbptt.k1=null", "tbptt.k2=null"],
    "last steps": ["tbptt.k1=null", "tbptt.k2=5"],
}
# A stream has no end to take whole; what has one target a sequence is one window, over whose last k2 steps it goes.
FITTING = {
    "language model": ["side by side", "overlapping", "gaps"],
    "lines": ["overlapping", "gaps", "whole"],
    "classification": ["whole"],
    "series to numbers": ["last steps", "whole"],
    "targets at each step": ["overlapping", "gaps", "whole"],
    "sequence to sequence": ["whole"],
}
MATRIX = [
    (task, regime, workers, accumulate)
    for task, workers, accumulate in itertools.product(TASKS, (0, 2), (1, 3))
    for regime in FITTING[task]
]
SAMPLE = [
    ("language model", "overlapping", 2, 3),
    ("classification", "whole", 0, 1),
    ("sequence to sequence", "whole", 0, 3),
]


@pytest.fixture
def composed(corpus, tmp_path):
    lines = corpus.read_text().splitlines()
    (tmp_path / "short.txt").write_text("\n".join(lines[:14]))
    (tmp_path / "lines.txt").write_text("\n".join(lines[:40]))

    def make(task, regime, workers, accumulate):
        files = {name: tmp_path / f"{name}.txt" for name in ("short", "lines")}
        given = [word.format(**files) for word in TASKS[task]]
        given += [f"data.num_workers={workers}", f"trainer.accumulate_grad_batches={accumulate}"]
        return compose([*given, *SHARED, *REGIMES[regime], f"output_dir={tmp_path / 'outputs'}"])

    return make


def check_resumptions(config, archive, pick):
    """Trains twice, then goes on from the checkpoints that are picked; all must end alike."""
    undisturbed = train(config)
    expected = final_state(undisturbed.run)
    assert same(final_state(train(config).run), expected)  # the same seed, the same run
    saved = sorted(archive.glob("*.ckpt"))
    assert [int(path.stem) for path in saved] == list(range(expected["global_step"] + 1))
    for checkpoint in pick(saved):
        shutil.copy(checkpoint, undisturbed.run / "checkpoints" / "last.ckpt")
        outcome = train(config, runs.load_run(str(undisturbed.run), to_resume=True))
        assert same(final_state(outcome.run), expected), f"resumed from {checkpoint.stem}"
        figures = {name: value for name, value in outcome.results.items() if "second" not in name}
        numbers = {name: value for name, value in figures.items() if value == value}  # NaN is like nothing
        assert numbers.items() <= undisturbed.results.items(), f"resumed from {checkpoint.stem}"
    return len(saved)


@pytest.mark.faults
@pytest.mark.parametrize(("task", "regime", "workers", "accumulate"), MATRIX)
def test_from_every_step(composed, archive, task, regime, workers, accumulate):
    count = check_resumptions(composed(task, regime, workers, accumulate), archive, list)
    print(f"resumed from {count} checkpoints", file=sys.stderr)  # seen with -s
    assert count >= 3


@pytest.mark.parametrize(("task", "regime", "workers", "accumulate"), SAMPLE)
def test_from_some_steps(composed, archive, task, regime, workers, accumulate):
    def pick(saved):
        middle = (len(saved) - 1) // 2  # two epochs of as many updates
        return [saved[place] for place in (1, middle, middle + 1)]

    check_resumptions(composed(task, regime, workers, accumulate), archive, pick)

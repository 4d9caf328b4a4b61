"""Killed at any moment and resumed, a run ends with the bits of one that was not."""

import random
import signal
import time

import pytest
from processes import RUN, wait_until
from same_bits import final_state, same

from seqmodels import runs


@pytest.fixture
def run(corpus, tmp_path):
    """The arguments of a training in a folder of that name."""
    return lambda name, *overrides: [
        *("train", f"data.path={corpus}", *RUN, f"output_dir={tmp_path / name}"),
        *overrides,
    ]


def killed_until_done(start, arguments, latest, draw, kills):
    """Kills a training at random moments and resumes it, then lets it end; returns how often it was killed."""
    last, count = latest / "checkpoints" / "last.ckpt", 0
    for _ in range(kills):
        stamps = {last.stat().st_mtime_ns} if last.exists() else set()
        process, updates = start(*arguments), draw.randint(0, 6)

        def seen(last=last, stamps=stamps, updates=updates):
            if last.exists():
                stamps.add(last.stat().st_mtime_ns)
            return len(stamps) > updates

        wait_until(seen, process)
        time.sleep(draw.uniform(0.0, 0.03))
        assert process.kill() == -signal.SIGKILL, process.told
        count += 1
        if last.exists():  # killed before its first second, a run begins anew
            arguments = ["train", f"resume={latest}"]
    process = start(*arguments)
    assert process.wait() == 0, process.told
    return count


@pytest.mark.parametrize(
    ("kills", "workers", "epochs"),
    [(3, 0, 1), pytest.param(20, 0, 6, marks=pytest.mark.faults), pytest.param(20, 2, 6, marks=pytest.mark.faults)],
)
def test_killed_at_random_moments_and_resumed_the_weights_are_the_same(start, run, tmp_path, kills, workers, epochs):
    more = [f"data.num_workers={workers}", f"trainer.max_epochs={epochs}"]
    assert start(*run("undisturbed", *more)).wait() == 0
    expected = final_state(tmp_path / "undisturbed" / "latest")
    latest = tmp_path / "killed" / "latest"
    assert killed_until_done(start, run("killed", *more), latest, random.Random(kills + workers), kills) == kills
    assert same(final_state(latest), expected)
    assert not list(latest.glob("checkpoints/.*"))  # what kills left half written is gone


@pytest.mark.parametrize(
    ("signum", "code", "group"),
    [
        (signal.SIGTERM, 143, False),
        (signal.SIGINT, 130, False),
        pytest.param(signal.SIGINT, 130, True, marks=pytest.mark.faults),
        pytest.param(signal.SIGTERM, 143, True, marks=pytest.mark.faults),
    ],
)
def test_a_signal_leaves_by_its_code_with_a_checkpoint_that_resumes_exactly(start, run, tmp_path, signum, code, group):
    """To the process alone, and to its workers too, as Ctrl-C in a terminal and many schedulers do."""
    more = [f"data.num_workers={2 if group else 0}", "trainer.max_epochs=1"]
    arguments = run("stopped", *more)
    latest = tmp_path / "stopped" / "latest"
    process = start(*arguments)
    assert wait_until((latest / "checkpoints" / "previous.ckpt").exists, process)
    process.send(signum, group)
    assert process.wait() == code, process.told
    assert process.told.splitlines()[-1].startswith(f"stopped by {signal.Signals(signum).name}; go on with: ")
    assert runs.load_run(str(latest), to_resume=True).checkpoint["global_step"] > 0
    assert start("train", f"resume={latest}").wait() == 0
    assert start(*run("undisturbed", *more)).wait() == 0
    assert same(final_state(latest), final_state(tmp_path / "undisturbed" / "latest"))

"""Two processes on one run directory: the second is refused, and nothing of the first is disturbed."""

import signal
import subprocess

import pytest
from processes import RUN, wait_until
from same_bits import final_state, same

from seqmodels import runs
from seqmodels.errors import UserError
from seqmodels.locks import LOCK, locked
from seqmodels.training import train


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.faults), 2])
def test_the_second_process_is_refused_until_the_first_is_dead(start, corpus, tmp_path, workers):
    arguments = ["train", f"data.path={corpus}", *RUN, f"data.num_workers={workers}", "trainer.max_epochs=1"]
    undisturbed = start(*arguments, f"output_dir={tmp_path / 'undisturbed'}")
    assert undisturbed.wait() == 0, undisturbed.told
    first = start(*arguments, f"output_dir={tmp_path / 'o'}")
    latest = tmp_path / "o" / "latest"
    assert wait_until((latest / "checkpoints" / "previous.ckpt").exists, first)
    first.send(signal.SIGSTOP)  # it lives and holds the lock, however long the second one takes
    line = start("train", f"resume={latest}").line()
    assert f"process {first.pid} on " in line
    assert "trains in it; wait for its end, or stop it" in line
    assert first.kill() == -signal.SIGKILL
    # At once, though its workers may live for a while yet.
    resumed = start("train", f"resume={latest}")
    assert resumed.wait() == 0, resumed.told
    assert same(final_state(latest), final_state(tmp_path / "undisturbed" / "latest"))


def test_a_run_can_be_locked_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        with pytest.raises(UserError, match=r"process \d+ on \S+ trains in it"), locked(tmp_path):
            pass
        with pytest.raises(UserError, match="trains in it"), locked(tmp_path):  # being refused takes nothing away
            pass
    assert (tmp_path / LOCK).exists()


def test_a_run_that_has_gone_on_since_it_was_read_is_not_gone_on_with(small_run):
    run = small_run().run
    loaded = runs.load_run(str(run), key="resume", to_resume=True)
    last = run / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    last.unlink()
    last.write_bytes(before)  # as another process does
    with pytest.raises(UserError, match="another process has trained in it meanwhile; resume it again"):
        train(loaded.config, resumed=loaded)


def test_what_the_program_starts_does_not_hold_the_lock(tmp_path):
    with locked(tmp_path):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with locked(tmp_path):
            pass
    finally:
        child.kill()
        child.wait()


def test_reading_a_run_needs_no_lock(small_run, start):
    run = small_run().run
    with locked(run):
        assert start("evaluate", f"run={run}").wait() == 0

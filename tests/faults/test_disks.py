"""Disks that are full or may not be written: nothing that was there is lost, and the one line names the path."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest
from processes import RUN, wait_until
from same_bits import final_state, same

from seqmodels import resources, runs
from seqmodels.callbacks import CsvMetrics
from seqmodels.errors import UserError
from seqmodels.training import train


def filled(folder, free):
    """Fills a file system up to so many bytes."""
    room = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - free
    (folder / "ballast").write_bytes(bytes(max(room, 0)))


@pytest.mark.faults
def test_a_disk_that_fills_up_while_training(start, mount, corpus, tmp_path):
    """A real file system without room for one more checkpoint: what is there stays whole, and the run goes on later."""
    disk = mount(tmp_path / "disk", "size=3m")
    arguments = ["train", f"data.path={corpus}", *RUN, "trainer.max_epochs=1"]
    process = start(*arguments, f"output_dir={disk}")
    assert wait_until((disk / "latest" / "checkpoints" / "previous.ckpt").exists, process)
    filled(disk, 20_000)
    line = process.line()
    assert line.startswith(str((disk / "latest").resolve()))
    assert "No space left on device" in line
    assert not list(disk.glob("latest/checkpoints/.*"))
    kept = [runs.load_checkpoint(disk / "latest" / "checkpoints" / name) for name in ("previous.ckpt", "last.ckpt")]
    assert kept[0]["global_step"] < kept[1]["global_step"]
    (disk / "ballast").unlink()
    assert start("train", f"resume={disk / 'latest'}").wait() == 0
    assert start(*arguments, f"output_dir={tmp_path / 'undisturbed'}").wait() == 0
    assert same(final_state(disk / "latest"), final_state(tmp_path / "undisturbed" / "latest"))


def test_a_limit_in_the_middle_of_a_checkpoint_keeps_the_one_before(start, corpus, tmp_path):
    """Where no file system may be mounted: the system refuses to write a file beyond the size of half a checkpoint."""
    arguments = ["train", f"data.path={corpus}", *RUN, f"output_dir={tmp_path / 'o'}", "trainer.max_steps=8"]
    assert start(*arguments).wait() == 0
    last = (tmp_path / "o" / "latest" / "checkpoints" / "last.ckpt").resolve()
    content, size = last.read_bytes(), last.stat().st_size
    process = start("train", f"resume={last}", "trainer.max_steps=30", limits={"RLIMIT_FSIZE": size // 2})
    line = process.line()
    assert line.startswith(f"{last}: cannot write the checkpoint (")
    assert line.endswith("; the one before is kept")
    assert last.read_bytes() == content
    assert {path.name for path in last.parent.iterdir()} == {"best.ckpt", "last.ckpt", "previous.ckpt"}


@pytest.mark.parametrize("number", [1, 4])
def test_an_injected_full_disk_costs_neither_last_nor_previous(small_config, monkeypatch, number):
    """The disk is full when a checkpoint is all but written: both of those before it are still two."""
    config = small_config("callbacks.checkpoints.every_n_steps=1")
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"last\.ckpt: cannot write the checkpoint \(.*No space left on device\)"):
        train(config)
    monkeypatch.undo()
    folder = Path(config["output_dir"], "latest", "checkpoints")
    steps = {path.name: runs.load_checkpoint(path)["global_step"] for path in folder.iterdir()}
    assert steps == ({} if number == 1 else {"last.ckpt": 2, "previous.ckpt": 1})


def test_other_files_of_a_run_that_cannot_be_written_name_the_run(small_config, monkeypatch):
    def full(self, metrics, step=None):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CsvMetrics, "log_metrics", full)
    config = small_config()
    with pytest.raises(UserError, match=r"char_lm/\S+: cannot be written: No space left on device; .*resume="):
        train(config)


@pytest.fixture
def shown(monkeypatch):
    """What is told of threads that died."""
    shown = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    return shown


def test_a_full_disk_is_told_once_where_tensorboard_meets_it(small_config, monkeypatch, shown):
    """Its events are written by a thread, which dies of it; the traceback of that would stand before the one line."""

    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    config = small_config("trainer.max_epochs=50", "callbacks.monitor.every_n_steps=1")
    with pytest.raises(UserError, match=r"char_lm/\S+: cannot be written: No space left on device; .*resume="):
        train(config)
    assert not shown


def test_other_faults_of_threads_are_shown(shown):
    def fail():
        raise ValueError("of a thread")

    with resources.told({}) as where:
        where.run = Path("run")
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert [str(failed.exc_value) for failed in shown] == ["of a thread"]


@pytest.fixture
def read_only(mount):
    """Makes a folder that may not be written, whoever we are."""

    def make(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid():
            folder.chmod(0o555)
            return folder
        return mount(folder, "ro,size=64k")

    return make


def test_folders_that_may_not_be_written(start, read_only, corpus, tmp_path):
    closed = read_only(tmp_path / "closed")
    arguments = ["train", f"data.path={corpus}", *RUN, "trainer.max_steps=2"]
    outputs = start(*arguments, f"output_dir={closed}")
    cache = start(*arguments, f"data.cache_dir={closed}")
    line = outputs.line()
    assert line.startswith(f"output_dir={closed}: cannot make a run directory there: ")
    line = cache.line()
    assert line.startswith(f"data.cache_dir={closed}: cannot be written: ")
    assert not list(closed.iterdir())
    assert not (tmp_path / "outputs").exists()


def test_a_run_that_may_not_be_written_can_be_read_and_not_resumed(start, mount, small_run, tmp_path):
    run = small_run().run
    disk = mount(tmp_path / "disk", "size=8m")
    shutil.copytree(run, disk / "run")
    mount(disk, "remount,ro")
    assert start("evaluate", f"run={disk / 'run'}").wait() == 0
    line = start("train", f"resume={disk / 'run'}", "trainer.max_epochs=2").line()
    assert line.startswith(f"{disk / 'run'}: cannot be trained in: ")

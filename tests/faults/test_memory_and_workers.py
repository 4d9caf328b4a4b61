"""Memory that runs out, and workers that die: one line that says what to lower."""

import os
import re
import signal

import pytest
import torch
from processes import RUN, wait_until
from same_bits import final_state, same

from seqmodels import resources, runs
from seqmodels.commands import failures
from seqmodels.data import TextFile
from seqmodels.errors import UserError
from seqmodels.tasks import LanguageModelling
from seqmodels.training import train

CONFIG = {
    "data": {"batch_size": 64, "num_workers": 2},
    "tbptt": {"k1": 64, "k2": None},
    "model": {"hidden_size": 512, "num_layers": 2},
}


def workers_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc to find the workers")
def test_a_worker_that_is_killed_ends_the_run_in_one_line_and_it_can_go_on(start, corpus, tmp_path):
    arguments = ["train", f"data.path={corpus}", *RUN, "data.num_workers=2", "trainer.max_epochs=1"]
    process = start(*arguments, f"output_dir={tmp_path / 'o'}")
    latest = tmp_path / "o" / "latest"
    assert wait_until((latest / "checkpoints" / "previous.ckpt").exists, process)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    line = process.line()
    assert re.match(
        r"data\.num_workers=2: a worker \(process \d+\) that prepares batches (was killed \(Killed\)|died), ", line
    )
    assert line.endswith(f"lower it, or 0; go on with: seqmodels train resume={latest.resolve()}")
    assert start("train", f"resume={latest}").wait() == 0
    assert start(*arguments, f"output_dir={tmp_path / 'undisturbed'}").wait() == 0
    assert same(final_state(latest), final_state(tmp_path / "undisturbed" / "latest"))


def test_memory_that_is_not_there_is_told_with_what_to_lower(start, corpus, tmp_path):
    """The system gives the process no more: a batch of this size and window asks for 8 GiB at once."""
    long = tmp_path / "long.txt"
    long.write_text(corpus.read_text() * 200)
    sizes = ["data.batch_size=5000", "tbptt.k1=100", "tbptt.k2=100", "model.hidden_size=1000"]
    given = ["train", "data=text_file", f"data.path={long}", "trainer=cpu", *sizes, f"output_dir={tmp_path / 'o'}"]
    line = start(*given, limits={"RLIMIT_AS": 4 * 2**30}).line()
    assert re.match(r"out of memory( \([\d.]+ GiB more were asked for\))? with data\.batch_size=5000, ", line)
    assert "tbptt.k1=100, tbptt.k2=100, model.hidden_size=1000" in line
    assert "lower one of them; half the batch and twice trainer.accumulate_grad_batches" in line


def test_a_model_too_large_for_the_memory_leaves_nothing_behind(start, corpus, tmp_path):
    given = ["train", f"data.path={corpus}", *RUN, "model.hidden_size=100000", f"output_dir={tmp_path / 'o'}"]
    line = start(*given, limits={"RLIMIT_AS": 4 * 2**30}).line()
    assert line.startswith("out of memory (")
    assert "model.hidden_size=100000" in line
    assert not (tmp_path / "o").exists()


ASKED = "you tried to allocate 40000000000 bytes."
SHORTAGES = {
    "cpu": RuntimeError(f"[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: not enough memory: {ASKED} Buy"),
    "linux": RuntimeError(f"DefaultCPUAllocator: can't allocate memory: {ASKED} Error code 12"),
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 37.25 GiB. GPU 0 has a total capacity of"),
    "numpy": MemoryError("Unable to allocate 37.25 GiB for an array with shape (1,) and data type float64"),
}


@pytest.mark.parametrize("kind", SHORTAGES)
def test_every_shortage_of_memory_is_known(kind):
    line = resources.explain(SHORTAGES[kind], CONFIG)
    gpu = "GPU " if kind == "cuda" else ""
    amount = re.match(rf"out of {gpu}memory \(37\.\d+ GiB more were asked for\) with data\.batch_size=64, ", line)
    assert amount, line
    assert "tbptt.k1=64, model.hidden_size=512, model.num_layers=2, tbptt.k2=null (whole sequences)" in line
    assert "batch_size" in resources.explain(SHORTAGES[kind])


@pytest.mark.parametrize(
    "fails", [SHORTAGES["linux"], RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")]
)
def test_what_the_machine_refuses_a_resumed_run_is_not_told_as_damage(small_run, monkeypatch, fails):
    run = small_run().run
    loaded = runs.load_run(str(run), to_resume=True)

    def refuse(*arguments):
        raise fails

    monkeypatch.setattr(LanguageModelling, "training_step", refuse)
    with pytest.raises(UserError) as caught:
        train({**loaded.config, "trainer": {**loaded.config["trainer"], "max_epochs": 2}}, resumed=loaded)
    assert re.match(r"out of memory \(|data\.num_workers=0: a worker", str(caught.value))


def test_what_is_no_shortage_stays_a_fault_of_the_program():
    assert resources.explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), CONFIG) is None
    assert resources.explain(UserError("data.path=a: out of memory, the book"), CONFIG) is None


def test_a_mistake_found_in_a_worker_is_the_one_line_that_it_is_elsewhere(small_config, monkeypatch):
    class Broken(torch.utils.data.Dataset):
        def __init__(self, dataset):
            self.dataset = dataset

        def __getitem__(self, key):
            raise UserError("data.path=a.txt line 3: cannot be read")

    load = TextFile.load

    def broken(self):
        loaded = load(self)
        training = loaded.training

        def spoiled():
            batches = training()
            return batches._replace(dataset=Broken(batches.dataset)) if self._training_loader else batches

        object.__setattr__(loaded, "training", spoiled)
        return loaded

    monkeypatch.setattr(TextFile, "load", broken)
    with pytest.raises(UserError, match=r"^data\.path=a\.txt line 3: cannot be read$"):
        train(small_config("data.num_workers=1"))


def test_a_worker_that_is_told_of_again_takes_nothing_from_what_was_told():
    told = UserError("data.num_workers=2: a worker died; go on with: seqmodels train resume=outputs/latest")
    again = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
    again.__context__ = told
    assert failures.explain(again) == str(told)

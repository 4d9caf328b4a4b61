import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from seqmodels.data import InOrder, ResumableLoader, evaluation_loader
from seqmodels.errors import UserError


class Shuffled:
    """Five numbers in an order of each epoch's own."""

    def __len__(self) -> int:
        return 5

    def keys(self, epoch: int, start: int) -> Iterator[int]:
        return iter(np.random.default_rng([7, epoch]).permutation(5)[start:].tolist())


class Numbers(Dataset[torch.Tensor]):
    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([float(index)])


def take(loader: ResumableLoader, count: int) -> list[int]:
    """Takes batches over the ends of epochs, each epoch with an iterator of its own."""
    taken: list[int] = []
    for _ in range(count + 1):  # not without end, should an epoch hand out nothing
        for batch in loader:
            taken.append(int(batch))
            if len(taken) == count:
                return taken
    return taken


@pytest.mark.parametrize("num_workers", [0, 2])
def test_resumes_with_the_next_batch_wherever_it_stopped(num_workers: int) -> None:
    whole = take(ResumableLoader(Numbers(), Shuffled()), 15)
    assert len({tuple(whole[start : start + 5]) for start in (0, 5, 10)}) == 3
    for stop in range(1, 11, 1 if num_workers == 0 else 4):
        first = ResumableLoader(Numbers(), Shuffled(), num_workers)
        before = take(first, stop)
        state = first.state_dict()
        assert (state["epoch"], state["batches"]) == divmod(stop, 5)
        second = ResumableLoader(Numbers(), Shuffled(), num_workers)
        second.load_state_dict(state)
        assert before + take(second, 15 - stop) == whole


def test_an_iterator_that_is_only_made_moves_nothing() -> None:
    loader = ResumableLoader(Numbers(), InOrder(3))
    iter(loader)
    batches = iter(loader)
    assert int(next(batches)) == 0
    assert loader.state_dict()["batches"] == 1


def test_length_is_that_of_the_epoch_after_resume_too() -> None:
    loader = ResumableLoader(Numbers(), InOrder(3))
    loader.load_state_dict({"epoch": 4, "batches": 2, "batches_per_epoch": 3})
    assert len(loader) == 3
    assert [int(batch) for batch in loader] == [2]
    assert [int(batch) for batch in loader] == [0, 1, 2]


def test_place_of_other_data_is_refused() -> None:
    with pytest.raises(UserError, match=r"has 3 batches and this data makes 4.*data\.batch_size"):
        ResumableLoader(Numbers(), InOrder(4)).load_state_dict(ResumableLoader(Numbers(), InOrder(3)).state_dict())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_global_generators_are_left_alone(num_workers: int) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    list(ResumableLoader(Numbers(), InOrder(3), num_workers))
    list(evaluation_loader(Numbers(), InOrder(3), num_workers))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()  # type: ignore[index]


def test_evaluation_begins_anew_after_it_was_broken_off() -> None:
    loader = evaluation_loader(Numbers(), InOrder(3))
    assert int(next(iter(loader))) == 0
    assert [int(batch) for batch in loader] == [0, 1, 2]
    assert not hasattr(loader, "state_dict")


class Recorder(LightningModule):
    """Writes down which batches it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.seen.append(int(batch))
        return (self.weight * batch).sum()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Killed(Exception):
    pass


class KillAt(Callback):
    def __init__(self, step: int, path: Path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            raise Killed


def fit(recorder: Recorder, callbacks: list[Callback], checkpoint: Path | None) -> list[int]:
    trainer = Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=callbacks,
    )  # fmt: skip
    trainer.fit(
        recorder,
        ResumableLoader(Numbers(), Shuffled()),
        evaluation_loader(Numbers(), InOrder(2)),
        ckpt_path=checkpoint,
        weights_only=True if checkpoint else None,
    )
    return recorder.seen


@pytest.mark.filterwarnings("ignore")  # what Lightning has to say of workers and of resuming is not tested here
def test_lightning_resumes_exactly_from_every_step(tmp_path: Path) -> None:
    whole = fit(Recorder(), [], None)
    assert whole == take(ResumableLoader(Numbers(), Shuffled()), 15)
    for step in range(1, 15):
        path = tmp_path / f"{step}.ckpt"
        killed = Recorder()
        with pytest.raises(Killed):
            fit(killed, [KillAt(step, path)], None)
        assert killed.seen + fit(Recorder(), [], path) == whole


class Unreadable(Dataset):
    def __getitem__(self, key: int) -> int:
        raise EOFError("the file ends here")


def test_a_connection_to_a_worker_that_breaks_is_told_as_its_death(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(EOFError, match="the file ends here"):
        next(iter(ResumableLoader(Unreadable(), Shuffled(), num_workers=1)))
    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_next_data", broken)
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) .*exited unexpectedly"):
        next(iter(evaluation_loader(Numbers(), InOrder(2), num_workers=1)))


class SlowToBegin(ResumableLoader):
    """Has its worker told to end, by a stranger to it, before it has set itself up."""

    def __init__(self) -> None:
        super().__init__(Numbers(), Shuffled(), num_workers=1)
        set_up = self.worker_init_fn

        def told_before(worker: int) -> None:
            subprocess.run(["kill", "-TERM", str(os.getpid())], check=True)
            set_up(worker)

        self.worker_init_fn = told_before


def test_a_worker_that_is_told_to_end_while_it_begins_lives_on() -> None:
    assert take(SlowToBegin(), 5) == take(ResumableLoader(Numbers(), Shuffled()), 5)

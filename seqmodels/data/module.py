"""What all data modules share."""

import functools
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from seqmodels.data.loader import FirstOf, Order, ResumableLoader, evaluation_loader
from seqmodels.data.sharing import SharedBatches
from seqmodels.errors import UserError
from seqmodels.processes import Share

if TYPE_CHECKING:
    from seqmodels.data.examples import Example


MAX_WORKERS = 4 * max(os.cpu_count() or 1, 16)  # a run of a stranger's may ask for so many that the machine stops
NUM_FINGERPRINTED = 64


class Batches(NamedTuple):
    """A dataset of whole batches, and the order that they come in."""

    dataset: Dataset
    order: Order


@dataclass(frozen=True)
class Loaded:
    """Data that is ready.

    Attributes:
        spec: What a model has to know of the data, plain JSON.
        training: Makes the batches to train on.
        evaluation: Makes the batches to measure on, of each split that exists: "train", "val" and "test".
    """

    spec: dict[str, Any]
    training: Callable[[], Batches]
    evaluation: dict[str, Callable[[], Batches]]


class Request(NamedTuple):
    """One row of a file that something is to be predicted for.

    Attributes:
        line: Its number in the file, from 1; where the file has no lines, that of the item.
        example: What was read, its targets being of no account; `None` where it could not be read.
        problem: Why it could not be read, in one line; `None` where it could.
        items: What its steps are called, such as the words of a sentence, or several names by column; `None` where
            they have no names.
        file: Its file, relative to the folder that was asked for; `None` where all are of one file.
    """

    line: int
    example: "Example | None"
    problem: str | None = None
    items: Sequence[str | dict[str, str]] | None = None
    file: str | None = None


class DataModule(LightningDataModule, ABC):
    """Data for Lightning, from users' files; a subclass gives `load`.

    Nothing is read before `prepare_data` or `setup`.

    Args:
        num_workers: Processes that prepare batches ahead; 0 prepares them between updates.

    Attributes:
        share: What this process takes of each training batch; all of it where there are no others.
        limit_train_batches: Training batches an epoch at most; all of them where it is `None`.

    Raises:
        UserError: Where it is negative, or far more than there are processors.
    """

    share = Share()
    limit_train_batches: int | None = None

    def __init__(self, num_workers: int = 0):
        super().__init__()
        if num_workers > MAX_WORKERS:
            raise UserError(f"data.num_workers={num_workers}: expected {MAX_WORKERS} at most")
        if num_workers < 0:
            raise UserError(f"data.num_workers={num_workers}: expected an integer of at least 0")
        self.num_workers = num_workers
        self._loaded: Loaded | None = None
        self._training_loader: ResumableLoader | None = None
        self._place: dict[str, int] | None = None

    @abstractmethod
    def load(self) -> Loaded:
        """Reads the data."""

    def read_requests(self, path: str) -> list[Request]:
        """Reads a file that something is to be predicted for, with the vocabulary and scaling of `spec`.

        Args:
            path: The user's file or folder, in the format of the training data; it need not tell what is predicted.

        Returns:
            One request for each row, in their order, those that cannot be read among them.

        Raises:
            UserError: Where nothing of it can be read, or these data know no such thing.
        """
        raise UserError(f"input={path}: {type(self).__name__} reads no file to predict from")

    def read_source(self, source: str) -> "Example":
        """Reads one source that something is to be written for.

        Args:
            source: The text, or the name of the file that has it.

        Returns:
            An example without a target.

        Raises:
            UserError: Where it cannot be read, or these data know no sources.
        """
        raise UserError(f"source={source}: the texts of this run are not made of another sequence; leave it out")

    def prepare_data(self) -> None:
        """Loads once, in one process, so that others find downloads and encoded arrays in the cache."""
        if self._loaded is None:
            self._loaded = self.load()

    def setup(self, stage: str | None = None) -> None:
        """Loads the data and, but for a stage that only evaluates, checks that it can be trained on. Done once.

        Raises:
            UserError: Where files or settings do not fit.
        """
        self.prepare_data()
        if stage in (None, "fit"):
            self._ready.training()

    @property
    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise RuntimeError("call setup() first")
        return self._loaded

    @property
    def spec(self) -> dict[str, Any]:
        """What a model has to know of the data, plain JSON; there after `setup`."""
        return self._ready.spec

    @property
    def splits(self) -> tuple[str, ...]:
        """Which of "train", "val" and "test" exist; there after `setup`."""
        return tuple(self._ready.evaluation)

    def train_dataloader(self) -> ResumableLoader:
        """Returns a loader at the beginning of epoch 0, or once at the place that `load_state_dict` was given."""
        dataset, order = self._ready.training()
        if self.share.count > 1:
            dataset = SharedBatches(dataset, self.share)
        if self.limit_train_batches is not None:
            order = FirstOf(order, self.limit_train_batches)
        loader = ResumableLoader(dataset, order, num_workers=self.num_workers)
        if self._place is not None:
            loader.load_state_dict(self._place)
            self._place = None
        self._training_loader = loader
        return loader

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes where the training data do; of no more than `NUM_FINGERPRINTED` batches, to be quick."""
        dataset, order = self._ready.training()
        digest = hashlib.sha256(str(len(order)).encode())
        for place in range(0, len(order), max(1, len(order) // NUM_FINGERPRINTED)):
            window = dataset[next(order.keys(0, place))]
            for value in (window[at] for at, name in enumerate(window._fields) if name != "stands_in"):
                if value is None:
                    continue
                digest.update(value.numpy().tobytes() if isinstance(value, torch.Tensor) else str(value).encode())
        return digest.hexdigest()[:16]

    def state_dict(self) -> dict[str, Any]:
        """Returns the place of the training loader, which Lightning restores within an epoch but not between two."""
        place = None if self._training_loader is None else self._training_loader.state_dict()
        return {"place": place, "fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the place that the next training loader begins at."""
        self._place = state_dict["place"]

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """Returns the validation loader; an empty list, which is none to Lightning, where there is no such part."""
        return self.evaluation_dataloader("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader:
        """Returns the test loader.

        Raises:
            UserError: Where there is no such part.
        """
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader:
        """Returns a loader to measure on: all of a split once, in the same order each time.

        Args:
            split: "train", "val" or "test".

        Raises:
            UserError: Where there is no such part.
        """
        if split not in self.splits:
            there_are = ", ".join(self.splits)
            raise UserError(
                f"split={split}: this run has no {split} part (data.{split}_fraction=0); there are: {there_are}"
            )
        return evaluation_loader(*self._ready.evaluation[split](), num_workers=self.num_workers)

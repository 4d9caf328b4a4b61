"""Data modules of series and images with a class or numbers each: the user's own, and scikit-learn's digits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.arrays.files import (
    ArrayFile,
    ArrayNames,
    Item,
    TargetKind,
    file_of_test_part,
    read_array_file,
    read_array_items,
)
from seqmodels.data.arrays.preparation import Missing, Preparation, Scaling, Steps
from seqmodels.data.arrays.targets import describe_targets, no_target, targets_of
from seqmodels.data.examples import Example, load_examples
from seqmodels.data.files import find_files
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


@dataclass(frozen=True)
class ArrayConfig:
    """What is made of series, apart from where they are from.

    Args:
        steps: What a step of an image is.
        missing: What becomes of missing values.
        scaling: How the training part's values are scaled.
        val_fraction: Share of the training file that is for validation.
        test_fraction: Share of it that is for the test, where there is no file for that.
        batch_size: Series in a batch.
        tbptt: Windows of training.
        seed: Of the split, the order of batches and that of permuted steps.
        spec: From an earlier run, whose classes, scaling and order are used instead of fitted ones.

    Raises:
        UserError: Where a value is out of range.
    """

    steps: Steps
    missing: Missing
    scaling: Scaling | None
    val_fraction: float
    test_fraction: float
    batch_size: int
    tbptt: TBPTT
    seed: int
    spec: dict[str, Any] | None

    def __post_init__(self) -> None:
        check_fractions(val_fraction=self.val_fraction, test_fraction=self.test_fraction)
        if self.spec is not None and "preparation" not in self.spec:
            raise UserError("data: the run was trained on data of another kind; expected a data module for these")

    def load(self, file: ArrayFile, test_file: ArrayFile | None) -> Loaded:
        """Splits, fits and prepares what was read."""
        test_fraction = self.test_fraction if test_file is None else 0.0
        places = [item.place for item in file.items]
        parts = split_parts(len(file.items), self.val_fraction, test_fraction, self.seed, file.labels, places)
        spec = self.spec or self._fitted(file, parts["train"])
        preparation = Preparation.from_spec(spec["preparation"])
        examples = _examples(file, preparation, spec["targets"])
        split = {part: [examples[number] for number in numbers] for part, numbers in parts.items()}
        if test_file is not None:
            split["test"] = _examples(test_file, preparation, spec["targets"])
        return load_examples(spec, split, self.batch_size, self.tbptt, self.seed)

    def _fitted(self, file: ArrayFile, numbers: Sequence[int]) -> dict[str, Any]:
        items = [file.items[number] for number in numbers]
        scaling = "whole" if file.are_images and self.scaling else self.scaling
        preparation = Preparation.fitted(items, self.steps, self.missing, scaling, self.seed)
        return {
            "kind": "sequences",
            "shape": "many_to_one",
            "inputs": {"kind": "vectors", "num_features": preparation.num_features},
            "targets": describe_targets(file, numbers),
            "preparation": preparation.to_spec(),
        }

    def requests(self, items: Sequence[Item]) -> list[Request]:
        """Prepares series that something is to be predicted for."""
        if self.spec is None:
            raise UserError("data: predictions need the spec of a run")
        preparation = Preparation.from_spec(self.spec["preparation"])
        target = no_target(self.spec["targets"])
        requests = []
        for item in items:
            try:
                requests.append(Request(item.line, Example(preparation(item), target)))
            except UserError as error:
                requests.append(Request(item.line, None, str(error)))
        return requests


def _examples(file: ArrayFile, preparation: Preparation, described: dict[str, Any]) -> list[Example]:
    targets = targets_of(file, described)
    return [Example(preparation(item), target) for item, target in zip(file.items, targets, strict=True)]


class ArraySequences(DataModule):
    """The user's series or images, each with a class or with numbers.

    Args:
        path: A UCR/UEA `.ts` file, a `.npz` file, or an IDX file of images. Where it is named for its training part
            (NAME_TRAIN.ts, train-images-idx3-ubyte) and the test part lies beside it (NAME_TEST.ts,
            t10k-images-idx3-ubyte), that is taken for the test.
        test_path: The file with the test part.
        labels_path: The IDX file of the images' labels; found beside them where it is named as MNIST's are.
        test_labels_path: The same of the test part.
        arrays: What the arrays of a `.npz` file are called.
        target_kind: "classes" or "numbers"; "auto" goes by the file.
        steps: What a step of an image is.
        missing: What becomes of missing values, see `Preparation`.
        scaling: "channels" brings each channel to mean 0 and variance 1, fitted on the training part; "whole" all
            channels by the same numbers, as images always are; `None` leaves values as they are.
        val_fraction: Share of each class, drawn with `seed`, that is for validation.
        test_fraction: Share that is for the test, where there is no file for that.
        batch_size: Series in a batch; those of about the same length share one.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole series where left out.
        seed: Of the split, the order of batches and that of permuted steps.
        spec: From an earlier run, whose classes, scaling and order are used instead of fitted ones.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/series.npz"
        >>> np.savez(path, x=np.random.default_rng(0).normal(size=(20, 7, 3)), y=[0, 1] * 10)
        >>> data = ArraySequences(path, val_fraction=0.2, test_fraction=0.0)
        >>> data.setup("fit")
        >>> data.spec["inputs"], next(iter(data.val_dataloader())).inputs.shape
        ({'kind': 'vectors', 'num_features': 3}, torch.Size([4, 7, 3]))
    """

    def __init__(
        self,
        path: str,
        test_path: str | None = None,
        labels_path: str | None = None,
        test_labels_path: str | None = None,
        arrays: ArrayNames | None = None,
        target_kind: TargetKind = "auto",
        steps: Steps | None = None,
        missing: Missing = "error",
        scaling: Scaling | None = "channels",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.path, self.test_path = path, test_path
        self.labels_path, self.test_labels_path = labels_path, test_labels_path
        self.arrays = arrays or ArrayNames()
        self.target_kind = target_kind
        self.config = ArrayConfig(
            steps or Steps(), missing, scaling, val_fraction, test_fraction, batch_size, tbptt, seed, spec
        )

    def load(self) -> Loaded:
        """Reads the files."""
        path = _one_file(self.path)
        test_path = file_of_test_part(path) if self.test_path is None else _one_file(self.test_path, "data.test_path")
        file = read_array_file(path, self.arrays, self.target_kind, _given(self.labels_path, "labels_path"))
        if test_path is None:
            return self.config.load(file, None)
        labels_path = _given(self.test_labels_path, "test_labels_path")
        return self.config.load(file, read_array_file(test_path, self.arrays, self.target_kind, labels_path))

    def read_requests(self, path: str) -> list[Request]:
        """Reads series that something is to be predicted for; their classes or numbers, if any, are passed over."""
        return self.config.requests(read_array_items(_one_file(path, "input"), self.arrays))


def _one_file(path: str, key: str = "data.path") -> Path:
    if not path or Path(path).expanduser().is_dir():
        raise UserError(f"{key}={path}: expected a file: a .ts file, a .npz file, or an IDX file of images")
    return find_files(path, key=key)[0]


def _given(path: str | None, key: str) -> Path | None:
    return None if path is None else _one_file(path, f"data.{key}")


class Digits(DataModule):
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, read row by row or pixel by pixel.

    Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits". Training, validation and test have their
    share of every digit. Args and Raises are those of `ArraySequences`.

    Example:
        >>> data = Digits(batch_size=10)
        >>> data.setup("fit")
        >>> next(iter(data.val_dataloader())).inputs.shape
        torch.Size([10, 8, 8])
    """

    def __init__(
        self,
        steps: Steps | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.config = ArrayConfig(
            steps or Steps(), "error", "whole", val_fraction, test_fraction, batch_size, tbptt, seed, spec
        )

    def load(self) -> Loaded:
        """Takes the images from scikit-learn."""
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        items = [
            Item(f"digit {number}", number, image.reshape(8, 8).astype(np.float32))
            for number, image in enumerate(images, 1)
        ]
        labels = [str(digit) for digit in digits]
        return self.config.load(ArrayFile(Path("digits"), items, labels, are_images=True), None)

    def read_requests(self, path: str) -> list[Request]:
        """Reads images `(images, 8, 8)`, of values from 0 to 16, out of an IDX file or array `x` of a `.npz` file."""
        return self.config.requests(read_array_items(_one_file(path, "input"), ArrayNames()))

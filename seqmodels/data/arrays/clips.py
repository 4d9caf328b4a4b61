"""Clips of video with a class for each frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqmodels.data.arrays.files import ArrayNames, Item, array_items, class_name, named_array, read_array_items
from seqmodels.data.arrays.requests import model_inputs
from seqmodels.data.arrays.targets import by_number
from seqmodels.data.examples import Example, load_examples
from seqmodels.data.files import find_files
from seqmodels.data.formats.arrays import read_npz
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


class Clips(DataModule):
    """The user's clips, with a class for each frame.

    Args:
        path: A `.npz` file with clips `(clips, time, height, width)` or `(clips, time, height, width, channels)` and
            classes `(clips, time)`, numbers or text.
        test_path: The same with the test part.
        arrays: What its arrays are called.
        val_fraction: Share of the clips, drawn with `seed`, that is for validation.
        test_fraction: Share that is for the test, where there is no file for that.
        batch_size: Clips in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole clips where left out.
        seed: Of the split and the order of batches.
        spec: From an earlier run, whose classes and scaling are used instead of fitted ones.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/clips.npz"
        >>> draw = np.random.default_rng(0)
        >>> np.savez(path, x=draw.random((20, 5, 8, 8)), y=draw.integers(2, size=(20, 5)))
        >>> data = Clips(path)
        >>> data.setup("fit")
        >>> next(iter(data.val_dataloader())).inputs.shape
        torch.Size([2, 5, 1, 8, 8])
    """

    def __init__(
        self,
        path: str,
        test_path: str | None = None,
        arrays: ArrayNames | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        batch_size: int = 32,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.path, self.test_path = path, test_path
        self.arrays = arrays or ArrayNames()
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.batch_size, self.tbptt, self.seed = batch_size, tbptt, seed
        self.run_spec = spec

    def load(self) -> Loaded:
        """Reads the files."""
        clips, labels = self._read(self.path)
        test_fraction = self.test_fraction if self.test_path is None else 0.0
        numbers = split_parts(len(clips), self.val_fraction, test_fraction, self.seed)
        train = numbers["train"]
        spec = self.run_spec or _fitted([clips[number] for number in train], labels)
        examples = _examples(clips, labels, spec)
        parts = {part: [examples[number] for number in chosen] for part, chosen in numbers.items()}
        if self.test_path is not None:
            parts["test"] = _examples(*self._read(self.test_path), spec)
        return load_examples(spec, parts, self.batch_size, self.tbptt, self.seed)

    def read_requests(self, path: str) -> list[Request]:
        """Reads clips whose frames something is to be predicted for."""
        if self.run_spec is None:
            raise UserError("data: predictions need the spec of a run")
        requests = []
        for item in read_array_items(find_files(path, key="input")[0], self.arrays):
            try:
                frames = _scaled(item, self.run_spec)
                requests.append(Request(item.line, Example(frames, np.zeros(len(frames), np.int64))))
            except UserError as error:
                requests.append(Request(item.line, None, str(error)))
        return requests

    def _read(self, path: str) -> tuple[list[Item], list[list[str]]]:
        """Returns clips, and the class of each of their frames."""
        file = find_files(path)[0]
        arrays = read_npz(file)
        values = named_array(file, arrays, self.arrays.inputs, "inputs")
        labels = named_array(file, arrays, self.arrays.targets, "targets")
        if values.ndim not in (4, 5) or labels.shape != values.shape[:2]:
            raise UserError(
                f"{file}: clips of shape {values.shape} and classes of shape {labels.shape}; expected clips (clips, "
                "time, height, width) or (clips, time, height, width, channels) and classes (clips, time)"
            )
        clips = array_items(file, values, arrays.get(self.arrays.lengths))
        return clips, [
            list(map(class_name, row[: len(_values(clip))])) for clip, row in zip(clips, labels.tolist(), strict=True)
        ]


def _values(clip: Item) -> np.ndarray:
    if clip.values is None:
        raise UserError(str(clip.problem))
    return clip.values


def _fitted(clips: Sequence[Item], labels: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Learns mean and standard deviation of all values, and which classes there are."""
    first = _values(clips[0])
    total = sum(_values(clip).size for clip in clips)
    center = sum(float(_values(clip).sum(dtype=np.float64)) for clip in clips) / total
    squares = sum(float(np.square(_values(clip) - center, dtype=np.float64).sum()) for clip in clips)
    classes = sorted({label for row in labels for label in row}, key=by_number)
    return {
        "kind": "sequences",
        "shape": "many_to_many",
        "inputs": {"kind": "images", "image_channels": first.shape[3] if first.ndim == 4 else 1},
        "targets": {"kind": "classes", "classes": classes, "num_frames": max(len(row) for row in labels)},
        "scaling": {"center": center, "scale": (squares / total) ** 0.5 or 1.0},
    }


def _scaled(clip: Item, spec: dict[str, Any]) -> np.ndarray:
    scaling = spec["scaling"]
    return (model_inputs(clip, spec["inputs"]) - np.float32(scaling["center"])) / np.float32(scaling["scale"])


def _examples(clips: Sequence[Item], labels: Sequence[Sequence[str]], spec: dict[str, Any]) -> list[Example]:
    places = {name: place for place, name in enumerate(spec["targets"]["classes"])}
    examples = []
    for clip, row in zip(clips, labels, strict=True):
        unknown = next((name for name in row if name not in places), None)
        if unknown is not None:
            known = ", ".join(places)
            raise UserError(f"{clip.place}: class {unknown!r} is not known; expected one of {known}")
        examples.append(Example(_scaled(clip, spec), np.array([places[name] for name in row], np.int64)))
    return examples

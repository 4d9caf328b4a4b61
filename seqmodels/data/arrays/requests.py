"""Sequences to predict something for, out of the arrays of a `.npz` file, where nothing is to be done to them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqmodels.data.arrays.files import ArrayNames, Item, read_array_items
from seqmodels.data.arrays.targets import no_target
from seqmodels.data.examples import Example
from seqmodels.data.files import find_files
from seqmodels.data.module import Request
from seqmodels.errors import UserError


def read_array_requests(path: str, spec: Mapping[str, Any], arrays: ArrayNames | None = None) -> list[Request]:
    """Reads sequences of tokens, vectors or frames.

    Args:
        path: A `.npz` file.
        spec: Tells what the inputs of the model are.
        arrays: What its arrays are called.

    Returns:
        One request for each sequence.

    Raises:
        UserError: Where nothing of the file can be read.
    """
    return [_request(item, spec) for item in read_array_items(find_files(path, key="input")[0], arrays or ArrayNames())]


def _request(item: Item, spec: Mapping[str, Any]) -> Request:
    try:
        inputs = model_inputs(item, spec["inputs"])
    except UserError as error:
        return Request(item.line, None, str(error))
    target = no_target(spec["targets"])
    if spec["shape"] == "many_to_many":
        target = np.repeat(target[None], len(inputs), axis=0)
    return Request(item.line, Example(inputs, target))


def model_inputs(item: Item, described: Mapping[str, Any]) -> np.ndarray:
    """Returns the values of a series in the form that a model reads.

    Args:
        item: Tokens `(time,)`, vectors `(time, features)` or `(time,)`, or frames `(time, height, width)` or `(time,
            height, width, channels)`.
        described: The "inputs" of the spec.

    Raises:
        UserError: Where they are of another form, or a token is out of range.
    """
    if item.values is None:
        raise UserError(str(item.problem))
    values, kind = item.values, described["kind"]
    if kind == "tokens":
        size = described["vocab_size"]
        if values.ndim != 1 or values.dtype.kind not in "iu" or not ((values >= 0) & (values < size)).all():
            raise UserError(f"{item.place}: {_form(values)}; expected integers from 0 to {size - 1}, one for each step")
        return values.astype(np.int64)
    if not np.isfinite(values).all():
        raise UserError(f"{item.place}: a value is no finite number")
    if kind == "vectors":
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != described["num_features"]:
            raise UserError(f"{item.place}: {_form(values)}; expected (time, {described['num_features']})")
        return values.astype(np.float32)
    values = values[..., None] if values.ndim == 3 else values
    if values.ndim != 4 or values.shape[3] != described["image_channels"]:
        raise UserError(f"{item.place}: {_form(values)}; expected (time, height, width, {described['image_channels']})")
    return np.moveaxis(values, 3, 1).astype(np.float32)


def _form(values: np.ndarray) -> str:
    return f"{values.dtype} of shape {values.shape}"

"""Data sets of the Hugging Face hub, through the optional extra `hub`."""

from collections.abc import Mapping
from typing import Any

from seqmodels.errors import UserError

HUB = "hub:"
_SPLITS = {"train": ("train",), "val": ("validation", "valid", "dev"), "test": ("test",)}


def read_hub(
    name: str, text_column: str, label_column: str, key: str = "data.path"
) -> dict[str, list[tuple[Any, Any, str]]]:
    """Reads a data set by its name; downloaded once, into the library's own cache.

    Args:
        name: Such as `stanfordnlp/imdb`, or with a configuration `nyu-mll/glue:sst2`.
        text_column: The column that has the text.
        label_column: The one that has the label; classes that are kept as numbers get their names.
        key: The key that named it, for messages.

    Returns:
        Text, label and place of each row of "train", and of "val" and "test" where it has them.

    Raises:
        UserError: Where the library is not installed, does not find the data set, or a column is not there.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{key}={HUB}{name}: needs the library `datasets`: pip install 'seqmodels[hub]'") from error
    repository, _, configuration = name.partition(":")
    try:
        found: Mapping[str, Any] = datasets.load_dataset(repository, configuration or None)
    except Exception as error:  # it raises those of whatever it uses: connections, files, builders
        reason = " ".join(str(error).split())
        raise UserError(f"{key}={HUB}{name}: the library `datasets` cannot load it: {reason}") from error
    parts = {}
    for part, names in _SPLITS.items():
        split = next((split for split in names if split in found), None)
        if split is not None:
            place = f"{HUB}{name} {split}"
            parts[part] = _rows(found[split], place, text_column, label_column)
    if "train" not in parts:
        raise UserError(f"{key}={HUB}{name}: it has no split `train`; there are: {', '.join(found)}")
    return parts


def _rows(split: Any, place: str, text_column: str, label_column: str) -> list[tuple[Any, Any, str]]:
    for key, column in (("data.text_column", text_column), ("data.label_column", label_column)):
        if column not in split.column_names:
            there = ", ".join(map(repr, split.column_names))
            raise UserError(f"{key}={column}: {place} has no such column; there are: {there}")
    names = getattr(split.features[label_column], "names", None)
    labels = list(split[label_column])
    if names is not None:
        labels = [names[label] if isinstance(label, int) and label >= 0 else None for label in labels]
    texts = list(split[text_column])
    return [(text, label, f"{place} row {row}") for row, (text, label) in enumerate(zip(texts, labels, strict=True), 1)]

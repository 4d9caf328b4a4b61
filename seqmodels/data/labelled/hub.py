"""Data sets of the Hugging Face hub, through the optional extra `hub`."""

from collections.abc import Mapping, Sequence
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
        Text, label and place of each row of "train", and of "val" and "test" where it has them with labels: those of
        competitions are kept back.

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
        raise UserError(f"{key}={HUB}{name}: the library `datasets` cannot load it: {error}") from error
    parts = {}
    for part, names in _SPLITS.items():
        split = next((split for split in names if split in found), None)
        if split is not None:
            rows = _rows(found[split], f"{HUB}{name} {split}", text_column, label_column)
            if rows or part == "train":
                parts[part] = rows
    if "train" not in parts:
        raise UserError(f"{key}={HUB}{name}: it has no split `train`; there are: {', '.join(found)}")
    if not parts["train"]:
        raise UserError(f"data.label_column={label_column}: {HUB}{name} train has no labels")
    return parts


def _rows(split: Any, place: str, text_column: str, label_column: str) -> list[tuple[Any, Any, str]]:
    """Returns the rows; none where no row has a label."""
    for key, column in (("data.text_column", text_column), ("data.label_column", label_column)):
        if column not in split.column_names:
            there = ", ".join(map(repr, split.column_names))
            raise UserError(f"{key}={column}: {place} has no such column; there are: {there}")
    labels = list(split[label_column])
    if all(label is None for label in labels) or all(label == -1 for label in labels):
        return []
    names = _names(split.features[label_column])
    if names is not None:
        labels = [_named(label, names) for label in labels]
    texts = list(split[text_column])
    return [(text, label, f"{place} row {row}") for row, (text, label) in enumerate(zip(texts, labels, strict=True), 1)]


def _names(feature: Any) -> Sequence[str] | None:
    """Returns the names of classes, of a column of lists of them too, which has them within."""
    inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _named(label: Any, names: Sequence[str]) -> Any:
    if isinstance(label, list):
        return [names[number] for number in label if number >= 0]
    return names[label] if isinstance(label, int) and label >= 0 else None

"""What a loss describes, in words: rows that a person or another program reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

Row = dict[str, Any]
"""Names and values of one prediction; plain text, numbers and mappings of names to numbers."""


def to_rows(described: Mapping[str, Tensor], targets: Mapping[str, Any], levels: Sequence[float] = ()) -> list[Row]:
    """Puts predictions into words.

    Args:
        described: What `Loss.describe` gave, each `(items, ...)`.
        targets: The data's description of their targets, the "targets" of the spec.
        levels: Of the quantiles, where there are any.

    Returns:
        A row for each item.

    Example:
        >>> import torch
        >>> described = {"class": torch.tensor([1]), "probabilities": torch.tensor([[0.25, 0.75]])}
        >>> to_rows(described, {"kind": "classes", "classes": ["no", "yes"]})
        [{'prediction': 'yes', 'probability': {'no': 0.25, 'yes': 0.75}}]
    """
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in described.items()}
    count = len(next(iter(arrays.values())))
    return [_row({name: array[item] for name, array in arrays.items()}, targets, levels) for item in range(count)]


def _row(item: Mapping[str, np.ndarray], targets: Mapping[str, Any], levels: Sequence[float]) -> Row:
    if targets["kind"] == "numbers":
        return _numbers(item, targets["names"], levels)
    names = targets["labels"] if targets["kind"] == "labels" else targets["classes"]
    if targets["kind"] == "labels":
        row: Row = {"prediction": [name for name, holds in zip(names, item["labels"], strict=True) if holds]}
    else:
        row = {"prediction": names[int(item["class"])]}
    if "probabilities" in item:
        row["probability"] = dict(zip(names, map(_rounded, item["probabilities"]), strict=True))
    return row


def _numbers(item: Mapping[str, np.ndarray], names: Sequence[str], levels: Sequence[float]) -> Row:
    row: Row = {}
    for place, name in enumerate(names):
        row[name] = _rounded(item["value"][place])
        if "quantiles" in item:
            quantiles = zip(levels, item["quantiles"][place], strict=True)
            row |= {f"{name}_q{level:g}": _rounded(value) for level, value in quantiles}
    return row


def _rounded(value: Any) -> float:
    return float(f"{float(value):.6g}")

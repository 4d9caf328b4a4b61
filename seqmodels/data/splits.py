"""Sharing out examples between training, validation and test."""

from collections.abc import Mapping, Sequence

import numpy as np

from seqmodels.errors import UserError


def check_fractions(**fractions: float) -> None:
    """Refuses shares that leave nothing to train on.

    Args:
        **fractions: By the names of their keys under `data`, such as `val_fraction`.

    Raises:
        UserError: Where one is negative, or they add up to 1 or more.
    """
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise UserError(f"data.{name}={fraction}: expected a share, 0 <= s < 1")
    if sum(fractions.values()) >= 1:
        told = " and ".join(f"data.{name}={fraction}" for name, fraction in fractions.items())
        raise UserError(f"{told}: leave nothing to train on; expected less than 1 in all")


def split_parts(
    count: int,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    classes: Sequence[str] | None = None,
    places: Sequence[str] | None = None,
) -> dict[str, list[int]]:
    """Draws which examples are for training, which for validation and which for the test.

    Where examples have a class, each part that is asked for has its share of every class, and at least one example.

    Args:
        count: Examples.
        val_fraction: Share for validation; 0 for none.
        test_fraction: Share for the test; 0 for none.
        seed: Of the draw.
        classes: The class of each example.
        places: Where each stands, such as "a.ts line 7", for messages.

    Returns:
        The numbers of the examples of "train", "val" and "test", in order.

    Raises:
        UserError: Where a class, or the whole, has too few examples for the parts.

    Example:
        >>> parts = split_parts(10, val_fraction=0.2, test_fraction=0.0, seed=0, classes=[*"aaaaabbbbb"])
        >>> [sum(number < 5 for number in parts["val"]), sum(number >= 5 for number in parts["val"])]
        [1, 1]
    """
    if not count:
        raise UserError("the data have no examples")
    generator = np.random.default_rng(seed)
    groups: dict[str | None, list[int]] = {}
    for number in range(count):
        groups.setdefault(None if classes is None else classes[number], []).append(number)
    held_out = {part: share for part, share in (("val", val_fraction), ("test", test_fraction)) if share}
    rarest = min(groups, key=lambda name: len(groups[name]))
    if len(groups[rarest]) <= len(held_out):
        where = f"{places[groups[rarest][0]]}: " if places else ""
        raise UserError(where + _too_few(rarest, len(groups[rarest]), val_fraction, test_fraction))
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for group in groups.values():
        order = generator.permutation(group).tolist()
        for left, (part, share) in enumerate(reversed(held_out.items())):
            size = min(max(1, round(share * len(group))), len(order) - (len(held_out) - left))
            parts[part] += order[:size]
            order = order[size:]
        parts["train"] += order
    return {part: sorted(numbers) for part, numbers in parts.items()}


def with_all_classes_in_training(parts: Mapping[str, Sequence[int]], classes: Sequence[int]) -> dict[str, list[int]]:
    """Moves the examples of classes that training would never show into the training part.

    Args:
        parts: The numbers of the examples of "train", "val" and "test".
        classes: The class of each example.

    Returns:
        The same of all parts, in order.

    Raises:
        UserError: Where that leaves nothing of a part.

    Example:
        >>> with_all_classes_in_training({"train": [0, 3], "val": [1, 2], "test": []}, [7, 7, 8, 7])
        {'train': [0, 2, 3], 'val': [1], 'test': []}
    """
    shown = {classes[number] for number in parts["train"]}
    kept = {part: [number for number in numbers if classes[number] in shown] for part, numbers in parts.items()}
    for part, numbers in parts.items():
        if numbers and not kept[part]:
            raise UserError(
                f"data.{part}_fraction: leaves only examples of classes that training has none of; expected a larger "
                "share, more examples of each class, or 0"
            )
    moved = [number for numbers in parts.values() for number in numbers if classes[number] not in shown]
    return {**kept, "train": sorted([*kept["train"], *moved])}


def _too_few(name: str | None, count: int, val_fraction: float, test_fraction: float) -> str:
    what = "the data have" if name is None else f"class {name!r} has"
    parts = 1 + (val_fraction > 0) + (test_fraction > 0)
    return (
        f"{what} {count} example{'' if count == 1 else 's'}; expected at least {parts}, one for each part: "
        f"data.val_fraction={val_fraction}, data.test_fraction={test_fraction}; 0 leaves a part out"
    )

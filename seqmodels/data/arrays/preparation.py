"""What is done to a series before a model reads it: steps of an image, scaling, values that are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from seqmodels.data.arrays.files import Item
from seqmodels.errors import UserError

Missing = Literal["error", "interpolate", "mask"]
Scaling = Literal["channels", "whole"]


@dataclass(frozen=True)
class Steps:
    """What one step of an image is.

    Args:
        by: "rows" reads a row of pixels at each step, "pixels" a single pixel, row after row (Le et al. 2015,
            arXiv:1504.00941). A series of channels has its steps already; "pixels" reads its values one by one.
        permuted: Whether the steps come in a drawn order, the same for all, so that neighbours are far apart.

    Example:
        >>> Steps("pixels").of(np.array([[1, 2], [3, 4]])).tolist()
        [[1.0], [2.0], [3.0], [4.0]]
    """

    by: Literal["rows", "pixels"] = "rows"
    permuted: bool = False

    def of(self, values: np.ndarray) -> np.ndarray:
        """Returns the steps of an image or a series.

        Args:
            values: `(time,)`, `(time, channels)`, an image `(height, width)` or `(height, width, colours)`.

        Returns:
            `(steps, features)`, float32.
        """
        per_step = 1 if self.by == "rows" else min(2, values.ndim)
        with np.errstate(over="ignore"):  # what is found is told by those who look for finite values
            return values.reshape(int(np.prod(values.shape[:per_step])), -1).astype(np.float32)


@dataclass(frozen=True)
class Preparation:
    """Makes the inputs of a model out of what a file holds; all that it knows, it knows of the training part.

    Args:
        steps: What a step is.
        missing: What becomes of a value that is missing: "error" refuses it, "interpolate" puts it on a line between
            the values before and after it (the nearest one at an end), "mask" puts the mean there and adds, for each
            channel, whether its value is missing.
        order: The order of the steps, where they are permuted.
        center: What is taken from each channel.
        scale: What each channel is then divided by.

    Example:
        >>> items = [Item("item 1", 1, np.array([[1.0], [np.nan], [3.0]]))]
        >>> prepare = Preparation.fitted(items, Steps(), "interpolate", "channels", seed=0)
        >>> prepare(items[0]).tolist()
        [[-1.0], [0.0], [1.0]]
    """

    steps: Steps
    missing: Missing
    order: Sequence[int] | None = None
    center: Sequence[float] = field(default_factory=list)
    scale: Sequence[float] = field(default_factory=list)

    @classmethod
    def fitted(
        cls, items: Sequence[Item], steps: Steps, missing: Missing, scaling: Scaling | None, seed: int
    ) -> "Preparation":
        """Learns what there is to learn of the series to train on.

        Args:
            items: The series.
            steps: What a step is.
            missing: See the class.
            scaling: "channels" brings each channel to mean 0 and variance 1, "whole" all of them by the same numbers;
                `None` leaves them as they are.
            seed: Of the order of permuted steps.

        Raises:
            UserError: Where series differ in channels, or steps are permuted and they differ in length.
        """
        series = [steps.of(item.values) for item in items if item.values is not None]
        for one, item in zip(series, items, strict=True):
            if one.shape[1] != series[0].shape[1]:
                raise UserError(
                    f"{item.place}: {one.shape[1]} channels; expected {series[0].shape[1]}, as {items[0].place} has"
                )
        center, scale = _mean_and_deviation(series, scaling)
        order = _drawn_order(series, items, seed) if steps.permuted else None
        return cls(steps, missing, order, center.tolist(), scale.tolist())

    @property
    def num_features(self) -> int:
        """Features of each step that a model reads."""
        return len(self.center) * (2 if self.missing == "mask" else 1)

    def __call__(self, item: Item) -> np.ndarray:
        """Returns the inputs of a series `(time, num_features)`, float32.

        Raises:
            UserError: Where the series has other channels or another length than there should be, or lacks a value.
        """
        if item.values is None:
            raise UserError(str(item.problem))
        values = self.steps.of(item.values)
        if values.shape[1] != len(self.center):
            raise UserError(f"{item.place}: {values.shape[1]} channels; expected {len(self.center)}, as in training")
        if self.order is not None:
            if len(values) != len(self.order):
                raise UserError(f"{item.place}: {len(values)} steps; expected {len(self.order)}, as the order is drawn")
            values = values[list(self.order)]
        is_missing = ~np.isfinite(values)
        if self.missing == "error" and is_missing.any():
            step, channel = np.argwhere(is_missing)[0] + 1
            raise UserError(
                f"{item.place}: channel {channel} has no finite value at step {step}; "
                "data.missing=interpolate or mask allows that"
            )
        scaled = ((values - np.array(self.center)) / np.array(self.scale)).astype(np.float32)
        if self.missing == "interpolate":
            scaled = _interpolated(scaled, is_missing)
        scaled[is_missing & ~np.isfinite(scaled)] = 0.0
        return np.concatenate([scaled, is_missing], 1, dtype=np.float32) if self.missing == "mask" else scaled

    def to_spec(self) -> dict[str, Any]:
        """Returns all of it as plain JSON."""
        return {
            "by": self.steps.by,
            "order": None if self.order is None else list(self.order),
            "missing": self.missing,
            "center": list(self.center),
            "scale": list(self.scale),
        }

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Preparation":
        """Makes it again of what `to_spec` returned."""
        steps = Steps(spec["by"], permuted=spec["order"] is not None)
        return cls(steps, spec["missing"], spec["order"], spec["center"], spec["scale"])


def _drawn_order(series: Sequence[np.ndarray], items: Sequence[Item], seed: int) -> list[int]:
    for one, item in zip(series, items, strict=True):
        if len(one) != len(series[0]):
            raise UserError(
                f"data.steps.permuted=true: {item.place} has {len(one)} steps and {items[0].place} {len(series[0])}; "
                "expected series of the same length"
            )
    return np.random.default_rng(seed).permutation(len(series[0])).tolist()


def _interpolated(values: np.ndarray, is_missing: np.ndarray) -> np.ndarray:
    values = values.copy()
    places = np.arange(len(values))
    for channel in np.flatnonzero(is_missing.any(0) & ~is_missing.all(0)):
        gaps = is_missing[:, channel]
        values[gaps, channel] = np.interp(places[gaps], places[~gaps], values[~gaps, channel])
    return values


def _mean_and_deviation(series: Sequence[np.ndarray], scaling: Scaling | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns what each channel's finite values are centred by, and what they are divided by; in two passes."""
    center, scale = np.zeros(series[0].shape[1]), np.ones(series[0].shape[1])
    if scaling is None:
        return center, scale
    axis = 0 if scaling == "channels" else None
    count = np.maximum(sum(np.isfinite(one).sum(axis) for one in series), 1)
    center[:] = sum(np.where(np.isfinite(one), one, 0.0).sum(axis, np.float64) for one in series) / count
    squares = sum(np.square(np.where(np.isfinite(one), one - center, 0.0)).sum(axis) for one in series)
    deviation = np.sqrt(squares / count)
    # What varies by rounding alone is not blown up.
    scale[:] = np.where(deviation > 1e-6 * np.maximum(1.0, abs(center)), deviation, 1.0)
    return center, scale

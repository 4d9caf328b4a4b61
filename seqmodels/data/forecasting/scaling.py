"""Scaling of series: what is fitted on the training part, and the way back into the units of the data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seqmodels.errors import UserError

Method = Literal["standard", "robust", "none"]
Transform = Literal["log1p", "sqrt"]

# Each with its least valid value, and the way back.
_TRANSFORMS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, Callable[[Tensor], Tensor]]] = {
    "log1p": (np.log1p, np.nextafter(-1.0, 0.0), torch.expm1),
    "sqrt": (np.sqrt, 0.0, lambda values: values.clamp(min=0).square()),
}
_NORMAL_IQR = 1.3489795003921634
"""The interquartile range of the standard normal distribution, so that both methods agree on what is normal."""


@dataclass(frozen=True)
class Scaling:
    """How numbers are made like those of other series: an optional function of each, then `(x - center) / scale`.

    Args:
        method: "standard" takes mean and standard deviation, "robust" median and interquartile range (as wide as one
            standard deviation of normal numbers), "none" leaves numbers as they are.
        transform: A function of each target before that, "log1p" or "sqrt".

    Raises:
        UserError: One of them is unknown.

    Example:
        >>> center, scale = Scaling("robust").fit(np.array([[1.0], [2.0], [3.0], [np.nan]]))
        >>> center.tolist(), scale.round(3).tolist()
        ([2.0], [0.741])
    """

    method: Method = "standard"
    transform: Transform | None = None

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UserError(f"data.scaling={self.method}: expected one of {', '.join(get_args(Method))}")
        if self.transform is not None and self.transform not in _TRANSFORMS:
            raise UserError(f"data.transform={self.transform}: expected one of {', '.join(_TRANSFORMS)}, or null")

    def transformed(self, values: np.ndarray, place: str) -> np.ndarray:
        """Applies the function.

        Args:
            values: Any shape; NaN stays.
            place: Where they are from, for messages.

        Raises:
            UserError: A value is too small for it.
        """
        if self.transform is None:
            return values
        apply, least, _ = _TRANSFORMS[self.transform]
        if bool((values < least).any()):
            raise UserError(
                f"data.transform={self.transform}: {place} has the value {np.nanmin(values):g}; expected "
                f"{'above -1' if self.transform == 'log1p' else 'at least 0'}"
            )
        return apply(values)

    def fit(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns center and scale of each column `(columns,)`; a scale of 1 where nothing varies.

        Args:
            values: `(rows, columns)`, NaN where a value is missing.
        """
        center, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
        for column, numbers in enumerate(values.T):
            observed = numbers[~np.isnan(numbers)]
            if self.method == "none" or not len(observed):
                continue
            low, middle, high = np.percentile(observed, (25, 50, 75))
            robust = self.method == "robust"
            center[column] = middle if robust else observed.mean()
            spread = (high - low) / _NORMAL_IQR if robust else observed.std()
            scale[column] = spread if spread > 1e-12 * max(1.0, abs(center[column])) else 1.0
        return center, scale

    def restored(self, values: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Returns numbers in the units of the data, in double precision.

        Args:
            values: Scaled numbers.
            center: What broadcasts with them.
            scale: The same.
        """
        values = center + scale * values.double()
        # What is left of a scaled 0 after single precision is 0: measures of percentages tell the two apart.
        values = torch.where(values.abs() <= torch.finfo(torch.float32).eps * center.abs(), 0.0, values)
        return values if self.transform is None else _TRANSFORMS[self.transform][2](values)


def naive_error(values: np.ndarray, season: int) -> np.ndarray:
    """Returns the mean absolute error of forecasting each value by the one a season before it.

    The denominator of the mean absolute scaled error, over the training part (Hyndman and Koehler 2006, "Another look
    at measures of forecast accuracy").

    Args:
        values: `(rows, columns)`, NaN where a value is missing.
        season: Steps of a season.

    Returns:
        `(columns,)`; NaN where no two values are a season apart.

    Example:
        >>> naive_error(np.array([[1.0], [3.0], [2.0], [7.0]]), season=2)
        array([2.5])
    """
    differences = np.abs(values[season:] - values[:-season])
    observed = ~np.isnan(differences)
    total = np.where(observed, differences, 0.0).sum(0)
    return np.where(observed.any(0), total / np.maximum(observed.sum(0), 1), np.nan)

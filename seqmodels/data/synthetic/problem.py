"""What the generated problems share."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from seqmodels.data.examples import Example


class GeneratedProblem(ABC):
    """A task whose examples are drawn, and which says what a model has to know of it."""

    @property
    @abstractmethod
    def max_steps(self) -> int:
        """Steps of the longest example."""

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """ "shape", "inputs" and "targets" of the data's spec, plain JSON."""

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example; a pure function of the generator."""

    def of_part(self, part: str) -> "GeneratedProblem":
        """Returns the problem that "train", "val" or "test" is drawn from: this one, unless it asks for more there."""
        return self


def check_at_least(name: str, value: int, least: int) -> None:
    """Refuses a size that is too small for a problem.

    Raises:
        ValueError: With the name, the value and the least that is valid.
    """
    if value < least:
        raise ValueError(f"{name}={value}: expected at least {least}")

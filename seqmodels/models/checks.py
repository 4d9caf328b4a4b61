"""Checks of the numbers that models are made with."""

from collections.abc import Sequence


def check_sizes(**sizes: int | Sequence[int] | None) -> None:
    """Refuses a size below 1; `None` is none.

    Raises:
        ValueError: With the name and the value.
    """
    for name, given in sizes.items():
        for size in given if isinstance(given, Sequence) else [given]:
            if size is not None and size < 1:
                raise ValueError(f"{name}={size}: expected at least 1")


def check_probabilities(**probabilities: float) -> None:
    """Refuses what is no probability of dropout.

    Raises:
        ValueError: With the name and the value.
    """
    for name, probability in probabilities.items():
        if not 0 <= probability < 1:
            raise ValueError(f"{name}={probability}: expected a probability, 0 <= p < 1")

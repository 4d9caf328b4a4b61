"""Problems solved by a rule for each step, learned on short sequences and measured on longer ones."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.data.synthetic.problem import GeneratedProblem, check_at_least

GROWTH = 4
"""Validation has sequences of up to this many times the length trained on, the test part of exactly that length."""


@dataclass(frozen=True)
class Parity(GeneratedProblem):
    """Is the number of ones odd?

    Trained on 1 to `length` bits, validated on `length + 1` to `4 * length`, tested on `4 * length`. Discussed as a
    problem with time lags by Hochreiter and Schmidhuber 1997 (section 5), and by Schmidhuber, Hochreiter and Bengio
    2001, "Evaluating benchmark problems by random guessing". Criterion: the class is right.

    Args:
        length: Bits of the longest sequence trained on.
        shortest: Bits of the shortest.

    Raises:
        ValueError: Where one is below 1, or `shortest` above `length`.

    Example:
        >>> example = Parity(length=8).draw(np.random.default_rng(0))
        >>> example.inputs.tolist(), int(example.targets)
        ([1, 1, 0, 0, 0, 0, 0], 0)
        >>> Parity(length=8).of_part("test")
        Parity(length=32, shortest=32)
    """

    length: int = 16
    shortest: int = 1

    def __post_init__(self) -> None:
        _check_lengths(self.length, self.shortest)

    @property
    def max_steps(self) -> int:
        """Steps of the longest example."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Bits to the class of a sequence."""
        return {
            "shape": "many_to_one",
            "inputs": {"kind": "tokens", "vocab_size": 2},
            "targets": {"kind": "classes", "classes": ["even", "odd"]},
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(bits,)`, targets `()`."""
        inputs = generator.integers(2, size=int(generator.integers(self.shortest, self.length + 1)))
        return Example(inputs, np.array(inputs.sum() % 2))

    def of_part(self, part: str) -> "Parity":
        """Returns the problem with the lengths of a part."""
        length, shortest = _lengths_of_part(part, self.length, self.shortest)
        return replace(self, length=length, shortest=shortest)


@dataclass(frozen=True)
class BinaryAddition(GeneratedProblem):
    """The sum of two binary numbers, read and said bit by bit, the lowest first.

    Each step gives one bit of either number and asks for one of the sum; after the highest comes a step of zeros for
    the last carry. Trained on numbers of 1 to `length` bits, validated on `length + 1` to `4 * length`, tested on
    `4 * length`. Criterion: every bit of a sum right.

    Args:
        length: Bits of the longest numbers trained on.
        shortest: Bits of the shortest.

    Raises:
        ValueError: Where one is below 1, or `shortest` above `length`.

    Example:
        >>> example = BinaryAddition(length=3, shortest=3).draw(np.random.default_rng(2))
        >>> example.inputs.T.astype(int).tolist(), example.targets.tolist()  # 1 + 4 = 5
        ([[1, 0, 0, 0], [0, 0, 1, 0]], [1, 0, 1, 0])
    """

    length: int = 8
    shortest: int = 1

    def __post_init__(self) -> None:
        _check_lengths(self.length, self.shortest)

    @property
    def max_steps(self) -> int:
        """Steps of the longest example."""
        return self.length + 1

    @property
    def spec(self) -> dict[str, Any]:
        """Pairs of bits to a bit at each step."""
        return {
            "shape": "many_to_many",
            "inputs": {"kind": "vectors", "num_features": 2},
            "targets": {"kind": "classes", "classes": ["0", "1"]},
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(bits + 1, 2)`, targets `(bits + 1,)`."""
        num_bits = int(generator.integers(self.shortest, self.length + 1))
        inputs = np.zeros((num_bits + 1, 2), np.float32)
        inputs[:-1] = generator.integers(2, size=(num_bits, 2))
        targets = np.empty(num_bits + 1, np.int64)
        carry = 0
        for step, (first, second) in enumerate(inputs.astype(int).tolist()):
            carry, targets[step] = divmod(first + second + carry, 2)
        return Example(inputs, targets)

    def of_part(self, part: str) -> "BinaryAddition":
        """Returns the problem with the lengths of a part."""
        length, shortest = _lengths_of_part(part, self.length, self.shortest)
        return replace(self, length=length, shortest=shortest)


def _check_lengths(length: int, shortest: int) -> None:
    check_at_least("length", length, 1)
    if not 1 <= shortest <= length:
        raise ValueError(f"shortest={shortest}: expected 1 to length, which is {length}")


def _lengths_of_part(part: str, length: int, shortest: int) -> tuple[int, int]:
    """Returns the largest and the smallest number of bits."""
    return {"train": (length, shortest), "val": (GROWTH * length, length + 1)}.get(part, (GROWTH * length,) * 2)

"""Generated tagging: a class at each step that everything before it decides."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.data.synthetic.problem import check_at_least
from seqmodels.data.synthetic.text_problem import TextProblem
from seqmodels.data.tokenizers import CharTokenizer


def _check_lengths(length: int, shortest: int) -> None:
    check_at_least("shortest", shortest, 1)
    check_at_least("length", length, shortest)


def _tokenizer(symbols: str) -> CharTokenizer:
    return CharTokenizer.from_spec({"min_count": 1, "codes": [ord(symbol) for symbol in symbols]})


@dataclass(frozen=True)
class BracketsDepth(TextProblem):
    """How deeply nested each place is: opening and closing brackets with dots between.

    The target of a step is the number of brackets that are open after it, or `max_depth` where there are more. No
    bracket closes that was not opened; some stay open at the end.

    Args:
        length: Steps of the longest sequence.
        shortest: Steps of the shortest.
        max_depth: The deepest that is told apart.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> problem = BracketsDepth(length=12, shortest=12)
        >>> example = problem.draw(np.random.default_rng(4))
        >>> problem.tokenizer.decode(example.inputs), example.targets.tolist()
        ('.(.()(.(.).)', [0, 1, 1, 2, 1, 2, 2, 3, 3, 2, 2, 1])
    """

    tokenizer: ClassVar[CharTokenizer] = _tokenizer("().")
    _CHANGES: ClassVar[tuple[int, ...]] = (1, -1, 0)
    length: int = 40
    shortest: int = 10
    max_depth: int = 4

    def __post_init__(self) -> None:
        _check_lengths(self.length, self.shortest)
        check_at_least("max_depth", self.max_depth, 1)

    @property
    def max_steps(self) -> int:
        """Steps of the longest sequence."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Brackets to a depth each."""
        depths = [*map(str, range(self.max_depth)), f"{self.max_depth}+"]
        return {
            "shape": "many_to_many",
            "inputs": {"kind": "tokens", "vocab_size": self.tokenizer.vocab_size},
            "targets": {"kind": "classes", "classes": depths},
            "tokenizer": self.tokenizer.to_spec(),
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws a sequence: inputs and targets `(steps,)`."""
        steps = int(generator.integers(self.shortest, self.length + 1))
        symbols = generator.choice(len(self._CHANGES), steps, p=(0.4, 0.4, 0.2))
        depth, depths = 0, np.empty(steps, np.int64)
        for step, symbol in enumerate(symbols.tolist()):
            if depth + self._CHANGES[symbol] < 0:  # nothing is open that could close
                symbols[step] = symbol = 0
            depths[step] = depth = depth + self._CHANGES[symbol]
        # Id 0 of the tokenizer is that of what it does not know.
        return Example(symbols + 1, np.minimum(depths, self.max_depth))


@dataclass(frozen=True)
class PrefixParity(TextProblem):
    """Whether the bits so far have an odd number of ones, at each step.

    Args:
        length: Bits of the longest sequence.
        shortest: Bits of the shortest.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> problem = PrefixParity(length=6, shortest=6)
        >>> example = problem.draw(np.random.default_rng(1))
        >>> problem.tokenizer.decode(example.inputs), example.targets.tolist()
        ('011100', [0, 1, 0, 1, 1, 1])
    """

    tokenizer: ClassVar[CharTokenizer] = _tokenizer("01")
    length: int = 40
    shortest: int = 10

    def __post_init__(self) -> None:
        _check_lengths(self.length, self.shortest)

    @property
    def max_steps(self) -> int:
        """Bits of the longest sequence."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Bits to a parity each."""
        return {
            "shape": "many_to_many",
            "inputs": {"kind": "tokens", "vocab_size": self.tokenizer.vocab_size},
            "targets": {"kind": "classes", "classes": ["even", "odd"]},
            "tokenizer": self.tokenizer.to_spec(),
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws a sequence: inputs and targets `(bits,)`."""
        bits = generator.integers(0, 2, generator.integers(self.shortest, self.length + 1))
        return Example(bits + 1, np.bitwise_xor.accumulate(bits))

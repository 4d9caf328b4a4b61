"""Problems that ask a model to remember over many steps.

Most are from Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", Neural Computation 9(8); their experiments'
numbers are given below. Where later work has another form of a problem that became the usual one, it is that form.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.data.synthetic.problem import GeneratedProblem, check_at_least

_ARITHMETIC_SPEC = {
    "shape": "many_to_one",
    "inputs": {"kind": "vectors", "num_features": 2},
    "targets": {"kind": "numbers", "names": ["result"]},
}


@dataclass(frozen=True)
class Adding(GeneratedProblem):
    """The sum of the two numbers that are marked, among `length`.

    Numbers are uniform in [0, 1]; one of the first half and one of the second are marked by a 1 beside them. Always to
    answer 1 has a mean squared error of 1/6. Experiment 4 of Hochreiter and Schmidhuber 1997, in the form of Le et al.
    2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", arXiv:1504.00941. Criterion of
    Martens and Sutskever 2011, "Learning Recurrent Neural Networks with Hessian-Free Optimization": fewer than 1% of
    the answers off by more than 0.04.

    Args:
        length: Steps, at least 2.

    Raises:
        ValueError: Where there are fewer.

    Example:
        >>> example = Adding(length=6).draw(np.random.default_rng(0))
        >>> values, marks = example.inputs.T
        >>> bool(np.isclose(values @ marks, example.targets[0]))
        True
    """

    length: int = 200

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 2)

    @property
    def max_steps(self) -> int:
        """Steps of every example."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Pairs of numbers to one number."""
        return _ARITHMETIC_SPEC

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(length, 2)`, a number and its mark, targets `(1,)`."""
        inputs, marked = _marked_numbers(self.length, generator)
        return Example(inputs, marked.sum(keepdims=True))


@dataclass(frozen=True)
class Multiplication(GeneratedProblem):
    """The product of the two numbers that are marked, among `length`; drawn as in `Adding`.

    Always to answer 1/4 has a mean squared error of 7/144. Experiment 5 of Hochreiter and Schmidhuber 1997. Criterion
    of Martens and Sutskever 2011: fewer than 1% of the answers off by more than 0.04.

    Args:
        length: Steps, at least 2.

    Raises:
        ValueError: Where there are fewer.

    Example:
        >>> example = Multiplication(length=6).draw(np.random.default_rng(0))
        >>> values, marks = example.inputs.T
        >>> bool(np.isclose(values[marks == 1].prod(), example.targets[0]))
        True
    """

    length: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 2)

    @property
    def max_steps(self) -> int:
        """Steps of every example."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Pairs of numbers to one number."""
        return _ARITHMETIC_SPEC

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(length, 2)`, a number and its mark, targets `(1,)`."""
        inputs, marked = _marked_numbers(self.length, generator)
        return Example(inputs, marked.prod(keepdims=True))


def _marked_numbers(length: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns numbers with their marks `(length, 2)`, and the two that are marked `(2,)`."""
    inputs = np.zeros((length, 2), np.float32)
    inputs[:, 0] = generator.random(length, np.float32)
    half = length // 2
    marked = [int(generator.integers(half)), half + int(generator.integers(length - half))]
    inputs[marked, 1] = 1.0
    return inputs, inputs[marked, 0]


@dataclass(frozen=True)
class Copy(GeneratedProblem):
    """Say again, in order, the symbols read `length` steps before.

    First the symbols, then blanks, a delimiter as the last of `length` steps, and as many blanks as there were symbols,
    over which the model is to say them; before that it is to say blank. Arjovsky, Shah and Bengio 2016, "Unitary
    Evolution Recurrent Neural Networks", arXiv:1511.06464, after experiment 2 of Hochreiter and Schmidhuber 1997.
    Without memory the cross-entropy is `num_symbols * ln(num_values) / max_steps`. Criterion: every symbol of a
    sequence right.

    Args:
        length: Steps from the last symbol to the delimiter.
        num_symbols: Symbols to remember.
        num_values: Different symbols that there are.

    Raises:
        ValueError: Where one of them is below 1, or `num_values` below 2.

    Example:
        >>> example = Copy(length=3, num_symbols=2, num_values=4).draw(np.random.default_rng(1))
        >>> example.inputs.tolist(), example.targets.tolist()  # 4 is the blank, 5 the delimiter
        ([1, 2, 4, 4, 5, 4, 4], [4, 4, 4, 4, 4, 1, 2])
    """

    length: int = 20
    num_symbols: int = 10
    num_values: int = 8

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 1)
        check_at_least("num_symbols", self.num_symbols, 1)
        check_at_least("num_values", self.num_values, 2)

    @property
    def max_steps(self) -> int:
        """Steps of every example."""
        return self.length + 2 * self.num_symbols

    @property
    def spec(self) -> dict[str, Any]:
        """Symbols to a symbol or blank at each step."""
        symbols = [str(symbol) for symbol in range(self.num_values)]
        return {
            "shape": "many_to_many",
            "inputs": {"kind": "tokens", "vocab_size": self.num_values + 2},
            "targets": {"kind": "classes", "classes": [*symbols, "blank"]},
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs and targets `(max_steps,)`."""
        blank, delimiter = self.num_values, self.num_values + 1
        inputs, targets = np.full((2, self.max_steps), blank, np.int64)
        inputs[: self.num_symbols] = generator.integers(self.num_values, size=self.num_symbols)
        inputs[self.num_symbols + self.length - 1] = delimiter
        targets[-self.num_symbols :] = inputs[: self.num_symbols]
        return Example(inputs, targets)


_DISTRACTORS, _X, _START, _END = 4, 4, 6, 7


@dataclass(frozen=True)
class TemporalOrder(GeneratedProblem):
    """In which order did the relevant symbols, each an X or a Y, come?

    They stand far apart among distractors (a, b, c, d), after a start symbol E and before an end symbol B; a sequence
    has `length` to 1.1 `length` steps. Two stand within [0.1, 0.2] and [0.5, 0.6] of `length`, which makes 4 classes;
    three within [0.1, 0.2], [0.33, 0.43] and [0.66, 0.76], which makes 8. Experiments 6a and 6b of Hochreiter and
    Schmidhuber 1997, where `length` is 100. Criterion: the error of every output, here a class's probability, below
    0.3.

    Args:
        length: Steps of the shortest sequence, at least 10.
        num_symbols: Relevant symbols, 2 or 3.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> problem = TemporalOrder(length=10)
        >>> example = problem.draw(np.random.default_rng(0))
        >>> "".join("abcdXYEB"[symbol] for symbol in example.inputs), problem.classes[example.targets]
        ('EcYbaaYadcB', 'YY')
    """

    length: int = 100
    num_symbols: int = 2

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 10)
        if self.num_symbols not in (2, 3):
            raise ValueError(f"num_symbols={self.num_symbols}: expected 2 or 3")

    @property
    def max_steps(self) -> int:
        """Steps of the longest example."""
        return self.length + self.length // 10

    @property
    def classes(self) -> list[str]:
        """XX, XY, YX, YY; likewise of three."""
        numbers = range(2**self.num_symbols)
        return ["".join("XY"[number >> place & 1] for place in reversed(range(self.num_symbols))) for number in numbers]

    @property
    def spec(self) -> dict[str, Any]:
        """Symbols to the class of a sequence."""
        return {
            "shape": "many_to_one",
            "inputs": {"kind": "tokens", "vocab_size": 8},
            "targets": {"kind": "classes", "classes": self.classes},
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(time,)`, targets `()`."""
        inputs = generator.integers(_DISTRACTORS, size=int(generator.integers(self.length, self.max_steps + 1)))
        inputs[0], inputs[-1] = _START, _END
        starts = (0.1, 0.5) if self.num_symbols == 2 else (0.1, 0.33, 0.66)
        chosen = generator.integers(2, size=self.num_symbols)
        for start, symbol in zip(starts, chosen, strict=True):
            inputs[int(start * self.length) + int(generator.integers(self.length // 10 + 1))] = _X + symbol
        weights = 2 ** np.arange(self.num_symbols)[::-1]
        return Example(inputs, np.array(chosen @ weights, np.int64))


@dataclass(frozen=True)
class DelayedRecall(GeneratedProblem):
    """Which symbol came first, `length` steps ago?

    A cue, then distractors, then a sign to answer. Experiment 2 of Hochreiter and Schmidhuber 1997 (noise, long time
    lags), with more cues than two and the answer at the end alone. Criterion: the error of every output, here a class's
    probability, below 0.25.

    Args:
        length: Steps, at least 3.
        num_cues: Different cues.
        num_distractors: Different distractors.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> example = DelayedRecall(length=5, num_cues=2, num_distractors=3).draw(np.random.default_rng(0))
        >>> example.inputs.tolist(), int(example.targets)  # 5 is the sign to answer
        ([0, 3, 3, 2, 5], 0)
    """

    length: int = 100
    num_cues: int = 8
    num_distractors: int = 8

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 3)
        check_at_least("num_cues", self.num_cues, 2)
        check_at_least("num_distractors", self.num_distractors, 1)

    @property
    def max_steps(self) -> int:
        """Steps of every example."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Symbols to the class of a sequence."""
        return {
            "shape": "many_to_one",
            "inputs": {"kind": "tokens", "vocab_size": self.num_cues + self.num_distractors + 1},
            "targets": {"kind": "classes", "classes": [str(cue) for cue in range(self.num_cues)]},
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(length,)`, targets `()`."""
        inputs = self.num_cues + generator.integers(self.num_distractors, size=self.length)
        inputs[0] = generator.integers(self.num_cues)
        inputs[-1] = self.num_cues + self.num_distractors
        return Example(inputs, np.array(inputs[0]))

"""The embedded Reber grammar."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.data.synthetic.problem import GeneratedProblem, check_at_least

SYMBOLS = "BTPSXVE"
SHORTEST = 9
_REPEATS = 64

# From each state of the Reber grammar, the two ways on: a symbol and the next state. The one that is written first
# leads to the end sooner. State 5 is the last: E follows.
_EDGES = (
    (("T", 1), ("P", 2)),
    (("X", 3), ("S", 1)),
    (("V", 4), ("T", 2)),
    (("S", 5), ("X", 2)),
    (("V", 5), ("P", 3)),
)


@dataclass(frozen=True)
class EmbeddedReber(GeneratedProblem):
    """Which symbols may come next, at each step of a string of the embedded Reber grammar?

    A string is B, then T or P, then a string of the Reber grammar, then the same T or P again, then E: to foretell the
    last but one symbol the second has to be remembered. Experiment 1 of Hochreiter and Schmidhuber 1997, after Reber
    1967, "Implicit learning of artificial grammars". There a network is trained on the symbol that did come, and judged
    by whether those that might have come are its strongest outputs; here the set of these is the target. Criterion: the
    set is right at each step of a string.

    Args:
        length: Symbols of the shortest string, at least 9, which is the shortest there is. Shorter ones go through the
            grammar's loops once more; beyond 64 more symbols a string takes the nearest way to its end.

    Raises:
        ValueError: Where it is below 9.

    Example:
        >>> string = EmbeddedReber().draw_string(np.random.default_rng(1))
        >>> string
        'BPBPTVVEPE'
        >>> ["".join(sorted(successors)) for successors in allowed_successors(string)]
        ['PT', 'B', 'PT', 'TV', 'TV', 'PV', 'E', 'P', 'E']
    """

    length: int = SHORTEST

    def __post_init__(self) -> None:
        check_at_least("length", self.length, SHORTEST)

    @property
    def max_steps(self) -> int:
        """Steps of the longest example."""
        return self.length + _REPEATS + 4

    @property
    def spec(self) -> dict[str, Any]:
        """Symbols to the set of those that may follow, at each step."""
        return {
            "shape": "many_to_many",
            "inputs": {"kind": "tokens", "vocab_size": len(SYMBOLS)},
            "targets": {"kind": "labels", "labels": list(SYMBOLS)},
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example: inputs `(time,)`, targets `(time, 7)`, 1 where a symbol may come next."""
        string = self.draw_string(generator)
        targets = np.zeros((len(string) - 1, len(SYMBOLS)), np.float32)
        for step, successors in enumerate(allowed_successors(string)):
            targets[step, [SYMBOLS.index(symbol) for symbol in successors]] = 1.0
        return Example(np.array([SYMBOLS.index(symbol) for symbol in string[:-1]], np.int64), targets)

    def draw_string(self, generator: np.random.Generator) -> str:
        """Draws a whole string, E included."""
        choices = generator.integers(2, size=self.length + _REPEATS + 4).tolist()
        outer = "TP"[choices.pop()]
        string, state = "B" + outer + "B", 0
        while state < 5:
            choice = choices.pop()
            # "E", the outer symbol and "E" again are still to come, and the symbol chosen here.
            if _EDGES[state][0][1] == 5 and len(string) + 4 < self.length:
                choice = 1
            elif len(string) + 4 >= self.length + _REPEATS:
                choice = 0
            symbol, state = _EDGES[state][choice]
            string += symbol
        return string + "E" + outer + "E"


def allowed_successors(string: str) -> list[set[str]]:
    """Returns, for each symbol but the last of a string of the embedded grammar, which symbols may come next."""
    successors = [{"T", "P"}, {"B"}]
    state = 0
    for symbol in string[3:-2]:
        ways = dict(_EDGES[state]) if state < 5 else {"E": 5}
        successors.append(set(ways))
        state = ways[symbol]
    return [*successors, {string[1]}, {"E"}]

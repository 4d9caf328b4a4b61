"""How a beam search goes, and what it finds."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BeamSearch:
    """How the likeliest texts are searched for, and ranked.

    With `P` the probability of a text of `T` ids, its stop id counted, and `a` what attention saw of each step of the
    source in all, a text's score is

        log P / ((5 + T) / 6) ** length_penalty + coverage_penalty * sum(log(min(a, 1)))

    (Wu et al. 2016, "Google's neural machine translation system", section 7).

    Args:
        beam_size: Hypotheses that are gone on with at each step; 1 is greedy.
        length_penalty: See above; 0 ranks by probability alone, 1 almost by the mean over ids.
        coverage_penalty: See above; 0 does without attention.
        n_best: How many different texts are found for each row; fewer where groups find the same and no others.
        beam_groups: Parts of the beam, of equal size, that search one after the other within a step, each for
            other ids than those before it (Vijayakumar et al. 2018, "Diverse beam search").
        diversity: What an id loses, in nats, for each time that an earlier group took it in the same step.

    Raises:
        ValueError: Where a value is out of range, or values do not go together.

    Example:
        >>> BeamSearch(beam_size=5, length_penalty=0.6).beam_size
        5
    """

    beam_size: int = 5
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    n_best: int = 1
    beam_groups: int = 1
    diversity: float = 0.0

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ValueError(f"beam_size={self.beam_size}: expected at least 1")
        for name in ("length_penalty", "coverage_penalty", "diversity"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value}: expected a number of at least 0")
        if not 1 <= self.n_best <= self.beam_size:
            raise ValueError(f"n_best={self.n_best}: expected 1 to beam_size={self.beam_size}")
        if self.beam_groups < 1 or self.beam_size % self.beam_groups:
            raise ValueError(f"beam_groups={self.beam_groups}: expected what divides beam_size={self.beam_size}")
        if (self.beam_groups > 1) != (self.diversity > 0):
            raise ValueError(
                f"diversity={self.diversity}: expected above 0 with several beam_groups, and 0 with one; "
                f"got beam_groups={self.beam_groups}"
            )

    def norm(self, steps: int) -> float:
        """Returns what the log-probability of a text of so many ids is divided by."""
        return float(((5 + steps) / 6) ** self.length_penalty)


@dataclass(frozen=True)
class Hypotheses:
    """What a beam search found, from the best to the worst.

    Attributes:
        ids: `(rows, n_best, time)`; the stop id ends a text, and fills what is behind it.
        lengths: Ids of each text, without the stop id `(rows, n_best)`.
        scores: What they are ranked by `(rows, n_best)`; minus infinity where no more were found, with length 0.
        log_probabilities: Of each text, in nats, its stop id counted `(rows, n_best)`.
        attention: What attention saw of the source at each step, zero behind the end `(rows, n_best, time, source)`;
            `None` for models without.
    """

    ids: Tensor
    lengths: Tensor
    scores: Tensor
    log_probabilities: Tensor
    attention: Tensor | None


@dataclass(frozen=True)
class FoundText:
    """A text that a beam search found.

    Attributes:
        text: The text, without the prompt.
        score: What texts are ranked by, see `BeamSearch`.
        log_probability: Of the text, in nats, its end counted.
        attention: What attention saw of the source at each token, the end counted `(tokens, source)`; `None` for models
            without.
    """

    text: str
    score: float
    log_probability: float
    attention: Tensor | None

"""Sentences whose sentiment is in the order of their words alone."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.data.synthetic.problem import check_at_least
from seqmodels.data.synthetic.text_problem import TextProblem
from seqmodels.data.tokenizers import WordTokenizer

NEGATIVE, POSITIVE = 0, 1
SENTIMENTS = ("negative", "positive")

# {said} is what the sentence holds to be so, {denied} what it does not, {thing} what it is about; | may hold an aside.
# As often as not the denied word comes first, so that no place in the sentence tells which is which.
_FRAME_TEXTS = (
    "the {thing} | was {said} , not {denied} at all",
    "the {thing} | was not {denied} at all , | but {said}",
    "| {said} , not {denied} , was the {thing}",
    "not {denied} , but {said} , | was the {thing}",
    "we had expected a {denied} {thing} | and got a {said} one",
    "we got a {said} {thing} | where we had expected a {denied} one",
    "far from {denied} , the {thing} | was {said}",
    "the {thing} | was {said} , | far from {denied}",
    "the {thing} | was {said} rather than {denied}",
    "rather than {denied} , the {thing} | was {said}",
    "the {thing} | was never {denied} , | always {said}",
    "the {thing} | was always {said} , | never {denied}",
    "call it {said} , | do not call this {thing} {denied}",
    "do not call it {denied} , | call this {thing} {said}",
    "they said {denied} , | but the {thing} was {said}",
    "the {thing} was {said} , | though they had said {denied}",
)
_ASIDE_TEXTS = (
    "honestly",
    "last week",
    "to my surprise",
    "as it turned out",
    "after a long day",
    "from start to end",
    "in spite of the weather",
    "for all of us",
    "when we were there",
    "as my sister told you",
    "in our opinion",
    "this time",
    "on the second evening",
    "without any doubt",
)
_GOOD_TEXT = (
    "good great fine lovely pleasant superb brilliant charming delightful warm clever fresh gentle kind fascinating "
    "generous smooth polished rich bright splendid tasty friendly moving"
)
_BAD_TEXT = (
    "bad poor terrible nasty dreadful boring clumsy shallow bitter cold dull stale rude harsh tedious mean rough "
    "sloppy bland gloomy horrible tasteless hostile tiresome"
)
_THINGS_TEXT = (
    "film book meal concert hotel service play room story song dinner garden lecture tour show album coffee band actor "
    "ending soup waiter museum game plot trip menu staff view speech"
)

_GOOD, _BAD, _THINGS = (text.split() for text in (_GOOD_TEXT, _BAD_TEXT, _THINGS_TEXT))
_FRAMES = [frame.split() for frame in _FRAME_TEXTS]
_ASIDES = [aside.split() for aside in _ASIDE_TEXTS]
_SHORTEST = max(sum(word != "|" for word in frame) for frame in _FRAMES)


def _vocabulary() -> list[str]:
    in_frames = {word for frame in _FRAMES for word in frame if word[0] not in "{|"}
    in_asides = {word for aside in _ASIDES for word in aside}
    return sorted(in_frames | in_asides | {*_GOOD, *_BAD, *_THINGS})


_TOKENIZER = WordTokenizer.from_spec({"min_count": 1, "words": _vocabulary()})
_IDS = {word: int(_TOKENIZER.encode(word)[0]) for word in _vocabulary()}


@dataclass(frozen=True)
class SentenceOrder(TextProblem):
    """Sentences about something being good or bad, such as "the film was good , not bad at all".

    For each sentence there is one of the same words and the opposite sentiment ("the film was bad , not good at all"),
    and both are equally likely: what words it has tells nothing of its sentiment, by construction.

    Args:
        length: Words of the longest sentence, punctuation marks counted.

    Raises:
        ValueError: Where that leaves no room for a sentence.

    Example:
        >>> problem = SentenceOrder()
        >>> words, sentiment = problem.words(np.random.default_rng(1))
        >>> " ".join(words), SENTIMENTS[sentiment]
        ('call it hostile , after a long day , do not call this tour warm', 'negative')
    """

    tokenizer: ClassVar[WordTokenizer] = _TOKENIZER
    good: ClassVar[list[str]] = _GOOD
    bad: ClassVar[list[str]] = _BAD
    length: int = 20

    def __post_init__(self) -> None:
        check_at_least("length", self.length, _SHORTEST)

    @property
    def max_steps(self) -> int:
        """Words of the longest sentence."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Words to a sentiment."""
        return {
            "shape": "many_to_one",
            "inputs": {"kind": "tokens", "vocab_size": _TOKENIZER.vocab_size},
            "targets": {"kind": "classes", "classes": list(SENTIMENTS)},
            "tokenizer": _TOKENIZER.to_spec(),
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws a sentence: inputs `(words,)`, targets `()`."""
        words, sentiment = self.words(generator)
        return Example(np.array([_IDS[word] for word in words], np.int64), np.array(sentiment, np.int64))

    def words(self, generator: np.random.Generator) -> tuple[list[str], int]:
        """Draws the words of a sentence and whether it is `POSITIVE`: one of a pair, either as likely as the other."""
        sentiment = int(generator.integers(2))
        return self.pair(generator)[sentiment], sentiment

    def pair(self, generator: np.random.Generator) -> tuple[list[str], list[str]]:
        """Draws a negative sentence, and the positive one of the same words."""
        choices = generator.integers(0, 1 << 30, 8).tolist()
        return self._say(choices, NEGATIVE), self._say(choices, POSITIVE)

    def _say(self, choices: list[int], sentiment: int) -> list[str]:
        frame, good, bad, thing, length, *asides = choices
        words = _FRAMES[frame % len(_FRAMES)]
        chosen = {
            "{said}": _GOOD[good % len(_GOOD)],
            "{denied}": _BAD[bad % len(_BAD)],
            "{thing}": _THINGS[thing % len(_THINGS)],
        }
        if sentiment == NEGATIVE:
            chosen["{said}"], chosen["{denied}"] = chosen["{denied}"], chosen["{said}"]
        # How many words may be added is drawn too, so that short sentences are as frequent as long ones.
        room = length % (self.length - sum(word != "|" for word in words) + 1)
        more = iter(asides)
        sentence: list[str] = []
        for word in words:
            if word == "|":
                aside = self._aside(next(more), room, after=sentence[-1:])
                room -= len(aside)
                sentence += aside
            else:
                sentence.append(chosen.get(word, word))
        return sentence

    def _aside(self, choice: int, room: int, after: list[str]) -> list[str]:
        """Returns an aside with its commas, or nothing where there is no room for it."""
        aside = _ASIDES[choice % len(_ASIDES)]
        aside = [*aside, ","] if after in ([], [","]) else [",", *aside, ","]
        return aside if len(aside) <= room else []

"""Measures of what a model writes of its own accord, given a class."""

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.data import ConditionedData, DataModule, Window
from seqmodels.data.formats.abc import Tune, problems_of
from seqmodels.decoding import Sampling, TextWriter
from seqmodels.errors import UserError
from seqmodels.tasks.measures.measure import Measure

HELD_OUT = 5
"""One of so many texts of training is kept from the classifier, to measure it."""
_NOT_FITTED = object()


class ClassVerdict(Measure):
    """How many samples a classifier takes for what they were asked to be: "verdict".

    The classes are asked for in turn. The classifier is a logistic regression of the character n-grams of the texts of
    training (after Cavnar and Trenkle 1994, "N-gram-based text categorization"); "verdict_on_real" is its accuracy on
    those of them that it was not fitted to, and says what its verdict is worth.

    Args:
        model: The language model.
        spec: Of its data.
        data: The data, whose texts of training the classifier is fitted to; without them the verdict is left out, as
            where these are of one class or have no n-gram in common.
        num_samples: How many are written.
        length: Tokens in each at most.
        temperature: Of sampling, see `seqmodels.decoding.Sampling`; the samples are always drawn from the same seed.
        top_p: Of sampling.

    Raises:
        UserError: Where texts are not conditioned on classes.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: Mapping[str, Any],
        data: DataModule | None = None,
        num_samples: int = 50,
        length: int = 1000,
        temperature: float = 0.8,
        top_p: float | None = None,
    ):
        self.writer = TextWriter.from_spec(model, spec)
        condition = self.writer.condition
        if condition is None or not condition.classes:
            raise UserError("task.measures: this one asks for texts by class, and these data have none")
        self.condition = condition
        self.texts = data.training_texts if isinstance(data, ConditionedData) else []
        self.num_samples, self.length = num_samples, length
        self.sampling = Sampling(temperature, top_p=top_p)
        self._classifier: Any = _NOT_FITTED
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.asked = False

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Notes that an evaluation takes place."""
        self.asked = True

    def compute(self) -> dict[str, float]:
        """Returns the shares, "verdict" and "verdict_on_real"."""
        return self.judge(*self.write()) if self.asked else self.judge([], [])

    def write(self) -> tuple[list[str], list[int]]:
        """Returns samples and the classes that they were asked to have."""
        classes = list(islice(cycle(range(len(self.condition.classes))), self.num_samples))
        contexts = torch.tensor(classes)
        texts = self.writer.write(None, self.length, self.sampling, len(classes), seed=0, contexts=contexts)
        return texts, classes

    def judge(self, samples: list[str], classes: list[int]) -> dict[str, float]:
        """Returns the figures of samples; NaN where there are none."""
        if self._classifier is _NOT_FITTED:
            self._classifier = self._fitted()
        if self._classifier is None:
            return {}
        if not samples:
            return {"verdict": float("nan"), "verdict_on_real": float("nan")}
        classifier, on_real = self._classifier
        right = classifier.predict([self.judged(text) for text in samples]) == classes
        return {"verdict": float(right.mean()), "verdict_on_real": on_real}

    def judged(self, text: str) -> str:
        """Returns what of a text the classifier is shown."""
        return text

    def _fitted(self) -> tuple[Any, float] | None:
        """Returns the classifier, and its accuracy on what it was not fitted to; `None` where there is none."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        ngrams = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), lowercase=False, sublinear_tf=True, min_df=2)
        classifier = make_pipeline(ngrams, LogisticRegression(C=10.0, max_iter=300))
        texts = [self.judged(text.text) for text in self.texts]
        classes = [int(text.context) for text in self.texts]
        shown = [number for number in range(len(texts)) if number % HELD_OUT]
        if len({classes[number] for number in shown}) < 2:
            return None
        try:
            classifier.fit([texts[number] for number in shown], [classes[number] for number in shown])
        except ValueError:  # its word for texts that have no n-gram in common
            return None
        return classifier, float(classifier.score(texts[::HELD_OUT], classes[::HELD_OUT]))


class WrittenTunes(ClassVerdict):
    """How many sampled tunes parse as ABC notation, "parses", and what a classifier takes their music for.

    The classifier is shown the body alone, as metre and key of the header would tell too much.
    """

    def judge(self, samples: list[str], classes: list[int]) -> dict[str, float]:
        """Returns the share of samples without a problem, and the verdict."""
        parsing = [not problems_of(text) for text in samples]
        share = sum(parsing) / len(parsing) if parsing else float("nan")
        return {"parses": share, **super().judge(samples, classes)}

    def judged(self, text: str) -> str:
        """Returns the body of a tune."""
        return Tune(1, text).body

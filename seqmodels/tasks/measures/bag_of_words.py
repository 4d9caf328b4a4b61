"""What can be told without the order of the tokens, beside what a model tells."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from seqmodels.data import Window
from seqmodels.tasks.measures.measure import Measure


class BagOfWords(Measure):
    """The accuracy of a logistic regression on how often each token occurs, on the same sequences.

    It is cross-validated on the part that is measured: each fold is predicted by what the others teach. The same part
    is computed once, however often it is measured. Of data that are not tokens with one class for each sequence it
    reports nothing, so that an experiment with it takes texts that have numbers or several labels too.

    Args:
        spec: Of the data.
        folds: How many.

    Raises:
        ValueError: Where there are fewer than two folds.
    """

    def __init__(self, spec: Mapping[str, Any], folds: int = 5):
        if folds < 2:
            raise ValueError(f"folds={folds}: expected at least 2")
        kinds = (spec.get("shape"), spec.get("inputs", {}).get("kind"), spec.get("targets", {}).get("kind"))
        self.fits = kinds == ("many_to_one", "tokens", "classes")
        self.vocab_size = spec["inputs"]["vocab_size"] if self.fits else 0
        self.folds = folds
        self._computed: dict[bytes, float] = {}
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self._tokens: list[np.ndarray] = []
        self._targets: list[np.ndarray] = []

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Keeps the tokens of each sequence, and its class."""
        if not self.fits:
            return
        inputs = window.inputs.cpu().numpy()
        self._tokens += [row[:length] for row, length in zip(inputs, window.lengths.tolist(), strict=True)]
        self._targets.append(window.targets.cpu().numpy())

    def compute(self) -> dict[str, float]:
        """Returns the accuracy; NaN where a class has fewer sequences than there are folds; nothing of other data."""
        if not self.fits:
            return {}
        targets = np.concatenate(self._targets) if self._targets else np.zeros(0, np.int64)
        _, counts = np.unique(targets, return_counts=True)
        if len(counts) < 2 or counts.min() < self.folds:
            return {"bag_of_words_accuracy": float("nan")}
        digest = hashlib.sha256(b"".join([targets.tobytes(), *(row.tobytes() + b"|" for row in self._tokens)])).digest()
        if digest not in self._computed:
            self._computed[digest] = self._cross_validated(targets)
        return {"bag_of_words_accuracy": self._computed[digest]}

    def _cross_validated(self, targets: np.ndarray) -> float:
        from scipy.sparse import csr_array
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        ends = np.cumsum([len(row) for row in self._tokens])
        tokens = np.concatenate(self._tokens)
        shape = (len(self._tokens), self.vocab_size)
        bags = csr_array((np.ones(len(tokens)), tokens, np.concatenate([[0], ends])), shape)
        bags.sum_duplicates()
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=0)
        return float(cross_val_score(LogisticRegression(max_iter=1000), bags, targets, cv=folds).mean())

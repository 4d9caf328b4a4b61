"""Sound files as frames: what a run hears of them, the same in training and later."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from seqmodels.data.formats.wav import read_wav, wav_rate
from seqmodels.data.speech.features import FLOOR, LogMel
from seqmodels.errors import UserError

Normalization = Literal["utterance", "training", "none"]

DECIBELS = 10 / math.log(10)
"""Of one unit of a natural logarithm of power."""

LEAST_DEVIATION = 0.1
"""Bands that vary less than this, as in silence, are not blown up."""


@dataclass(frozen=True)
class Frames:
    """How sounds become frames, log-mel power by `LogMel`, and how these are made comparable.

    Args:
        rate: Samples a second that all sounds are brought to; that of the first one where left out.
        num_mels: Bands.
        window_ms: Length of a window in milliseconds.
        hop_ms: Milliseconds from one window to the next.
        range_db: Decibels from the loudest band of a recording down to what is silence in it: how loud a recording is,
            and what is behind the voice, is then not heard. All is, where left out.
        normalization: What each band is made to have mean 0 and deviation 1 over: the "training" part; each
            "utterance", which hides the microphone, but of short ones what is said too; or "none".
        means: Of each band over the training part, where it is that; learned by `fitted`.
        deviations: Likewise.

    Raises:
        UserError: Where a value is out of range.
    """

    rate: int | None = None
    num_mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    range_db: float | None = 50.0
    normalization: Normalization = "training"
    means: list[float] | None = None
    deviations: list[float] | None = None

    def __post_init__(self) -> None:
        for name in ("num_mels", "window_ms", "hop_ms"):
            if not getattr(self, name) > 0:
                raise UserError(f"data.frames.{name}={getattr(self, name)}: expected more than 0")
        if self.range_db is not None and not self.range_db > 0:
            raise UserError(f"data.frames.range_db={self.range_db}: expected more than 0, or null")
        if self.rate is not None and self.rate < 1:
            raise UserError(f"data.frames.rate={self.rate}: expected at least 1 sample a second, or null")
        if self.normalization not in get_args(Normalization):
            expected = ", ".join(get_args(Normalization))
            raise UserError(f"data.frames.normalization={self.normalization}: expected one of {expected}")

    @classmethod
    def from_spec(cls, context: Mapping[str, Any]) -> "Frames":
        """Rebuilds what `to_spec` described."""
        return cls(**{name: context[name] for name in cls.__dataclass_fields__})

    def to_spec(self) -> dict[str, Any]:
        """Returns plain JSON: the "context" of the spec of data whose sources are frames."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"kind": "frames", "num_features": self.num_mels, **own}

    @property
    def hidden(self) -> float:
        """What stands for what is not to be heard: silence; where bands are made comparable their mean, 0."""
        if self.normalization != "none":
            return 0.0
        return math.log(FLOOR) if self.range_db is None else -self.range_db / DECIBELS

    def fitted(self, training: Sequence[Path]) -> "Frames":
        """Returns the same with the rate of sounds, and the means and deviations of them where these are asked for."""
        known = replace(self, rate=self.rate or wav_rate(training[0]))
        if self.normalization != "training":
            return known
        heard = np.concatenate([known._heard(file) for file in training]).astype(np.float64)
        deviations = np.maximum(heard.std(0), LEAST_DEVIATION)
        return replace(known, means=heard.mean(0).tolist(), deviations=deviations.tolist())

    def read(self, file: Path) -> np.ndarray:
        """Returns the frames of a sound file `(frames, num_mels)`, float32.

        Raises:
            UserError: Where it cannot be read, is empty, or shorter than a window; with the file.
        """
        heard = self._heard(file)
        if self.normalization == "none":
            return heard
        if self.normalization == "training":
            assert self.means is not None
            assert self.deviations is not None
            return (heard - np.array(self.means, np.float32)) / np.array(self.deviations, np.float32)
        return (heard - heard.mean(0)) / np.maximum(heard.std(0), LEAST_DEVIATION)

    def _heard(self, file: Path) -> np.ndarray:
        assert self.rate is not None, "see fitted"
        log_mel = LogMel(self.rate, self.num_mels, self.window_ms, self.hop_ms)
        samples = read_wav(file, self.rate)
        try:
            heard = log_mel(samples)
        except UserError as error:  # it knows of no file
            raise UserError(f"{file}: {error}") from error
        return heard if self.range_db is None else np.maximum(heard - heard.max(), -self.range_db / DECIBELS)

"""Frames of sound, changed as other speakers, rooms and moments would change them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqmodels.data.examples import Example
from seqmodels.errors import UserError

NUM_WAVES = 4
"""A tilt is made of so many cosines."""


@dataclass(frozen=True)
class Perturbation:
    """Changes frames at random, so that training hears more than the speakers it has; 0 leaves one of these out.

    Args:
        stretch: Bands are moved up or down by a factor from `exp(-stretch)` to `exp(stretch)`, as a shorter or longer
            vocal tract does (Jaitly and Hinton 2013, "Vocal tract length perturbation improves speech recognition"),
            here along the mel axis.
        speed: Frames are read faster or slower by such a factor (Ko et al. 2015, "Audio augmentation for speech
            recognition"), with the pitch as it was.
        tilt: Deviation of a smooth curve over the bands that is added to all frames, as another microphone does.
        noise: Deviation of what is added to each band of each frame.
        frequency_mask: Bands that each of two masks hides at most (Park et al. 2019, "SpecAugment").
        time_mask: Frames that each of two masks hides at most, but no more than a quarter of an utterance.

    Raises:
        UserError: Where a value is below 0.

    Example:
        >>> Perturbation(speed=0.0)(np.zeros((98, 40), np.float32), np.random.default_rng(0)).shape
        (98, 40)
    """

    stretch: float = 0.15
    speed: float = 0.2
    tilt: float = 0.5
    noise: float = 0.0
    frequency_mask: int = 8
    time_mask: int = 6

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not 0 <= getattr(self, name) < np.inf:
                raise UserError(f"data.perturbation.{name}={getattr(self, name)}: expected at least 0")

    def fewest_steps(self, steps: int) -> int:
        """Returns how many frames at least are left of so many.

        Example:
            >>> Perturbation(speed=0.7).fewest_steps(100)
            50
        """
        return max(1, round(steps / np.exp(self.speed)))

    def __call__(self, frames: np.ndarray, generator: np.random.Generator, hidden: float = 0.0) -> np.ndarray:
        """Returns changed frames.

        Args:
            frames: `(frames, features)`.
            generator: What draws the changes.
            hidden: What a mask puts in the place of what it hides.

        Returns:
            `(other frames, features)`, float32.
        """
        steps, bands = frames.shape
        if self.stretch:
            factor = np.exp(generator.uniform(-self.stretch, self.stretch))
            frames = _read_at(frames.T, np.arange(bands) * factor).T
        if self.speed:
            steps = max(1, round(steps / np.exp(generator.uniform(-self.speed, self.speed))))
            frames = _read_at(frames, np.linspace(0, len(frames) - 1, steps))
        if self.tilt:
            waves = np.cos(np.outer(np.arange(1, NUM_WAVES + 1), np.linspace(0, np.pi, bands)))
            frames = frames + generator.normal(0, self.tilt, NUM_WAVES) @ waves / 2
        if self.noise:
            frames = frames + generator.normal(0, self.noise, frames.shape)
        frames = frames.astype(np.float32)  # a copy, for the masks
        for _ in range(2):
            frames[:, _mask(min(self.frequency_mask, bands), bands, generator)] = hidden
            frames[_mask(min(self.time_mask, steps // 4), steps, generator)] = hidden
        return frames


def _read_at(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns rows at places between them, linearly; the last one behind the end."""
    places = np.minimum(places, len(rows) - 1)
    before = np.minimum(places.astype(np.int64), max(len(rows) - 2, 0))
    after = np.minimum(before + 1, len(rows) - 1)
    share = (places - before)[:, None]
    return rows[before] * (1 - share) + rows[after] * share


def _mask(longest: int, size: int, generator: np.random.Generator) -> slice:
    width = int(generator.integers(0, longest + 1))
    start = int(generator.integers(0, size - width + 1))
    return slice(start, start + width)


@dataclass(frozen=True)
class Perturbed:
    """Recordings drawn with replacement, each changed anew: a `seqmodels.data.Problem`.

    Args:
        examples: The recordings, as frames with their texts.
        perturbation: What is done to them.
        hidden: What a mask puts in the place of what it hides.
    """

    examples: Sequence[Example]
    perturbation: Perturbation
    hidden: float = 0.0

    @property
    def max_steps(self) -> int:
        """Tokens of the longest text, and one for its end."""
        return max(len(example.inputs) for example in self.examples)

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws a recording and changes it."""
        example = self.examples[int(generator.integers(len(self.examples)))]
        assert example.context is not None
        return example._replace(context=self.perturbation(example.context, generator, self.hidden))

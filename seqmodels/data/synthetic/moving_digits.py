"""Clips of a handwritten digit that moves across the frames."""

from typing import Any

import numpy as np

from seqmodels.data.examples import PARTS, Example
from seqmodels.data.synthetic.digit_images import DIGIT_SIZE, digit_images
from seqmodels.data.synthetic.problem import GeneratedProblem, check_at_least

DIRECTIONS = ("up", "down", "left", "right")
NUM_DIGITS = 10


class MovingDigit(GeneratedProblem):
    """Which digit is it, and where is it going, at each frame of a clip?

    A digit starts anywhere and goes up, down, left or right, one pixel a frame, and back where the next step would
    leave the frame. Its direction at a frame is the way it came from the frame before, so that it can be seen from the
    second frame on; at the first it is the way to the second, which nothing there tells. After Srivastava, Mansimov and
    Salakhutdinov 2015, "Unsupervised Learning of Video Representations using LSTMs", arXiv:1502.04681, with
    scikit-learn's digits of 8 x 8 pixels, whose images are shared out: no part shows one of another.

    Args:
        length: Frames.
        size: Pixels of a side of a frame, at least 11.
        part: "train", "val" or "test": the images that are drawn from.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> clip = MovingDigit(length=5).draw(np.random.default_rng(0))
        >>> clip.inputs.shape, clip.targets.shape
        ((5, 1, 16, 16), (5,))
    """

    def __init__(self, length: int = 10, size: int = 16, part: str = "train"):
        check_at_least("length", length, 2)
        check_at_least("size", size, DIGIT_SIZE + 3)
        if part not in PARTS:
            raise ValueError(f"part={part}: expected one of {', '.join(PARTS)}")
        self.length = length
        self.size = size
        self.part = part

    @property
    def max_steps(self) -> int:
        """Frames of every clip."""
        return self.length

    @property
    def spec(self) -> dict[str, Any]:
        """Frames to a direction and a digit at each: a class is a pair of them, such as "up 3"."""
        digits = [str(digit) for digit in range(NUM_DIGITS)]
        return {
            "shape": "many_to_many",
            "inputs": {"kind": "images", "image_channels": 1},
            "targets": {
                "kind": "classes",
                "classes": [f"{direction} {digit}" for direction in DIRECTIONS for digit in digits],
                "num_frames": self.length,
                "factors": {"direction": list(DIRECTIONS), "digit": digits},
            },
        }

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws a clip: inputs `(frames, 1, size, size)` from 0 to 1, targets `(frames,)`."""
        images, digits = digit_images(self.part)
        chosen = int(generator.integers(len(images)))
        last = self.size - DIGIT_SIZE
        # The first step never meets an edge: a place at one would tell something of the direction.
        places = np.repeat(generator.integers(1, last, size=(1, 2)), self.length, axis=0)
        axis, sign = (int(choice) for choice in generator.integers(2, size=2))
        path = places[:, axis] + (2 * sign - 1) * np.arange(self.length)
        places[:, axis] = last - abs(path % (2 * last) - last)  # back and forth between 0 and last
        moves = np.diff(places[:, axis])
        frames = np.zeros((self.length, 1, self.size, self.size), np.float32)
        for frame, (row, column) in zip(frames, places.tolist(), strict=True):
            frame[0, row : row + DIGIT_SIZE, column : column + DIGIT_SIZE] = images[chosen]
        directions = 2 * axis + (np.append(moves[:1], moves) > 0)
        return Example(frames, NUM_DIGITS * directions + digits[chosen])

    def of_part(self, part: str) -> "MovingDigit":
        """Returns the same with the images of a part."""
        return MovingDigit(self.length, self.size, part)

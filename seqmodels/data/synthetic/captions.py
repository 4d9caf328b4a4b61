"""Images of several handwritten digits side by side, and the words for them."""

import numpy as np

from seqmodels.data.synthetic.digit_images import DIGIT_SIZE, digit_images

MAX_DIGITS = 4
HEIGHT, WIDTH = 12, 44
MAX_GAP = 2
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MAX_LENGTH = MAX_DIGITS * len("three ")
"""No caption has more characters."""


def draw_digits(generator: np.random.Generator, part: str) -> tuple[np.ndarray, str]:
    """Draws an image of one to four digits in a row, each a little out of place.

    No part shows a digit that another does.

    Args:
        generator: All choices are drawn from it.
        part: "train", "val" or "test".

    Returns:
        The image `(1, 12, 44)`, float32 from 0 to 1, and its caption, such as "seven three".

    Example:
        >>> image, caption = draw_digits(np.random.default_rng(0), "train")
        >>> image.shape, caption
        ((1, 12, 44), 'four eight four one')
    """
    images, digits = digit_images(part)
    count = int(generator.integers(1, MAX_DIGITS + 1))
    chosen = generator.integers(len(images), size=count)
    rows = generator.integers(HEIGHT - DIGIT_SIZE + 1, size=count)
    gaps = generator.integers(MAX_GAP + 1, size=count)
    free = WIDTH - count * DIGIT_SIZE - int(gaps.sum())
    columns = np.cumsum(gaps + DIGIT_SIZE) - DIGIT_SIZE + int(generator.integers(min(free, MAX_GAP) + 1))
    image = np.zeros((1, HEIGHT, WIDTH), np.float32)
    for number, row, column in zip(chosen, rows, columns, strict=True):
        image[0, row : row + DIGIT_SIZE, column : column + DIGIT_SIZE] = images[number]
    return image, " ".join(WORDS[digits[number]] for number in chosen)

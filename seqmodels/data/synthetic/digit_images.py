"""scikit-learn's handwritten digits, shared out between training, validation and test."""

from functools import lru_cache

import numpy as np

DIGIT_SIZE = 8
_SHARES = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}


@lru_cache
def digit_images(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images of one part; no part has one of another.

    Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits", as scikit-learn brings them along.

    Args:
        part: "train", "val" or "test".

    Returns:
        Images `(images, 8, 8)`, float32 from 0 to 1, and what each shows `(images,)`, int64.

    Example:
        >>> [len(digit_images(part)[0]) for part in ("train", "val", "test")]
        [1438, 179, 180]
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    first, last = (round(share * len(order)) for share in _SHARES[part])
    chosen = order[first:last]
    return (data.images[chosen] / 16).astype(np.float32), data.target[chosen].astype(np.int64)

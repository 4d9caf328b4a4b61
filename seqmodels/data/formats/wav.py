"""Sound files: WAV in any of its usual sample formats."""

import warnings
from math import gcd
from pathlib import Path

import numpy as np

from seqmodels.errors import UserError

_RATES = (1000, 768_000)


def read_wav(path: Path, rate: int) -> np.ndarray:
    """Reads a sound as samples from -1 to 1: integers of 8 to 64 bits or floats, channels averaged, resampled.

    Samples that are no finite numbers, which float formats can hold, are silence. Resampling is by a polyphase filter
    (`scipy.signal.resample_poly`), which keeps out what the lower rate cannot tell.

    Args:
        path: The file.
        rate: Samples a second that the sound is brought to.

    Returns:
        `(samples,)`, float32.

    Raises:
        UserError: Where it cannot be read, or holds nothing.
    """
    from scipy.signal import resample_poly

    found, samples = _read(path)
    if not samples.size:
        raise UserError(f"{path}: the sound has no samples")
    mono = samples if samples.ndim == 1 else samples.mean(1)
    if found != rate:
        common = gcd(found, rate)
        mono = resample_poly(mono, rate // common, found // common)
    return mono.astype(np.float32)


def wav_rate(path: Path) -> int:
    """Returns the samples a second of a sound file.

    Raises:
        UserError: Where it cannot be read.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[int, np.ndarray]:
    """Returns the rate, and samples from -1 to 1 in double precision `(samples,)` or `(samples, channels)`."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():  # of chunks that are not sound, such as the name of an artist
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged header makes scipy fail in many ways: struct, division, memory, its own
        reason = str(error) or type(error).__name__
        if not path.stat().st_size:
            reason = "the file is empty"
        raise UserError(f"{path}: is no WAV file that can be read: {reason}") from error
    if not _RATES[0] <= rate <= _RATES[1]:  # resampled, a few samples a second become more than memory holds
        told = f"its header tells {rate} samples a second; expected {_RATES[0]} to {_RATES[1]}"
        raise UserError(f"{path}: is no WAV file that can be read: {told}")
    return rate, _scaled(samples)


def _scaled(samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind == "f":
        return np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0)
    if samples.dtype == np.uint8:  # the one format without a sign
        return (samples.astype(np.float64) - 128) / 128
    return samples.astype(np.float64) / 2.0 ** (8 * samples.dtype.itemsize - 1)

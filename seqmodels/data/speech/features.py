"""What is heard of a sound: the logarithm of its power in bands, window by window."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from seqmodels.errors import UserError

FLOOR = 1e-6
"""Power in a band below which everything is silence; a sine of full scale at 8 kHz has some thousand."""


def to_mel(frequency: np.ndarray | float) -> np.ndarray | float:
    """Returns the mels of frequencies in hertz, by the formula of O'Shaughnessy 1987, which HTK uses too.

    Example:
        >>> round(float(to_mel(1000.0)))
        1000
    """
    return 2595 * np.log10(1 + np.asarray(frequency) / 700)


def mel_filterbank(num_mels: int, num_bins: int, rate: int) -> np.ndarray:
    """Makes triangles that overlap by half and are of equal width in mels, from 0 to half the rate.

    A triangle is 1 at its centre, and 0 from the centres of its neighbours on, linear in mels in between (Davis and
    Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition").

    Args:
        num_mels: How many.
        num_bins: Frequencies that power is known at, evenly spaced from 0 to half the rate, both included.
        rate: Samples a second.

    Returns:
        `(num_mels, num_bins)`, float64.

    Example:
        >>> mel_filterbank(num_mels=2, num_bins=5, rate=8000).round(2)
        array([[0.  , 0.6 , 0.  , 0.  , 0.  ],
               [0.  , 0.4 , 0.87, 0.38, 0.  ]])
    """
    edges = np.linspace(0.0, to_mel(rate / 2), num_mels + 2)
    mels = to_mel(np.linspace(0, rate / 2, num_bins))
    step = edges[1] - edges[0]
    return np.clip(1 - np.abs(mels - edges[1:-1, None]) / step, 0, None)


@dataclass(frozen=True)
class LogMel:
    """Frames of a sound: windows of it under a Hann window, their power spectra summed in mel bands, the logarithm.

    Args:
        rate: Samples a second.
        num_mels: Bands.
        window_ms: Length of a window in milliseconds.
        hop_ms: Milliseconds from one window to the next.

    Raises:
        UserError: Where a value is out of range, or there are more bands than the window can tell apart.

    Example:
        >>> LogMel(rate=8000)(np.zeros(8000, np.float32)).shape
        (98, 40)
    """

    rate: int
    num_mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0

    def __post_init__(self) -> None:
        if self.num_mels < 1:
            raise UserError(f"data.frames.num_mels={self.num_mels}: expected an integer of at least 1")
        if self.hop < 1 or self.window < 2:
            raise UserError(
                f"data.frames.window_ms={self.window_ms}, data.frames.hop_ms={self.hop_ms}: at {self.rate} samples a "
                "second, expected a window of at least two samples, and a hop of at least one"
            )
        if not self.filterbank.sum(1).all():
            raise UserError(
                f"data.frames.num_mels={self.num_mels}: a window of {self.window} samples (data.frames.window_ms="
                f"{self.window_ms}) cannot tell so many bands apart; expected fewer bands or a longer window"
            )

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one window to the next."""
        return round(self.rate * self.hop_ms / 1000)

    @property
    def fft_size(self) -> int:
        """Samples that a window is padded to: the next power of two."""
        return 1 << (self.window - 1).bit_length()

    @cached_property
    def filterbank(self) -> Tensor:
        """The bands `(num_mels, fft_size // 2 + 1)`."""
        return torch.from_numpy(mel_filterbank(self.num_mels, self.fft_size // 2 + 1, self.rate))

    def power(self, samples: np.ndarray) -> Tensor:
        """Returns the power spectra of all whole windows.

        Args:
            samples: `(samples,)`, at least one window.

        Returns:
            `(frames, fft_size // 2 + 1)`, float64.
        """
        windows = torch.from_numpy(samples).double().unfold(0, self.window, self.hop)
        shape = torch.hann_window(self.window, dtype=torch.float64)
        return torch.fft.rfft(windows * shape, self.fft_size).abs().square()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Returns the frames of a sound.

        Args:
            samples: From -1 to 1 `(samples,)`.

        Returns:
            Natural logarithms `(frames, num_mels)`, float32.

        Raises:
            UserError: Where the sound is shorter than a window.
        """
        if len(samples) < self.window:
            told = "1 sample" if len(samples) == 1 else f"{len(samples)} samples"
            raise UserError(
                f"the sound has {told} at {self.rate} a second; expected at least {self.window}, one "
                f"window (data.frames.window_ms={self.window_ms})"
            )
        mels = self.power(samples) @ self.filterbank.T
        return mels.clamp(min=FLOOR).log().float().numpy()

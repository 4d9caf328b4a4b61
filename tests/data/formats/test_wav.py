"""Sound files in all their sample formats, resampled, averaged; those that cannot be read."""

import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from seqmodels.data.formats.wav import read_wav, wav_rate
from seqmodels.errors import UserError

SINE = np.sin(2 * np.pi * 440 * np.arange(800) / 8000)


def write_pcm24(path, samples, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<i", int(s))[:3] for s in np.round(samples * (2**23 - 1))))


@pytest.mark.parametrize(
    ("dtype", "scale", "offset", "tolerance"),
    [
        (np.uint8, 127, 128, 0.02),
        (np.int16, 2**15 - 1, 0, 1e-4),
        (np.int32, 2**31 - 1, 0, 1e-6),
        (np.float32, 1, 0, 1e-6),
        (np.float64, 1, 0, 1e-6),
    ],
)
def test_every_format_gives_the_same_samples(tmp_path, dtype, scale, offset, tolerance):
    wavfile.write(tmp_path / "a.wav", 8000, (SINE * scale + offset).round(0 if scale > 1 else 9).astype(dtype))
    read = read_wav(tmp_path / "a.wav", 8000)
    assert read.dtype == np.float32
    assert np.abs(read - SINE).max() < tolerance


def test_samples_of_24_bits(tmp_path):
    write_pcm24(tmp_path / "a.wav", SINE)
    assert np.abs(read_wav(tmp_path / "a.wav", 8000) - SINE).max() < 1e-6


def test_channels_are_averaged(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, np.stack([SINE, 0.5 * SINE], 1).astype(np.float32))
    assert np.allclose(read_wav(tmp_path / "a.wav", 8000), 0.75 * SINE, atol=1e-6)


def test_another_rate_keeps_the_tone_and_its_time(tmp_path):
    rate = 44100
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    wavfile.write(tmp_path / "a.wav", rate, tone.astype(np.float32))
    assert wav_rate(tmp_path / "a.wav") == rate
    read = read_wav(tmp_path / "a.wav", 8000)
    assert len(read) == 8000
    inside = slice(200, -200)  # a filter has edges
    assert np.abs(read - np.sin(2 * np.pi * 440 * np.arange(8000) / 8000))[inside].max() < 0.01


def test_what_a_lower_rate_cannot_tell_is_kept_out(tmp_path):
    wavfile.write(tmp_path / "a.wav", 44100, np.sin(2 * np.pi * 7000 * np.arange(44100) / 44100).astype(np.float32))
    assert np.abs(read_wav(tmp_path / "a.wav", 8000)[200:-200]).max() < 0.02  # no tone of 1000 Hz instead


def test_samples_that_are_no_numbers_are_silence(tmp_path):
    samples = SINE.astype(np.float32)
    samples[3], samples[5], samples[7] = np.nan, np.inf, -np.inf
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    read = read_wav(tmp_path / "a.wav", 8000)
    assert read[[3, 5, 7]].tolist() == [0, 0, 0]
    assert np.allclose(read[8:], SINE[8:], atol=1e-6)


def test_chunks_that_are_no_sound_are_passed_over(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, np.arange(100, dtype=np.int16))
    data = (tmp_path / "a.wav").read_bytes() + b"note" + struct.pack("<I", 4) + b"mine"
    (tmp_path / "a.wav").write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert len(read_wav(tmp_path / "a.wav", 8000)) == 100


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"no WAV file that can be read: the file is empty$"),
        (b"not a sound at all, but text", "no WAV file"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "no WAV file"),
    ],
)
def test_a_file_that_is_no_sound_is_told_in_one_line(tmp_path, content, told):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        read_wav(tmp_path / "a.wav", 8000)
    assert "a.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sound_of_no_samples_and_a_missing_file_are_told(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(0, np.int16))
    with pytest.raises(UserError, match=r"a\.wav: the sound has no samples"):
        read_wav(tmp_path / "a.wav", 8000)
    with pytest.raises(UserError, match=r"b\.wav: cannot be read: No such file"):
        read_wav(tmp_path / "b.wav", 8000)

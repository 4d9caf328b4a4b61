"""Recordings as frames with what is said: features against their formulas, folders, splits, requests, mistakes."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from seqmodels.building import build
from seqmodels.data import CharTokenizer, Frames, Perturbation, Speech
from seqmodels.data.speech.features import FLOOR, LogMel, mel_filterbank
from seqmodels.errors import UserError

PATTERN = r"(?P<label>\d)_(?P<speaker>.+)_\d+\.wav"
WORDS = {"0": "zero", "1": "one"}


def tone(frequency, seconds=0.3, rate=8000, seed=0):
    steps = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.01, len(steps))
    return (0.5 * np.sin(2 * np.pi * frequency * steps) + noise).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Two digits, a low and a high tone, by three speakers, five times each, each of another length."""
    place = tmp_path / "digits"
    place.mkdir()
    for digit in (0, 1):
        for who, speaker in enumerate(("ann", "ben", "cleo")):
            for take in range(5):
                samples = tone(300 + 900 * digit + 50 * who, 0.2 + 0.02 * take, seed=take)
                wavfile.write(place / f"{digit}_{speaker}_{take}.wav", 8000, samples)
    return place


def ready(folder, **settings):
    module = Speech(str(folder), **{"pattern": PATTERN, "words": WORDS, "batch_size": 4, **settings})
    module.setup()
    return module


def error_of(make):
    with pytest.raises(UserError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Features


def test_the_filterbank_is_triangles_in_mels():
    rate, mels, bins = 8000, 6, 65
    bank = mel_filterbank(mels, bins, rate)
    edges = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), mels + 2)
    for band in range(mels):
        low, centre, high = edges[band : band + 3]
        for place, frequency in enumerate(np.arange(bins) * rate / 2 / (bins - 1)):
            mel = 2595 * np.log10(1 + frequency / 700)
            expected = max(0.0, min((mel - low) / (centre - low), (high - mel) / (high - centre)))
            assert bank[band, place] == pytest.approx(expected, abs=1e-12)


def test_power_is_that_of_numpys_fft_of_each_window():
    samples = np.random.default_rng(0).normal(size=700).astype(np.float32)
    log_mel = LogMel(rate=8000, num_mels=8, window_ms=20, hop_ms=7.5)
    found = log_mel.power(samples).numpy()
    assert len(found) == 1 + (700 - 160) // 60
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(160) / 160)
    for frame, row in enumerate(found):
        window = samples[frame * 60 : frame * 60 + 160].astype(np.float64) * hann
        assert np.allclose(row, np.abs(np.fft.rfft(window, 256)) ** 2)
    assert np.allclose(log_mel(samples), np.log(found @ mel_filterbank(8, 129, 8000).T), atol=1e-5)


def test_a_tone_is_loudest_in_the_band_it_lies_in():
    frames = LogMel(rate=8000, num_mels=20)(tone(1000.0))
    edges = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 22)
    band = int(np.abs(edges[1:-1] - 1000).argmin())  # 1000 Hz are 1000 mels
    assert (frames.argmax(1) == band).all()


def test_silence_is_the_floor_and_no_minus_infinity():
    assert np.allclose(LogMel(rate=8000)(np.zeros(400, np.float32)), np.log(FLOOR))


def test_more_bands_than_a_window_tells_apart_are_refused():
    assert "data.frames.num_mels=80" in error_of(lambda: LogMel(rate=8000, num_mels=80, window_ms=5))


# Folders


def test_frames_become_words_and_speakers_are_kept_apart(folder):
    module = ready(folder, test_speaker="ben", val_fraction=0.2)
    assert {part: len(files) for part, files in module.files.items()} == {"train": 16, "val": 4, "test": 10}
    assert all("_ben_" in file.name for file in module.files["test"])
    assert not any("_ben_" in file.name for part in ("train", "val") for file in module.files[part])
    assert sorted(file.name[0] for file in module.files["val"]) == ["0", "0", "1", "1"]  # of each digit alike
    spec = module.spec
    assert spec["shape"] == "sequence_to_sequence"
    assert spec["context"]["kind"] == "frames"
    assert (spec["context"]["num_features"], spec["context"]["rate"]) == (40, 8000)
    window = next(iter(module.test_dataloader()))
    assert window.context.dtype == torch.float32
    assert window.context.shape == (4, int(window.context_lengths.max()), 40)
    words = {word: number for number, word in enumerate(["<unk>", "one", "zero"])}
    assert set(window.targets[:, 0].tolist()) <= {words["one"], words["zero"]}
    assert (window.inputs[:, 0] == spec["bos"]).all()
    assert (window.targets[:, 1] == spec["eos"]).all()


def test_padding_is_zero_and_each_example_is_its_file(folder):
    module = ready(folder, test_speaker="ben")
    frames = Frames.from_spec(module.spec["context"])
    window = next(iter(module.test_dataloader()))
    by_length = sorted(module.files["test"], key=lambda file: len(frames.read(file)))
    for row, length in zip(window.context.numpy(), window.context_lengths.tolist(), strict=True):
        assert (row[length:] == 0).all()
        assert any(np.array_equal(row[:length], frames.read(file)) for file in by_length)


def test_the_split_follows_the_seed_alone(folder):
    parts = [ready(folder, test_speaker="ben", seed=seed).files for seed in (1, 1, 2)]
    assert parts[0] == parts[1]
    assert parts[0]["val"] != parts[2]["val"]
    assert parts[0]["test"] == parts[2]["test"]


def test_an_unknown_speaker_is_told_with_those_there_are(folder):
    message = error_of(lambda: ready(folder, test_speaker="dora"))
    assert "data.test_speaker=dora" in message
    assert "ann, ben, cleo" in message
    told = error_of(lambda: ready(folder, pattern=r"(?P<label>\d)_.+\.wav", test_speaker="ben"))
    assert "tell of no speaker" in told


def test_each_band_of_an_utterance_has_mean_0_and_deviation_1(folder):
    frames = ready(folder, frames=Frames(range_db=None, normalization="utterance")).spec["context"]
    read = Frames.from_spec(frames).read(folder / "0_ann_0.wav")
    assert np.allclose(read.mean(0), 0, atol=1e-4)
    varied = read[:, Frames(rate=8000, range_db=None, normalization="none").read(folder / "0_ann_0.wav").std(0) > 0.2]
    assert varied.shape[1] > 20
    assert np.allclose(varied.std(0), 1, atol=1e-3)


def test_normalisation_by_the_training_part_knows_nothing_of_the_rest(folder):
    module = ready(folder, test_speaker="ben", frames=Frames(normalization="training"))
    heard = [Frames(8000, normalization="none").read(file) for file in module.files["train"]]
    assert module.spec["context"]["means"] == pytest.approx(np.concatenate(heard).mean(0).tolist(), abs=1e-4)
    frames = Frames.from_spec(module.spec["context"])
    everything = np.concatenate([frames.read(file) for file in module.files["train"]])
    assert np.allclose(everything.mean(0), 0, atol=1e-3)
    assert np.allclose(everything.std(0), 1, atol=1e-3)


@pytest.mark.parametrize("samples", [np.zeros(1000, np.float32), np.full(1000, np.nan, np.float32)])
@pytest.mark.parametrize("normalization", ["utterance", "training", "none"])
def test_silence_and_missing_samples_make_finite_frames(tmp_path, samples, normalization):
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    for range_db in (None, 50.0):
        frames = Frames(range_db=range_db, normalization=normalization).fitted([tmp_path / "a.wav"])
        assert np.isfinite(frames.read(tmp_path / "a.wav")).all()


def test_how_loud_a_recording_is_and_what_is_behind_it_is_not_heard(tmp_path):
    wavfile.write(tmp_path / "loud.wav", 8000, tone(1000))
    wavfile.write(tmp_path / "soft.wav", 8000, 0.1 * tone(1000))
    loud, soft = (Frames(8000, range_db=20, normalization="none").read(tmp_path / f"{n}.wav") for n in ("loud", "soft"))
    assert np.allclose(loud, soft, atol=1e-3)
    assert loud.max() == 0
    assert loud.min() == pytest.approx(-2 * np.log(10))  # 20 decibels are a hundredth of the power


# Perturbation


def test_training_hears_each_recording_anew_and_nothing_else_does(folder):
    plain = ready(folder, test_speaker="ben")
    module = ready(folder, test_speaker="ben", perturbation=Perturbation())
    assert module.spec == plain.spec
    for split in ("train", "val", "test"):
        pairs = zip(module.evaluation_dataloader(split), plain.evaluation_dataloader(split), strict=True)
        assert all(torch.equal(one.context, other.context) for one, other in pairs)
    loader, again = module.train_dataloader(), ready(folder, test_speaker="ben", perturbation=Perturbation())
    assert len(loader) == len(plain.train_dataloader())
    epochs = [[window.context for window in loader] for _ in range(2)]
    assert all(
        torch.equal(*pair) for pair in zip(epochs[0], [w.context for w in again.train_dataloader()], strict=True)
    )
    shapes_differ = epochs[0][0].shape != epochs[1][0].shape
    assert shapes_differ or not torch.equal(epochs[0][0], epochs[1][0])


def nothing(**one):
    return Perturbation(
        **{**dict.fromkeys(("stretch", "speed", "tilt", "noise", "frequency_mask", "time_mask"), 0), **one}
    )


def test_each_perturbation_does_what_it_says():
    frames = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    changed = {
        name: nothing(**{name: value})(frames, np.random.default_rng(1))
        for name, value in {"stretch": 0.2, "speed": 0.5, "tilt": 1.0, "frequency_mask": 9, "time_mask": 9}.items()
    }
    assert np.array_equal(nothing()(frames, np.random.default_rng(1)), frames)
    assert changed["stretch"].shape == frames.shape
    assert np.allclose(changed["stretch"][:, 0], frames[:, 0], atol=1e-6)  # 0 mels are 0 mels
    factor = np.exp(np.random.default_rng(1).uniform(-0.5, 0.5))
    assert len(changed["speed"]) == round(40 / factor)
    assert np.allclose(changed["speed"][[0, -1]], frames[[0, -1]], atol=1e-6)
    added = changed["tilt"] - frames
    assert np.allclose(added, added[0], atol=1e-5)  # the same in all frames
    assert np.abs(np.diff(added[0], 2)).max() < np.abs(added).max()  # and smooth
    hidden = (changed["frequency_mask"] == 0).all(0)
    assert 0 < hidden.sum() <= 18
    assert np.array_equal(changed["frequency_mask"][:, ~hidden], frames[:, ~hidden])
    hidden = (changed["time_mask"] == 0).all(1)
    assert 0 < hidden.sum() <= 18
    assert np.array_equal(changed["time_mask"][~hidden], frames[~hidden])
    assert nothing(noise=2.0)(frames, np.random.default_rng(1)).std() > 2


def test_the_shortest_sounds_can_be_perturbed():
    generator = np.random.default_rng(0)
    for _ in range(50):
        assert np.isfinite(Perturbation(speed=1.0)(np.ones((1, 1), np.float32), generator)).all()
    assert "data.perturbation.tilt=-1" in error_of(lambda: Perturbation(tilt=-1))


def test_transcripts_and_their_speakers_are_read_from_a_file(tmp_path):
    rows = []
    for number in range(12):
        wavfile.write(tmp_path / f"{number}.wav", 16000, tone(200 + 100 * number, rate=16000))
        rows.append(f"{number}.wav\tit is number {number}\t{'ann' if number < 9 else 'ben'}")
    (tmp_path / "transcripts.tsv").write_text("\n".join(rows) + "\n\n")
    module = Speech(str(tmp_path), test_speaker="ben", tokenizer=CharTokenizer(), frames=Frames(rate=8000, num_mels=13))
    module.setup()
    assert {part: len(files) for part, files in module.files.items()} == {"train": 8, "val": 1, "test": 3}
    assert module.training_texts[0].text.startswith("it is number ")
    assert module.spec["context"]["num_features"] == 13
    assert len(module.training_texts[0].context) == 1 + (2400 - 200) // 80  # at 8000 samples a second


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a.wav", "line 2: 'a.wav': expected a WAV file, a tab"),
        ("b.wav\tyes", "line 2: b.wav: there is no such file"),
        ("a.wav\tyes\tann\tmore", "line 2"),
    ],
)
def test_lines_that_are_no_transcripts_are_told_by_number(tmp_path, line, told):
    wavfile.write(tmp_path / "a.wav", 8000, tone(500))
    (tmp_path / "transcripts.tsv").write_text(f"a.wav\tyes\n{line}\n")
    assert told in error_of(Speech(str(tmp_path)).setup)


def test_files_that_cannot_be_heard_are_told_by_name(folder):
    wavfile.write(folder / "0_ann_7.wav", 8000, np.zeros(199, np.int16))
    message = error_of(lambda: ready(folder))
    assert "0_ann_7.wav: the sound has 199 samples" in message
    assert "at least 200" in message
    wavfile.write(folder / "0_ann_7.wav", 8000, np.zeros(1, np.int16))
    assert "0_ann_7.wav: the sound has 1 sample at 8000 a second" in error_of(lambda: ready(folder))
    with pytest.raises(UserError, match=r"^the sound has 2 samples at 8000 a second"):
        LogMel(8000)(np.zeros(2, np.float32))
    (folder / "0_ann_7.wav").write_bytes(b"no sound")
    assert "0_ann_7.wav: is no WAV file" in error_of(lambda: ready(folder))


def test_names_that_do_not_tell_are_told(folder, tmp_path):
    wavfile.write(folder / "hello.wav", 8000, tone(500))
    assert "hello.wav: its name does not fit data.pattern" in error_of(lambda: ready(folder))
    (folder / "hello.wav").rename(folder / "2_ann_0.wav")
    assert "2_ann_0.wav: says '2', which data.words does not tell; there are 0, 1" in error_of(lambda: ready(folder))
    assert "data.pattern=(: is no regular expression" in error_of(lambda: ready(folder, pattern="("))
    assert "(?P<label>...)" in error_of(lambda: ready(folder, pattern=".*"))
    (tmp_path / "empty").mkdir()
    assert "there is no recording" in error_of(lambda: ready(tmp_path / "empty"))
    assert "expected a folder" in error_of(lambda: ready(tmp_path / "none"))
    assert "transcripts.tsv: there is no such file" in error_of(lambda: ready(folder, pattern=None))
    assert "data.transcripts=x" in error_of(lambda: ready(folder, transcripts="x"))


def test_settings_out_of_range_are_told():
    assert "data.frames.num_mels=0" in error_of(lambda: Frames(num_mels=0))
    assert "data.frames.range_db=-1" in error_of(lambda: Frames(range_db=-1))
    assert "data.frames.rate=0" in error_of(lambda: Frames(rate=0))
    assert "data.frames.normalization=speaker" in error_of(lambda: Frames(normalization="speaker"))
    assert "data.frames.hop_ms=0.01" in error_of(lambda: LogMel(8000, hop_ms=0.01))


# Requests


def test_requests_are_heard_as_training_was(folder, tmp_path):
    spec = ready(folder, frames=Frames(num_mels=10)).spec
    module = Speech(str(folder), spec=spec)
    of_folder = module.read_requests(str(folder))
    assert [request.line for request in of_folder] == list(range(1, 31))
    wavfile.write(tmp_path / "x.wav", 16000, tone(500, rate=16000))  # brought to 8000 samples a second
    (tmp_path / "list.txt").write_text("x.wav\nmissing.wav\twhatever\n\n")
    first, second = module.read_requests(str(tmp_path / "list.txt"))
    assert first.example.context.shape == (28, 10)
    assert first.example.inputs.tolist() == [spec["bos"]]
    assert second.example is None
    assert "line 2" in second.problem
    assert "missing.wav" in second.problem
    (alone,) = module.read_requests(str(tmp_path / "x.wav"))
    assert np.array_equal(alone.example.context, first.example.context)


def test_a_run_of_other_data_is_refused(folder):
    other = {"tokenizer": CharTokenizer().to_spec(), "context": {"kind": "classes"}}
    assert "the run was trained on something else" in error_of(lambda: ready(folder, spec=other))


def test_requests_tell_their_files(folder, tmp_path):
    module = Speech(str(folder), spec=ready(folder).spec)
    broken = tmp_path / "new"
    broken.mkdir()
    wavfile.write(broken / "a.wav", 8000, tone(500))
    (broken / "b.wav").write_bytes(b"no sound")
    first, second = module.read_requests(str(broken))
    assert [(request.line, request.file) for request in (first, second)] == [(1, "a.wav"), (2, "b.wav")]
    assert second.problem.startswith(f"{broken / 'b.wav'}: is no WAV file")
    (broken / "list.txt").write_text("a.wav\nb.wav\n")
    first, second = module.read_requests(str(broken / "list.txt"))
    assert (first.file, second.file) == (None, None)
    assert second.problem.startswith(f"{broken / 'list.txt'} line 2: {broken / 'b.wav'}: is no WAV file")
    (alone,) = module.read_requests(str(broken / "b.wav"))
    assert alone.problem.startswith(f"{broken / 'b.wav'}: is no WAV file")


def test_a_speaker_may_be_a_number(folder):
    for file in folder.iterdir():
        file.rename(folder / file.name.replace("ben", "3"))
    config = {"_target_": "seqmodels.data.Speech", "path": str(folder), "pattern": PATTERN, "test_speaker": 3}
    module = build(config, "data")
    module.setup()
    assert len(module.files["test"]) == 10
    assert all("_3_" in file.name for file in module.files["test"])
    assert "data.test_speaker=4" in error_of(lambda: ready(folder, test_speaker=4))


@pytest.mark.parametrize("range_db, silence", [(20.0, -2 * np.log(10)), (None, np.log(FLOOR))])
def test_what_is_masked_is_silence_where_frames_are_not_normalised(folder, range_db, silence):
    masks = nothing(time_mask=40, frequency_mask=20)
    frames = Frames(range_db=range_db, normalization="none")
    module = ready(folder, frames=frames, perturbation=masks, test_speaker="ben")
    plain = ready(folder, frames=frames, test_speaker="ben")
    (largest,) = {float(window.context.max()) for window in [next(iter(plain.evaluation_dataloader("train")))]}
    window = next(iter(module.train_dataloader()))
    rows = [row[:length].numpy() for row, length in zip(window.context, window.context_lengths.tolist(), strict=True)]
    hidden = [row[:, band] for row in rows for band in range(40) if np.ptp(row[:, band]) == 0]
    assert hidden
    assert all(np.allclose(band, silence) for band in hidden)
    assert max(row.max() for row in rows) <= max(largest, 5)
    for normalization in ("training", "utterance"):
        assert Frames(normalization=normalization).hidden == 0.0


def test_perturbed_recordings_never_have_fewer_steps_than_is_told():
    for speed in (0.1, 0.5, 1.0):
        changed = nothing(speed=speed)
        for steps in (1, 7, 30):
            frames, generator = np.zeros((steps, 2), np.float32), np.random.default_rng(0)
            found = [len(changed(frames, generator)) for _ in range(300)]
            assert min(found) >= changed.fewest_steps(steps)
            assert min(found) <= changed.fewest_steps(steps) + 1

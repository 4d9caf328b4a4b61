"""Every experiment that there is runs a few steps: on its embedded default, or on a small file in its format."""

import numpy as np
import pytest
from omegaconf.errors import MissingMandatoryValue
from scipy.io import wavfile

from seqmodels.commands.composing import compose, options
from seqmodels.training import train

# What would take long, and is not what is tested here.
SHORTER = {
    "tunes": ["task.measures.tunes.num_samples=2", "task.measures.tunes.length=20"],
    "class_lines": ["task.measures.verdict.num_samples=4", "task.measures.verdict.length=5"],
    "digits_pixels": ["data.batch_size=8"],
    "translation": ["data.batch_tokens=40"],
}


def folder_of_classes(folder):
    for name, words in {"one": "aba abba baa", "two": "cdc dcd ccd"}.items():
        (folder / f"{name}.txt").write_text("\n".join(f"{word}{'x' * n}" for word in words.split() for n in range(8)))
    return folder


def series(folder):
    head = "@problemName Toy\n@univariate false\n@classLabel true a b\n@data\n"
    for part in ("TRAIN", "TEST"):
        rows = [f"0.{n},0.2,0.3:1.{n},1.2,1.3:{'ab'[n % 2]}" for n in range(24)]
        (folder / f"Toy_{part}.ts").write_text(head + "\n".join(rows) + "\n")
    return folder / "Toy_TRAIN.ts"


def piano_rolls(folder):
    rolls = np.random.default_rng(0).integers(0, 2, (20, 9, 88))
    parts = {"train": rolls[:12], "val": rolls[12:16], "test": rolls[16:]}
    np.savez(folder / "rolls.npz", **{f"{part}_{n}": roll for part in parts for n, roll in enumerate(parts[part])})
    return folder / "rolls.npz"


def treebank(folder):
    for part, count in (("train", 30), ("dev", 6), ("test", 6)):
        lines = []
        for number in range(count):
            for place, (word, tag) in enumerate((("the", "DET"), (f"cat{number}", "NOUN"), ("sat", "VERB")), 1):
                lines.append("\t".join([str(place), word, word, tag, *"_" * 6]))
            lines.append("")
        (folder / f"en-ud-{part}.conllu").write_text("\n".join(lines) + "\n")
    return folder


def clips(folder):
    frames = np.random.default_rng(0).random((24, 4, 8, 8))
    np.savez(folder / "clips.npz", x=frames.astype(np.float32), y=np.arange(96).reshape(24, 4) % 3)
    return folder / "clips.npz"


def pairs(folder):
    for part, count in (("train", 24), ("val", 6)):
        (folder / f"{part}.de").write_text("".join(f"ein satz {'sehr ' * (n % 3)}kurz\n" for n in range(count)))
        (folder / f"{part}.en").write_text("".join(f"a {'very ' * (n % 3)}short sentence\n" for n in range(count)))
    return folder


def recordings(folder):
    rates = np.arange(2400) / 8000
    for number in range(36):
        digit, speaker, take = number % 3, ("ann", "bob")[number // 3 % 2], number // 6
        sound = np.sin(2 * np.pi * (300 + 400 * digit + take) * rates)
        wavfile.write(folder / f"{digit}_{speaker}_{take}.wav", 8000, (8000 * sound).astype(np.int16))
    return folder


FILES = {
    "basic_motions": series,
    "chorales": piano_rolls,
    "class_lines": folder_of_classes,
    "clips": clips,
    "japanese_vowels": series,
    "names": folder_of_classes,
    "partut": treebank,
    "spoken_digits": recordings,
    "spoken_digits_ctc": recordings,
    "translation": pairs,
    "tiny_shakespeare": None,
    "tiny_shakespeare_large": None,
}


@pytest.mark.parametrize("name", options("experiment"))
def test_an_experiment_runs_a_few_steps(name, corpus, tmp_path):
    size = "model.encoder.hidden_size=8" if name == "spoken_digits_ctc" else "model.hidden_size=8"
    overrides = [
        f"experiment={name}",
        "debug=fast",
        "trainer=cpu",
        size,
        f"output_dir={tmp_path / 'outputs'}",
        *SHORTER.get(name, []),
    ]
    if name in FILES:
        make = FILES[name]
        overrides.append(f"data.path={make(tmp_path) if make else corpus}")
        overrides += ["data.batch_size=4"] if make else ["data.batch_size=2", "tbptt.k1=8", "tbptt.k2=8"]
    outcome = train(compose(overrides))
    assert outcome.results["train/steps"] == 3
    assert outcome.run.parent.name == name.rpartition("/")[2]
    assert any(figure.startswith(("val/", "test/")) for figure in outcome.results)


def test_those_that_need_a_file_say_so():
    for name in options("experiment"):
        if name in FILES and FILES[name] is not None:
            with pytest.raises(MissingMandatoryValue, match=r"data\.path"):
                compose([f"experiment={name}"])
    assert len(options("experiment")) > 25

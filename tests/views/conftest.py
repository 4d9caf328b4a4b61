"""Small untrained models of every task, to be looked at."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from seqmodels.analysis import watchable
from seqmodels.building import build
from seqmodels.commands.composing import compose
from seqmodels.evaluation import build_task
from seqmodels.runs import build_model
from seqmodels.views import Subject, examples_of

SMALL = ["data.batch_size=4", "trainer=cpu", "model.hidden_size=8"]
KINDS = {
    "language_model": ["data=text_file", "model.embedding_size=6", "model.num_layers=2"],
    "native_language_model": ["data=text_file", "model.embedding_size=6", "cell=native_gru"],
    "lines": ["experiment=lines", "model.embedding_size=6"],
    "classifier": ["experiment=digits_rows"],
    "text_classifier": ["experiment=sentiment"],
    "word_tagger": ["experiment=partut", "model.num_layers=1"],
    "tagger": ["experiment=tagging", "data.train_size=80", "data.test_size=20"],
    "encoder_decoder": ["experiment=reversal", "model.encoder.hidden_size=8", "data.num_pairs=80"],
    "transcriber": ["experiment=spoken_digits_ctc", "model.encoder.hidden_size=8", "data.test_speaker=bob"],
    "forecaster": ["experiment=sunspots"],
}


@pytest.fixture(scope="session", params=KINDS)
def kind(request):
    """Each kind of subject in turn."""
    return request.param


@pytest.fixture(scope="session")
def tagged(tmp_path_factory):
    """Sentences of tagged words."""
    path = tmp_path_factory.mktemp("tagged") / "train.conllu"
    words = [("The", "DET"), ("owl", "NOUN"), ("sees", "VERB"), ("a", "DET"), ("mouse", "NOUN"), (".", "PUNCT")]
    lines = [f"{n}\t{word}\t_\t{tag}" + "\t_" * 6 for n, (word, tag) in enumerate(words, 1)]
    path.write_text(("\n".join(lines) + "\n\n") * 30)
    return path


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Tones as spoken digits of two speakers."""
    folder = tmp_path_factory.mktemp("recordings")
    for speaker, shift in (("ann", 1.0), ("bob", 1.2)):
        for digit in range(3):
            for take in range(4):
                times = np.arange(4000) / 8000
                tone = np.sin(2 * np.pi * 300 * (digit + 1) * shift * times) * 8000
                wavfile.write(folder / f"{digit}_{speaker}_{take}.wav", 8000, tone.astype(np.int16))
    return folder


@pytest.fixture(scope="session")
def make_subject(corpus, recordings, tagged):
    """Makes a subject: `make_subject("classifier", "cell=gru", count=2, steps=60)`."""

    def make(kind, *overrides, count=3, steps=60):
        path = {"language_model": corpus, "native_language_model": corpus, "lines": corpus, "transcriber": recordings}
        path["word_tagger"] = tagged
        given = [f"data.path={path[kind]}"] if kind in path else []
        small = [key for key in SMALL if not (kind == "transcriber" and key.startswith("model"))]
        config = compose([*KINDS[kind], *small, *given, *overrides])
        torch.manual_seed(config["seed"])
        data = build(config["data"], "data", spec=None)
        data.setup("fit")
        model = build_model(config, data.spec)
        untrained = watchable(build_model(config, data.spec))
        task = build_task(config, watchable(model), data.spec).eval()
        split = "test" if "test" in data.splits else "val"
        examples = examples_of(data.evaluation_dataloader(split), data.spec, count, steps)
        return Subject(task, data.spec, examples, f"{split} part", untrained)

    return make


@pytest.fixture(scope="session")
def subjects(make_subject):
    """One subject of each kind, made when it is asked for: `subjects["tagger"]`."""

    class Subjects(dict):
        def __missing__(self, kind):
            self[kind] = make_subject(kind)
            return self[kind]

    return Subjects()

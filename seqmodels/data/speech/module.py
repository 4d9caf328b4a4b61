"""Speech to be put into words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqmodels.data.conditioned import ConditionedConfig, ConditionedData, Text, encode_request, encode_text
from seqmodels.data.examples import Example, GeneratedExamples, load_examples
from seqmodels.data.formats.lines import numbered_lines
from seqmodels.data.module import Loaded, Request
from seqmodels.data.speech.frames import Frames
from seqmodels.data.speech.perturbation import Perturbation, Perturbed
from seqmodels.data.speech.recordings import Recording, list_recordings, wav_files
from seqmodels.data.splits import split_parts
from seqmodels.data.tokenizers import Tokenizer, WordTokenizer, tokenizer_from_spec
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


class Speech(ConditionedData):
    """The user's recordings and what is said in them, as sequence to sequence: frames become words.

    Args:
        path: The folder of WAV files, of any rate, in integers or floats, mono or not.
        transcripts: A file with, in each line, a recording's file, a tab, what is said and maybe a tab and the speaker;
            `transcripts.tsv` in the folder where left out.
        pattern: Where given, there is no such file: this regular expression fits the name of every WAV file, and its
            group `label` is what is said, its group `speaker`, if any, who says it.
        words: What is said for each label of `pattern`; the labels themselves where left out.
        frames: What is heard of a recording.
        perturbation: What is done to recordings in training, where each epoch draws as many as there are, with
            replacement; nothing, and each once, where left out.
        test_speaker: All that this speaker says is for the final test, and `test_fraction` of no account.
        val_fraction: Share of the other recordings, drawn with `seed`, that is for validation; of every text alike,
            where each is said often enough.
        test_fraction: Share of the recordings that is for the final test, drawn likewise.
        tokenizer: Makes tokens of text; words where left out.
        batch_size: Recordings in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole texts where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose vocabulary and frames are used.

    Attributes:
        files: The recordings of "train", "val" and "test", in the order of the examples; there after `setup`.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    files: dict[str, list[Path]]

    def __init__(
        self,
        path: str,
        transcripts: str | None = None,
        pattern: str | None = None,
        words: dict[str, str] | None = None,
        frames: Frames | None = None,
        perturbation: Perturbation | None = None,
        test_speaker: int | str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        made = tokenizer or WordTokenizer()
        config = ConditionedConfig(made, batch_size, tbptt, seed, spec, val_fraction, test_fraction)
        super().__init__(config, num_workers)
        self.path, self.transcripts, self.pattern, self.words = path, transcripts, pattern, words
        self.frames = frames or Frames()
        self.perturbation = perturbation
        self.test_speaker = None if test_speaker is None else str(test_speaker)

    def load(self) -> Loaded:
        """Reads the files."""
        parts = self._split(list_recordings(self.path, self.transcripts, self.pattern, self.words))
        self.files = {part: [recording.file for recording in chosen] for part, chosen in parts.items()}
        frames = self.frames.fitted(self.files["train"]) if self.config.spec is None else _frames_of(self.config.spec)
        texts = {
            part: [Text(recording.text, frames.read(recording.file)) for recording in chosen]
            for part, chosen in parts.items()
        }
        self.training_texts = texts["train"]
        tokenizer = self._fitted(texts["train"])
        examples: dict[str, Sequence[Example]] = {
            part: [encode_text(text, tokenizer) for text in chosen] for part, chosen in texts.items()
        }
        loaded = self._load(tokenizer, examples, texts, frames.to_spec(), "sequence_to_sequence")
        if self.perturbation is None:
            return loaded
        drawn = Perturbed(examples["train"], self.perturbation, frames.hidden)
        training = {"train": GeneratedExamples(drawn, self.config.seed, "train", len(examples["train"]))}
        changed = load_examples(loaded.spec, training, self.config.batch_size, self.config.tbptt, self.config.seed)
        return replace(loaded, training=changed.training)  # what is measured stays as it was recorded

    def _split(self, recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
        """Shares recordings out; parts that have none are left out."""
        rest, test = list(recordings), []
        if self.test_speaker is not None:
            test = [recording for recording in recordings if recording.speaker == self.test_speaker]
            rest = [recording for recording in recordings if recording.speaker != self.test_speaker]
            if not test or not rest:
                names = sorted({recording.speaker for recording in recordings if recording.speaker})
                there_are = f"there are {', '.join(names)}" if names else "the recordings tell of no speaker"
                raise UserError(
                    f"data.test_speaker={self.test_speaker}: expected a speaker of data.path={self.path}, one of "
                    f"several, or null; {there_are}"
                )
        shares = {"val": self.config.val_fraction, "test": 0.0 if test else self.config.test_fraction}
        texts = [recording.text for recording in rest]
        alike = min(Counter(texts).values()) > sum(share > 0 for share in shares.values())
        numbers = split_parts(
            len(rest), shares["val"], shares["test"], self.config.seed, classes=texts if alike else None
        )
        parts = {part: [rest[number] for number in chosen] for part, chosen in numbers.items()}
        parts["test"] += test
        return {part: chosen for part, chosen in parts.items() if chosen}

    def read_requests(self, path: str) -> list[Request]:
        """Reads the recordings to put into words: a WAV file, all of a folder, or those that lines begin with."""
        spec = self.config.spec
        if spec is None:
            raise UserError(f"input={path}: only a trained run can write")
        place, heard = Path(path).expanduser(), (_frames_of(spec), tokenizer_from_spec(spec["tokenizer"]))
        if place.is_dir():
            named = enumerate(wav_files(place), 1)
            return [_request(number, file, *heard)._replace(file=file.name) for number, file in named]
        if place.suffix.lower() == ".wav":
            return [_request(1, place, *heard)]
        lines = ((number, line.partition("\t")[0].strip()) for number, line in numbered_lines(place))
        listed = [(number, place.parent / name) for number, name in lines if name]
        return [_request(number, file, *heard, f"{place} line {number}: ") for number, file in listed]

    def read_source(self, source: str) -> Example:
        """Makes an example of a WAV file."""
        if self.config.spec is None:
            raise UserError(f"source={source}: only a trained run can write")
        frames = _frames_of(self.config.spec).read(Path(source).expanduser())
        return encode_request(frames, tokenizer_from_spec(self.config.spec["tokenizer"]))


def _request(number: int, file: Path, frames: Frames, tokenizer: Tokenizer, where: str = "") -> Request:
    try:
        return Request(number, encode_request(frames.read(file), tokenizer))
    except UserError as error:
        return Request(number, None, f"{where}{error}")


def _frames_of(spec: Mapping[str, Any]) -> Frames:
    """Returns how an earlier run made its frames."""
    context = spec.get("context") or {}
    if context.get("kind") != "frames":
        raise UserError("data: these are recordings, and the run was trained on something else")
    return Frames.from_spec(context)

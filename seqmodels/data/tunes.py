"""Tunes in ABC notation, conditioned on their rhythm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.conditioned import ConditionedConfig, ConditionedData, Text, class_requests, class_spec
from seqmodels.data.examples import PARTS
from seqmodels.data.files import find_files, read_text
from seqmodels.data.formats.abc import Tune, split_tunes
from seqmodels.data.module import Loaded, Request
from seqmodels.data.splits import split_parts, with_all_classes_in_training
from seqmodels.data.synthetic.tunes import MAX_LENGTH, RHYTHMS, compose_tune
from seqmodels.data.tokenizers import CharTokenizer, Tokenizer
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

KEPT_FIELDS = "XMLK"
"""The fields of a header that are part of what is written: those without which the music cannot be read."""
OTHER = "other"
"""The class of tunes that lack the field that classes are taken from."""


class Tunes(ConditionedData):
    """Tunes in ABC notation to be written, given their class.

    What is written of a tune is its body and, of its header, the number (1 in all of them), metre, unit and key: not
    titles and sources, which are no music, nor the rhythm, which is given.

    Args:
        path: The user's ABC file, several, or a folder of `.abc` files; generated tunes of four rhythms where left out.
        class_field: The field that tells a tune's class; where left out `R`, or `M` in files where no tune has that.
        num_tunes: How many are generated: of them what is not for validation or test is the length of an epoch, which
            draws others each time.
        val_fraction: Share of the tunes, drawn with `seed`, that is for validation. A class that training would never
            show, such as a rhythm of one tune, is in no part but that of training.
        test_fraction: Share of the tunes that is for the final test, likewise.
        tokenizer: Makes tokens of text; characters where left out.
        batch_size: Tunes in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole tunes where left out.
        seed: Of the split, of the order of batches and of what is generated.
        spec: From an earlier run, whose vocabulary and classes are used.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    def __init__(
        self,
        path: str | list[str] | None = None,
        class_field: str | None = None,
        num_tunes: int = 1500,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        made = tokenizer or CharTokenizer()
        config = ConditionedConfig(made, batch_size, tbptt, seed, spec, val_fraction, test_fraction)
        super().__init__(config, num_workers)
        if class_field is not None and not (len(class_field) == 1 and class_field.isalpha()):
            raise UserError(f"data.class_field={class_field}: expected the letter of a field, such as R, or null")
        if num_tunes < 1:
            raise UserError(f"data.num_tunes={num_tunes}: expected an integer of at least 1")
        self.path, self.class_field, self.num_tunes = path, class_field, num_tunes

    def load(self) -> Loaded:
        """Reads the files, or draws the tunes."""
        if self.path is None:
            write = dict.fromkeys(PARTS, write_tune)
            return self.generated(write, self.num_tunes, MAX_LENGTH, class_spec(RHYTHMS, field="R"))
        files = find_files(self.path, "**/*.abc", glob_key=None)
        tunes = [tune for file in files for tune in _read(file)]
        context = (self.config.spec or {}).get("context") or self._context([tune for _, tune in tunes])
        texts = [Text(text_of(tune), _class_of(file, tune, context)) for file, tune in tunes]
        config, classes = self.config, [int(text.context) for text in texts]
        drawn = split_parts(len(texts), config.val_fraction, config.test_fraction, config.seed)
        return self.listed(texts, context, with_all_classes_in_training(drawn, classes))

    def read_requests(self, path: str) -> list[Request]:
        """Reads the class of a tune to be written from each line of a file."""
        return class_requests(path, self.config.spec)

    def _context(self, tunes: Sequence[Tune]) -> dict[str, Any]:
        field = self.class_field or ("R" if any("R" in tune.fields for tune in tunes) else "M")
        found = {_value(tune, field) for tune in tunes}
        if found == {OTHER}:
            raise UserError(f"data.class_field={field}: no tune has this field; expected one such as R or M")
        return class_spec(sorted(found), field=field)


def _read(file: Path) -> list[tuple[Path, Tune]]:
    tunes = split_tunes("".join(read_text(file)))
    if not tunes:
        raise UserError(f"{file}: there is no tune; expected ABC notation, in which a tune begins with a line X:1")
    for tune in tunes:
        if "K" not in tune.fields:
            raise UserError(f"{file}: line {tune.line}: this tune has no field K:, which its music begins after")
    return [(file, tune) for tune in tunes]


def _value(tune: Tune, field: str) -> str:
    value = tune.fields.get(field, "").strip()
    return (value.lower() if field == "R" else value) or OTHER


def _class_of(file: Path, tune: Tune, context: dict[str, Any]) -> np.ndarray:
    name, classes = _value(tune, context["field"]), context["classes"]
    if name not in classes:
        shown = f"{context['field']}:{name}"
        raise UserError(f"{file}: line {tune.line}: {shown} is no class of this run; there are {', '.join(classes)}")
    return np.array(classes.index(name), np.int64)


def text_of(tune: Tune) -> str:
    r"""Returns what is written of a tune.

    Example:
        >>> text_of(Tune(1, "X:12\nT:A tune\nR:jig\nM:6/8\nK:D\nDFA d3|"))
        'X:1\nM:6/8\nK:D\nDFA d3|'
    """
    header = tune.text.removesuffix(tune.body).rstrip("\n").split("\n")
    kept = [line for line in header[1:] if line[:1] in KEPT_FIELDS and line[1:2] == ":"]
    return "\n".join(["X:1", *kept, tune.body])


def write_tune(generator: np.random.Generator) -> Text:
    """Draws a tune with its rhythm."""
    rhythm, tune = compose_tune(generator)
    return Text(text_of(Tune(1, tune)), np.array(list(RHYTHMS).index(rhythm), np.int64))

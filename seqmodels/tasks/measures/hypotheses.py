"""Measures of texts that a model writes, held against what people wrote."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from seqmodels.data import IGNORE_INDEX, Tokenizer, Window, tokenizer_from_spec
from seqmodels.decoding import (
    BeamSearch,
    Constraints,
    Sampling,
    TextWriter,
    Writing,
    likeliest_path,
    prefix_beam_search,
)
from seqmodels.errors import UserError
from seqmodels.tasks.measures.edits import error_rate
from seqmodels.tasks.measures.measure import Measure

TOKENIZERS = ("13a", "none", "intl", "char", "zh")
"""How sacrebleu parts words, of what it knows without further packages or downloads."""

NUM_SHOWN = 20
"""How many texts of an evaluation are shown in a table."""


class TextComparison(Measure):
    """Texts beside their references; a subclass gives `write`.

    - `exact_match`: the share that is the reference, letter by letter.
    - `bleu`, `chrf`: of the whole part, from 0 to 100, by sacrebleu (Papineni et al. 2002; Popović 2015, "chrF:
      character n-gram F-score for automatic MT evaluation"; Post 2018, "A call for clarity in reporting BLEU scores");
      what was computed, in its terms, is told by `signatures`.
    - `wer`, `cer`: edits of the whole part for each word, and each character, of its references; words are what spaces
      part.

    Args:
        spec: Of the data.
        tokenize: How sacrebleu parts words: "none" takes them as given, parted by spaces.
        effective_order: Whether BLEU leaves out orders of n-grams that no text is long enough for.

    Raises:
        ValueError: Where `tokenize` is unknown.
    """

    FIGURES: ClassVar[tuple[str, ...]] = ("exact_match", "bleu", "chrf", "wer", "cer")

    def __init__(self, spec: Mapping[str, Any], tokenize: str = "13a", effective_order: bool = False):
        if tokenize not in TOKENIZERS:
            raise ValueError(f"tokenize={tokenize}: expected one of {', '.join(TOKENIZERS)}")
        self.tokenizer = tokenizer_from_spec(spec["tokenizer"])
        source = (spec.get("context") or {}).get("tokenizer")
        self.source_tokenizer: Tokenizer | None = None if source is None else tokenizer_from_spec(source)
        self.tokenize, self.effective_order = tokenize, effective_order
        self.clear()

    @abstractmethod
    def write(self, described: Mapping[str, Tensor], window: Window) -> list[str]:
        """Returns a text for each row of a batch; arguments as for `update`."""

    def clear(self) -> None:
        """Starts anew."""
        self.sources: list[str] = []
        self.hypotheses: list[str] = []
        self.references: list[str] = []
        self._signatures: dict[str, str] = {}

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Writes a text for each row, and keeps it beside its source and its reference."""
        self.hypotheses += self.write(described, window)
        words = window.words or ((),) * len(window.targets)
        self.references += window.references or [
            self.tokenizer.extended(beyond).decode(row[row != IGNORE_INDEX].tolist())
            for row, beyond in zip(window.targets, words, strict=True)
        ]
        if self.source_tokenizer is not None and window.context is not None and window.context_lengths is not None:
            rows = zip(window.context.tolist(), window.context_lengths.tolist(), words, strict=True)
            self.sources += [self.source_tokenizer.extended(beyond).decode(row[:end]) for row, end, beyond in rows]

    def compute(self) -> dict[str, float]:
        """Returns the figures."""
        if not self.hypotheses:
            return dict.fromkeys(self.FIGURES, float("nan"))
        pairs = list(zip(self.hypotheses, self.references, strict=True))
        scores = {name: scorer.corpus_score(self.hypotheses, [self.references]).score for name, scorer in self._scorers}
        self._signatures = {name: str(scorer.get_signature()) for name, scorer in self._scorers}
        return {
            "exact_match": sum(hypothesis == reference for hypothesis, reference in pairs) / len(pairs),
            **scores,
            "wer": error_rate([text.split() for text in self.hypotheses], [text.split() for text in self.references]),
            "cer": error_rate(self.hypotheses, self.references),
        }

    def signatures(self) -> dict[str, str]:
        """Returns what sacrebleu calls the "bleu" and "chrf" that were computed; none before that."""
        return self._signatures

    def tables(self) -> dict[str, str]:
        """Returns a table of some sources, references and hypotheses, with the signatures of its figures."""
        if not self.hypotheses:
            return {}
        columns = {"source": self.sources, "target": self.references, "hypothesis": self.hypotheses}
        # Evaluation may go from short texts to long ones: what is shown is taken from all of it.
        places = np.linspace(0, len(self.hypotheses) - 1, min(NUM_SHOWN, len(self.hypotheses))).round().astype(int)
        shown = {name: [texts[place] for place in places] for name, texts in columns.items() if texts}
        lines = [" | ".join(shown), " | ".join("---" for _ in shown)]
        lines += [" | ".join(_cell(text) for text in row) for row in zip(*shown.values(), strict=True)]
        told = [f"{name}: {signature}" for name, signature in self.signatures().items()]
        return {"hypotheses": "\n".join([*(f"| {line} |" for line in lines), "", *told])}

    @cached_property
    def _scorers(self) -> list[tuple[str, Any]]:
        from sacrebleu.metrics import BLEU, CHRF  # it takes a while, and not every run measures texts

        given = self.tokenize == "none"  # it would warn of texts that are parted into tokens already
        bleu = BLEU(tokenize=self.tokenize, effective_order=self.effective_order, force=given)
        return [("bleu", bleu), ("chrf", CHRF())]


def _cell(text: str) -> str:
    """Returns a text as a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ") or " "


class Hypotheses(TextComparison):
    """What a model writes token by token, each the likeliest after those before it, or what a beam search finds.

    Args:
        model: The language model, conditioned on something.
        spec: Of its data.
        length: Tokens of a text at most.
        tokenize: See `TextComparison`.
        effective_order: See `TextComparison`.
        warm_start: How many tokens of the reference are given first.
        beam_size: Hypotheses of a beam search; 1 takes the likeliest token at each step.
        length_penalty: Of a search, see `BeamSearch`.

    Raises:
        ValueError: Where a value is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: Mapping[str, Any],
        length: int = 100,
        tokenize: str = "13a",
        effective_order: bool = False,
        warm_start: int = 0,
        beam_size: int = 1,
        length_penalty: float = 0.0,
    ):
        super().__init__(spec, tokenize, effective_order)
        if length < 1:
            raise ValueError(f"length={length}: expected at least 1")
        if warm_start < 0:
            raise ValueError(f"warm_start={warm_start}: expected at least 0")
        if beam_size > self.tokenizer.vocab_size:
            raise ValueError(
                f"beam_size={beam_size}: expected at most {self.tokenizer.vocab_size}, the size of the vocabulary"
            )
        self.writer = TextWriter.from_spec(model, spec)
        self.length, self.warm_start = length, warm_start
        try:
            self.search_by(BeamSearch(beam_size, length_penalty))
        except UserError as error:  # for whom it builds to tell where the key stands
            raise ValueError(str(error)) from error

    def search_by(self, search: BeamSearch) -> None:
        """Has texts searched for; with a beam of 1 each step takes the likeliest token.

        Raises:
            UserError: Where lengths are to count for what is not searched for.
        """
        if search.beam_size == 1 and search.length_penalty:
            raise UserError(
                f"length_penalty={search.length_penalty}: says something of a beam search; give a beam_size above 1 too"
            )
        self.decoding: Sampling | BeamSearch = Sampling(0) if search.beam_size == 1 else search

    def write(self, described: Mapping[str, Tensor], window: Window) -> list[str]:
        """Returns a text for each context."""
        assert window.context is not None
        given = [row[row != IGNORE_INDEX][: self.warm_start].tolist() for row in window.targets]
        return self.writer.knowing(window.words).write(
            None,
            self.length,
            self.decoding,
            len(window.context),
            contexts=window.context,
            context_lengths=window.context_lengths,
            constraints=Constraints(prefix=given) if self.warm_start else None,
        )


class Transcripts(TextComparison):
    """What a model of connectionist temporal classification reads in its sources, see `seqmodels.decoding.ctc`.

    Args:
        spec: Of the data, whose "bos" is the blank.
        beam_size: Labellings that are kept at each step; 1 takes the likeliest path.
        tokenize: See `TextComparison`.
        effective_order: See `TextComparison`.

    Raises:
        ValueError: Where a value is out of range.
    """

    def __init__(
        self, spec: Mapping[str, Any], beam_size: int = 10, tokenize: str = "13a", effective_order: bool = False
    ):
        super().__init__(spec, tokenize, effective_order)
        if beam_size < 1:
            raise ValueError(f"beam_size={beam_size}: expected at least 1")
        self.blank, self.beam_size = int(spec["bos"]), beam_size

    def search_by(self, search: BeamSearch) -> None:
        """Has labellings searched for.

        Raises:
            UserError: Where the search knows more than the size of a beam.
        """
        self.beam_size = Writing(search).beam_of_labels() or self.beam_size

    def write(self, described: Mapping[str, Tensor], window: Window) -> list[str]:
        """Returns a text for each source."""
        logs = described["probabilities"].log()
        if self.beam_size == 1:
            found = likeliest_path(logs, None, self.blank)
        else:
            found = [row[0].labels for row in prefix_beam_search(logs, None, self.blank, self.beam_size)]
        return [self.tokenizer.decode(labels) for labels in found]

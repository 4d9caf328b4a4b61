"""Measures of written texts: edits against their definition, the figures of texts by hand, tables, signatures."""

import itertools
from functools import cache

import numpy as np
import pytest
import sacrebleu
import torch

from seqmodels.data import CharTokenizer, Example, WordTokenizer
from seqmodels.data.examples import Form, collate
from seqmodels.tasks import TextComparison, Transcripts
from seqmodels.tasks.measures.edits import edit_distance, error_rate

PAIRS = [("the cat sat", "the cat sat"), ("a dog", "a big dog"), ("the the cat", "the cat sat"), ("", "dog")]


@cache
def by_definition(found, reference):
    """The least number of edits, by trying each first one."""
    if not found or not reference:
        return len(found) + len(reference)
    return min(
        by_definition(found[1:], reference[1:]) + (found[0] != reference[0]),
        by_definition(found[1:], reference) + 1,
        by_definition(found, reference[1:]) + 1,
    )


def test_edits_are_the_fewest_there_can_be():
    texts = ["".join(letters) for length in range(5) for letters in itertools.product("ab", repeat=length)]
    for found, reference in itertools.product(texts[::2], texts):
        assert edit_distance(found, reference) == by_definition(found, reference)
    draw = np.random.default_rng(0)
    for _ in range(50):
        found, reference = ("".join(draw.choice([*"abc"], draw.integers(0, 9))) for _ in range(2))
        assert edit_distance([*found], [*reference]) == by_definition(found, reference)


def test_error_rates_are_of_all_references_together():
    assert error_rate([["a"], []], [["b"], ["c", "d", "e"]]) == 1.0
    assert error_rate([["a", "b", "c"]], [["a"]]) == 2.0
    assert np.isnan(error_rate([["a"]], [[]]))


class Written(TextComparison):
    """Texts that are given."""

    def __init__(self, spec, texts, **settings):
        super().__init__(spec, **settings)
        self.texts = iter(texts)

    def write(self, described, window):
        return [next(self.texts) for _ in window.targets]


def spec_of(tokenizer, sources=None):
    tokenizer.fit(reference for _, reference in PAIRS)
    tokenizer.add_special_tokens(["<bos>", "<eos>"])
    spec = {
        "tokenizer": tokenizer.to_spec(),
        "bos": tokenizer.special_id("<bos>"),
        "eos": tokenizer.special_id("<eos>"),
    }
    if sources is not None:
        sources.fit(["AB|"])
        sources.add_special_tokens(["<eos>"])
        spec["context"] = {"kind": "tokens", "tokenizer": sources.to_spec()}
    return spec


def compared(**settings):
    tokenizer, sources = WordTokenizer(), CharTokenizer()
    spec = spec_of(tokenizer, sources)
    measure = Written(spec, [hypothesis for hypothesis, _ in PAIRS], **settings)
    examples = []
    for number, (_, reference) in enumerate(PAIRS):
        ids = [spec["bos"], *tokenizer.encode(reference).tolist(), spec["eos"]]
        source = np.array([*sources.encode("A|B"[: number + 1]), sources.special_id("<eos>")], np.int64)
        examples.append(Example(np.array(ids[:-1]), np.array(ids[1:]), source))
    for batch in (examples[:3], examples[3:]):
        measure.update({}, collate(batch, form=Form(context=True)))
    return measure


def test_the_figures_of_texts():
    figures = compared().compute()
    hypotheses, references = [a for a, _ in PAIRS], [b for _, b in PAIRS]
    assert figures["exact_match"] == 0.25
    assert figures["wer"] == (0 + 1 + 2 + 1) / (3 + 3 + 3 + 1)
    assert figures["cer"] == (0 + 4 + by_definition("the the cat", "the cat sat") + 3) / (11 + 9 + 11 + 3)
    assert figures["bleu"] == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score)
    assert figures["chrf"] == pytest.approx(sacrebleu.corpus_chrf(hypotheses, [references]).score)
    assert list(figures) == list(TextComparison.FIGURES)


def test_signatures_tell_how_words_were_parted():
    measure = compared(tokenize="none", effective_order=True)
    assert measure.signatures() == {}  # nothing was computed yet
    measure.compute()
    assert "tok:none" in measure.signatures()["bleu"]
    assert "eff:yes" in measure.signatures()["bleu"]
    assert measure.signatures()["chrf"].startswith("nrefs:1|case:mixed")


def test_the_table_has_a_row_for_each_text():
    measure = compared()
    measure.compute()
    lines = measure.tables()["hypotheses"].splitlines()
    assert lines[0] == "| source | target | hypothesis |"
    assert lines[2] == "| A | the cat sat | the cat sat |"
    assert lines[3] == "| A\\| | a big dog | a dog |"
    assert lines[5] == "| A\\|B | dog |   |"
    assert lines[7].startswith("bleu: nrefs:1")
    measure.clear()
    assert measure.tables() == {}
    assert all(np.isnan(value) for value in measure.compute().values())


def test_unknown_ways_to_part_words_are_refused():
    with pytest.raises(ValueError, match="tokenize=spm: expected one of 13a, none"):
        compared(tokenize="spm")
    with pytest.raises(ValueError, match="beam_size=0"):
        Transcripts(spec_of(WordTokenizer()), beam_size=0)


@pytest.mark.parametrize(("beam_size", "text"), [(1, ""), (4, "cat")])
def test_transcripts_are_read_from_what_each_step_says(beam_size, text):
    tokenizer = WordTokenizer()
    spec = spec_of(tokenizer)
    measure = Transcripts(spec, beam_size=beam_size)
    probabilities = torch.zeros(1, 3, tokenizer.vocab_size)
    probabilities[0, :2, spec["bos"]] = 0.6
    probabilities[0, :2, int(tokenizer.encode("cat")[0])] = 0.4
    probabilities[0, 2, spec["bos"]] = 1.0  # behind the end
    example = Example(np.array([spec["bos"]]), np.array([spec["eos"]]))
    measure.update({"probabilities": probabilities}, collate([example]))
    assert measure.hypotheses == [text]

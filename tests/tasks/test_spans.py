import pytest

from seqmodels.tasks.measures.spans import are_span_tags, score_spans, spans_of

# By hand from the definition, and held once against seqeval 1.2.2, with 30,000 random lists of all prefixes beside them.
CASES = [
    ("O O", []),
    ("B-A I-A O B-B", [("A", 0, 1), ("B", 3, 3)]),  # IOB2
    ("I-A I-A B-A O I-B", [("A", 0, 1), ("A", 2, 2), ("B", 4, 4)]),  # IOB
    ("I-A E-A I-A I-A", [("A", 0, 1), ("A", 2, 3)]),  # IOE
    ("S-A S-A B-A E-A O S-B", [("A", 0, 0), ("A", 1, 1), ("A", 2, 3), ("B", 5, 5)]),  # IOBES
    ("B-A I-B", [("A", 0, 0), ("B", 1, 1)]),  # another type
    ("I-A S-A I-A", [("A", 0, 0), ("A", 1, 1), ("A", 2, 2)]),
    ("E-A E-A", [("A", 0, 0), ("A", 1, 1)]),
    ("O E-A", [("A", 1, 1)]),
    ("B I E O", [("_", 0, 2)]),
    ("B-A-X I-A-X", [("A-X", 0, 1)]),
]


def tags(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize(("text", "spans"), CASES)
def test_spans(text: str, spans: list[tuple[str, int, int]]) -> None:
    assert spans_of(tags(text)) == spans


def test_scores_count_over_all_sentences() -> None:
    true = [["B-A", "I-A", "O", "B-B"], ["O", "O", "B-A"], ["B-B", "I-B"]]
    predicted = [["B-A", "I-A", "O", "B-A"], ["O", "B-A", "I-A"], ["B-B", "I-B"]]
    scores = score_spans(predicted, true)
    assert (scores.found, scores.true, scores.correct) == (4, 4, 2)
    scores = score_spans([["B-A", "B-A"], ["O"]], [["B-A", "I-A"], ["B-B"]])
    assert (scores.precision, scores.recall, scores.f1) == (0.0, 0.0, 0.0)
    scores = score_spans([["S-A", "S-A", "S-A"]], [["S-A", "O", "O"]])
    assert (scores.precision, scores.recall, scores.f1) == (1 / 3, 1.0, 0.5)


def test_no_spans_score_zero() -> None:
    scores = score_spans([["O"]], [["O"]])
    assert (scores.precision, scores.recall, scores.f1) == (0.0, 0.0, 0.0)


def test_a_span_does_not_reach_into_the_next_sentence() -> None:
    assert score_spans([["B-A"], ["I-A"]], [["B-A"], ["I-A"]]).true == 2


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="predicted=1 tags: expected 2"):
        score_spans([["O"]], [["O", "O"]])
    with pytest.raises(ValueError):
        score_spans([["O"]], [["O"], ["O"]])


@pytest.mark.parametrize(
    ("labels", "are"),
    [
        (["O", "B-PER"], True),
        (["B", "I", "O"], True),
        (["O"], False),
        (["NOUN", "O"], False),
        (["SCONJ", "B-X"], False),
        (["", "O"], False),
        ([], False),
    ],
)
def test_which_tags_mark_spans(labels: list[str], are: bool) -> None:
    assert are_span_tags(labels) is are

"""How far one sequence is from another."""

from collections.abc import Hashable, Sequence


def edit_distance(found: Sequence[Hashable], reference: Sequence[Hashable]) -> int:
    """Returns how many insertions, deletions and substitutions at least make one of the other.

    Levenshtein 1966, "Binary codes capable of correcting deletions, insertions, and reversals", by the table of Wagner
    and Fischer 1974, a row at a time.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance(["one", "two"], ["two"])
        (3, 1)
    """
    if found == reference:
        return 0
    row = list(range(len(found) + 1))
    for count, item in enumerate(reference, 1):
        diagonal, row[0] = row[0], count
        for place, other in enumerate(found, 1):
            best = min(diagonal + (other != item), row[place] + 1, row[place - 1] + 1)
            diagonal, row[place] = row[place], best
    return row[-1]


def error_rate(found: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> float:
    """Returns the edits of all sequences for each item of the references: 0 where all are right, and maybe above 1.

    Returns:
        NaN where the references have no items.

    Example:
        >>> error_rate([["a", "b"], ["c"]], [["a"], ["c", "d", "e"]])
        0.75
    """
    total = sum(len(reference) for reference in references)
    edits = sum(edit_distance(one, reference) for one, reference in zip(found, references, strict=True))
    return edits / total if total else float("nan")

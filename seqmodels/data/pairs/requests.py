"""Source texts that something is to be made of."""

from collections.abc import Iterator
from pathlib import Path

from seqmodels.data.examples import Example
from seqmodels.data.formats.lines import lenient_lines, undecodable
from seqmodels.data.formats.pairs import is_headed
from seqmodels.data.labelled.reading import TextRow, read_texts_to_label
from seqmodels.data.module import Request
from seqmodels.data.pairs.encoding import PairTokenizers
from seqmodels.data.pairs.limits import LengthLimits
from seqmodels.errors import UserError


def read_sources(path: str, column: str | None = None) -> Iterator[TextRow]:
    """Yields source texts in order, those too that cannot be read.

    Args:
        path: A table with names of columns, see `is_headed`; or any other text file, with a source text in each line
            or before its first tab.
        column: The column of a table that has the source texts; "source" where left out.

    Raises:
        UserError: Where nothing of it can be read.
    """
    file = Path(path).expanduser()
    if is_headed(file, column is not None):
        yield from read_texts_to_label(path, column or "source", key="data.source")
        return
    for number, line in lenient_lines(file):
        text = line.partition("\t")[0].strip()
        problem = undecodable(text) or (None if text else "there is no text")
        yield TextRow(number, "" if problem else text, f"{path} line {number}: {problem}" if problem else None)


def source_request(
    row: TextRow, path: str, tokenizers: PairTokenizers, limits: LengthLimits, closed: bool = False
) -> Request:
    """Makes a request of a source text.

    Args:
        row: The text.
        path: The file, for messages.
        tokenizers: Those of the run.
        limits: How long it may be.
        closed: Whether a text with an unknown token is refused even where there is a token `<unk>`.
    """
    if row.problem:
        return Request(row.line, None, row.problem)
    try:
        example = encode_source(row.text, f"{path} line {row.line}", tokenizers, limits, closed)
    except UserError as error:
        return Request(row.line, None, str(error))
    return Request(row.line, example, items=[{"source": row.text}])


def encode_source(
    text: str, place: str, tokenizers: PairTokenizers, limits: LengthLimits, closed: bool = False
) -> Example:
    """Makes an example whose target is to be written.

    Args:
        text: The source.
        place: Where it stands, for messages.
        tokenizers: As in `source_request`.
        limits: As in `source_request`.
        closed: As in `source_request`.

    Raises:
        UserError: Where it has tokens that nobody knows, or is too long.
    """
    unknown = tokenizers.source.unknown(text)
    if unknown and (closed or tokenizers.source.unknown_id is None):
        raise UserError(f"{place}: {', '.join(map(repr, unknown))} never occurs in the training data")
    example = tokenizers.request(text)
    assert example.context is not None
    if problem := limits.problem(example.context, "source"):
        raise UserError(f"{place}: {problem}")
    return example

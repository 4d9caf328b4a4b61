"""The keys by which several commands are told how texts are written."""

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from seqmodels.errors import UserError

if TYPE_CHECKING:
    from seqmodels.decoding import BeamSearch, Writing


@dataclass(frozen=True)
class SearchKeys:
    """What every command that writes texts can be told of a beam search.

    Args:
        beam_size: Searches for the likeliest text with so many hypotheses at once; where left out, texts are written
            token by token.
        length_penalty: Of a search: above 0 makes up for what long texts lose by their length; 1 is nearly the mean.
    """

    beam_size: int | None = None
    length_penalty: float = 0.0


@dataclass(frozen=True)
class WritingKeys(SearchKeys):
    """What the commands that show texts can be told besides; each has a `length` of its own.

    Args:
        coverage_penalty: Of a search: above 0 asks attention to look at all of the source.
        n_best: Of a search: how many texts are given, with their ranks and scores.
        beam_groups: Of a search: parts of the beam that look for different texts.
        diversity: Of groups: what a token loses for each earlier group that took it in the same step.
        min_length: Tokens to write before a text may end.
        no_repeat_ngram: Never writes the same so many tokens twice; 0 lets it.
        repetition_penalty: Above 1, tokens that a text has already become less likely.
        required: Of a search: a text that must appear, or several as `[one,two]`.
    """

    coverage_penalty: float = 0.0
    n_best: int = 1
    beam_groups: int = 1
    diversity: float = 0.0
    min_length: int = 0
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    required: str = ""


def read_search(chosen: SearchKeys) -> "BeamSearch | None":
    """Makes the beam search that a command's keys ask for.

    Args:
        chosen: The command's keys; where `beam_size` is `None` there is no search.

    Raises:
        UserError: Where a value is out of range, or says something of a beam that there is not.

    Example:
        >>> read_search(WritingKeys(beam_size=4, n_best=2)).n_best
        2
    """
    from seqmodels.decoding import BeamSearch

    names = {field.name for field in fields(BeamSearch)}
    own = [field for field in fields(chosen) if field.name in names]
    values = {field.name: getattr(chosen, field.name) for field in own}
    if chosen.beam_size is not None:
        try:
            return BeamSearch(**values)
        except ValueError as error:
            raise UserError(str(error)) from error
    for field in own:
        if field.default is not MISSING and values[field.name] != field.default:
            raise UserError(f"{field.name}={values[field.name]}: says something of a beam search; give beam_size too")
    return None


def read_writing(chosen: WritingKeys, length: int | None) -> "Writing":
    """Makes what a command's keys ask of texts.

    Args:
        chosen: The command's keys.
        length: Tokens of a text at most, where it is said.

    Raises:
        UserError: Where a value is out of range, or values do not go together.

    Example:
        >>> read_writing(WritingKeys(beam_size=4, required="[ja, nein]"), None).required
        ['ja', 'nein']
    """
    from seqmodels.decoding import Constraints, Writing

    words = [word.strip() for word in chosen.required.removeprefix("[").removesuffix("]").split(",")]
    search = read_search(chosen)
    try:
        constraints = Constraints(
            min_length=chosen.min_length,
            no_repeat_ngram=chosen.no_repeat_ngram,
            repetition_penalty=chosen.repetition_penalty,
        )
        return Writing(search, length, constraints, [word for word in words if word])
    except ValueError as error:
        raise UserError(str(error)) from error


def refuse_drawing(chosen: SearchKeys, *names: str) -> None:
    """Refuses keys that say how tokens are drawn, beside a beam search, which draws none.

    Args:
        chosen: The command's keys, a dataclass.
        names: Those of drawing.

    Raises:
        UserError: Where one of them has a value of its own.
    """
    for field in fields(chosen):
        value: Any = getattr(chosen, field.name)
        if field.name in names and value != field.default:
            raise UserError(
                f"{field.name}={value}: a beam search draws nothing; leave it out, or beam_size={chosen.beam_size}"
            )

"""The keys of a beam search, which several commands take."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from seqmodels.errors import UserError

if TYPE_CHECKING:
    from seqmodels.decoding import BeamSearch


def read_search(chosen: Any) -> "BeamSearch | None":
    """Makes the beam search that a command's keys ask for.

    Args:
        chosen: The command's keys, a dataclass with those of `BeamSearch` or some of them; where `beam_size` is `None`
            there is no search.

    Raises:
        UserError: Where a value is out of range, or says something of a beam that there is not.

    Example:
        >>> from seqmodels.commands.generate import Generation
        >>> read_search(Generation(beam_size=4, n_best=2)).n_best
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


def refuse_drawing(chosen: Any, *names: str) -> None:
    """Refuses keys that say how tokens are drawn, beside a beam search, which draws none.

    Args:
        chosen: The command's keys, a dataclass.
        names: Those of drawing.

    Raises:
        UserError: Where one of them has a value of its own.
    """
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        if field.name in names and value != field.default:
            raise UserError(
                f"{field.name}={value}: a beam search draws nothing; leave it out, or beam_size={chosen.beam_size}"
            )

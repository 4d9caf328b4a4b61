"""What is asked of the texts that a run writes for its contexts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from seqmodels.decoding.beam import BeamSearch
from seqmodels.decoding.constraints import Constraints
from seqmodels.errors import UserError


@dataclass(frozen=True)
class Writing:
    """How texts are found, and what they keep to.

    Args:
        search: How they are searched for; each step's likeliest token is taken where left out.
        length: Tokens of a text at most; as many as the run gives texts where left out.
        constraints: What may be written, but for the texts that must appear.
        required: Texts that must appear; a search alone can promise them.

    Raises:
        ValueError: Where values do not go together, or the length is below 1.

    Example:
        >>> writing = Writing(BeamSearch(beam_size=3, n_best=2), length=20, constraints=Constraints(min_length=4))
        >>> writing.asked()
        {'beam_size': 3, 'n_best': 2, 'length': 20, 'min_length': 4}
        >>> writing.longest(12)
        12
    """

    search: BeamSearch | None = None
    length: int | None = None
    constraints: Constraints = field(default_factory=Constraints)
    required: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise ValueError(f"length={self.length}: expected at least 1")
        if self.length is not None and self.constraints.min_length > self.length:
            raise ValueError(f"min_length={self.constraints.min_length}: expected at most length={self.length}")
        if self.required and self.search is None:
            raise ValueError(
                f"required={','.join(self.required)}: only a beam search can promise a text; give beam_size too"
            )

    def asked(self) -> dict[str, Any]:
        """Returns the values that were asked for, by their keys."""
        size = {} if self.search is None else {"beam_size": self.search.beam_size}
        found = size | _changed(self.search) | ({} if self.length is None else {"length": self.length})
        found |= _changed(self.constraints)
        return found | ({"required": ",".join(self.required)} if self.required else {})

    def longest(self, limit: int) -> int:
        """Returns how many tokens a text may have, where a run gives it so many at most.

        Raises:
            UserError: Where it may not end before it has more.
        """
        longest = limit if self.length is None else min(self.length, limit)
        if self.constraints.min_length > longest:
            raise UserError(
                f"min_length={self.constraints.min_length}: expected at most {longest}, the most tokens that this run "
                "gives a text"
            )
        return longest

    def beam_of_labels(self) -> int | None:
        """Returns the beam for connectionist temporal classification, which knows nothing else.

        Raises:
            UserError: Where something else was asked for.
        """
        for name, value in self.asked().items():
            if name != "beam_size":
                raise UserError(f"{name}={value}: this run transcribes, which takes beam_size alone; leave it out")
        return None if self.search is None else self.search.beam_size


def _changed(settings: BeamSearch | Constraints | None) -> dict[str, Any]:
    """Returns the values that are not the usual ones, but for the size of a beam."""
    if settings is None:
        return {}
    values = {one.name: getattr(settings, one.name) for one in fields(settings) if one.name != "beam_size"}
    usual = {one.name: one.default for one in fields(settings)}
    return {name: value for name, value in values.items() if value != usual[name]}

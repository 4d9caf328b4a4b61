"""What a view is, and what it shows."""

import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from seqmodels.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from seqmodels.views.subject import Subject


DPI = 110


class Table(NamedTuple):
    """A table of a section.

    Attributes:
        caption: What it tells, in a line.
        columns: Names of its columns.
        rows: Its cells, text or numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Picture(NamedTuple):
    """A picture of a section.

    Attributes:
        figure: The picture.
        caption: What is to be seen on it, in a line.
    """

    figure: "Figure"
    caption: str


class Vectors(NamedTuple):
    """Vectors for TensorBoard's projector.

    Attributes:
        values: `(vectors, features)`.
        labels: A name for each.
    """

    values: "Tensor"
    labels: Sequence[str]


@dataclass
class Section:
    """What a view has to show.

    Attributes:
        title: Its heading.
        paragraphs: What a reader should know, in plain text.
        pictures: Pictures by their names.
        tables: Tables.
        numbers: All figures, as plain JSON.
        vectors: What TensorBoard's projector shows, by name.
        markup: HTML that is put in as it is; whoever makes it escapes what comes from users.
        style: CSS for it.
        script: JavaScript for it, which loads nothing. `section` is its element.
    """

    title: str
    paragraphs: list[str] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, Vectors] = field(default_factory=dict)
    markup: str = ""
    style: str = ""
    script: str = ""


class View(ABC):
    """A way to look at a trained model; a subclass sets both names and gives both methods.

    Attributes:
        name: What chooses it, such as "neurons".
        title: Its heading.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def misfit(self, subject: "Subject") -> str | None:
        """Tells in one line why a subject cannot be shown so; `None` where it can."""

    @abstractmethod
    def show(self, subject: "Subject") -> Section:
        """Looks."""


def png(picture: Picture) -> bytes:
    """Draws a picture; a sign that the machine's fonts lack becomes a box."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        picture.figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


class Looked(NamedTuple):
    """What looking at a subject gave.

    Attributes:
        sections: What is shown, by the names of the views.
        drawn: Their pictures as PNG, by the same names and those of the pictures.
        left_out: Why other views show nothing, by their names.
        failures: What went wrong in these.
    """

    sections: dict[str, Section]
    drawn: dict[str, dict[str, bytes]]
    left_out: dict[str, str]
    failures: list[Exception]


def look(subject: "Subject", views: Iterable[View]) -> Looked:
    """Shows a subject in every way that fits; a view that fails takes none of the others with it.

    Args:
        subject: What is looked at.
        views: How.

    Raises:
        UserError: A view was given something of the user's that does not fit.
    """
    looked = Looked({}, {}, {}, [])
    for view in views:
        try:
            reason = view.misfit(subject)
            if reason is None:
                section = view.show(subject)
                looked.drawn[view.name] = {key: png(picture) for key, picture in section.pictures.items()}
                looked.sections[view.name] = section
        except UserError:
            raise
        except Exception as error:
            looked.failures.append(error)
            reason = f"it failed: {type(error).__name__}: {error}"
        if reason is not None:
            looked.left_out[view.name] = reason
    return looked

"""What the texts of a run are conditioned on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.captions import read_image
from seqmodels.errors import UserError


@dataclass(frozen=True)
class Condition:
    """What texts are conditioned on: a class by its name, or an image by its file.

    Attributes:
        classes: The names of the classes; none where it is something else.
        of_sources: Whether it is a sequence, which the data of the run read.
        image_channels: 1 for grey, 3 for colour.
        image_size: Height and width that images are brought to; `None` where it is a class.

    Example:
        >>> Condition(["jig", "reel"]).of_class("reel")
        tensor(1)
    """

    classes: Sequence[str] = ()
    of_sources: bool = False
    image_channels: int = 1
    image_size: tuple[int, int] | None = None

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Condition | None":
        """Reads the "context" of the spec of data; `None` where it has none.

        Raises:
            UserError: Where it is damaged.
        """
        context = spec.get("context")
        if context is None:
            return None
        try:
            if context["kind"] == "classes":
                return cls([str(name) for name in context["classes"]])
            if context["kind"] in ("tokens", "frames"):
                return cls(of_sources=True)
            height, width = (int(side) for side in context["image_size"])
            return cls(image_channels=int(context["image_channels"]), image_size=(height, width))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"spec.json: its context cannot be read: {error!r}") from error

    def of_class(self, name: str | None) -> Tensor:
        """Returns the context `()` of a class.

        Raises:
            UserError: Where there is no such class.
        """
        if not self.classes:
            raise UserError(f"class={name}: this run writes of images; expected image=FILE")
        if name not in self.classes:
            shown = "null" if name is None else name
            raise UserError(f"class={shown}: expected one of {', '.join(self.classes)}")
        return torch.tensor(self.classes.index(name))

    def of_image(self, file: str) -> Tensor:
        """Returns the context `(channels, height, width)` of an image, which is brought to the size of the others.

        Raises:
            UserError: Where it cannot be read.
        """
        if self.image_size is None:
            raise UserError(
                f"image={file}: this run writes by class; expected class=, one of {', '.join(self.classes)}"
            )
        path = Path(file).expanduser()
        if not path.is_file():
            raise UserError(f"image={file}: there is no such file")
        return torch.from_numpy(read_image(path, colour=self.image_channels == 3, size=self.image_size))


def read_context(condition: Condition | None, class_name: str | None, image: str | None) -> Tensor | None:
    """Returns the context that a user asks for, `None` for a run that is conditioned on nothing.

    Args:
        condition: What the run is conditioned on.
        class_name: The class that was named.
        image: The image's file that was named.

    Raises:
        UserError: Where what is given is not what the run takes.
    """
    if condition is None:
        for key, value in (("class", class_name), ("image", image)):
            if value is not None:
                raise UserError(f"{key}={value}: the texts of this run are conditioned on nothing; leave it out")
        return None
    if condition.of_sources:
        given = next(
            (f"{key}={value}" for key, value in (("class", class_name), ("image", image)) if value), "source=null"
        )
        raise UserError(f"{given}: this run makes one sequence of another; expected source=, a text or a file")
    if image is not None:
        return condition.of_image(image)
    if condition.image_size is not None and class_name is None:
        raise UserError("image=null: this run writes of images; expected image=FILE")
    return condition.of_class(class_name)

"""A folder of images and a file of their captions."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqmodels.data.formats.lines import numbered_lines
from seqmodels.errors import UserError

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")

CAPTIONS = "captions.tsv"
"""The file of captions where none is named, in the folder of the images."""


class Caption(NamedTuple):
    """A line of a file of captions.

    Attributes:
        line: Its number, from 1.
        image: The image's file.
        text: The caption.
    """

    line: int
    image: Path
    text: str


def read_captions(folder: str, captions: str | None = None) -> list[Caption]:
    """Reads a file of captions: in each line an image's file, relative to the folder, a tab, and its caption.

    Args:
        folder: The folder of images.
        captions: The file of captions; `captions.tsv` in the folder where left out.

    Raises:
        UserError: Where a file is missing, or a line has no tab, no caption or no image, with the file and the line.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise UserError(f"data.path={folder}: expected a folder of images")
    source = Path(captions).expanduser() if captions else place / CAPTIONS
    if not source.is_file():
        raise UserError(f"data.captions={source}: there is no such file; expected lines of image file, tab, caption")
    found = [_caption(place, source, number, line) for number, line in numbered_lines(source) if line.strip()]
    if not found:
        raise UserError(f"data.captions={source}: the file is empty")
    return found


def _caption(folder: Path, source: Path, number: int, line: str) -> Caption:
    name, tab, text = line.partition("\t")
    name, text = name.strip(), text.strip()
    if not tab or not name or not text:
        raise UserError(f"{source}: line {number}: {line!r}: expected an image's file, a tab and its caption")
    image = folder / name
    if not image.is_file():
        raise UserError(f"{source}: line {number}: {name}: there is no such image in {folder}")
    return Caption(number, image, text)


def read_image(path: Path, colour: bool = False, size: tuple[int, int] | None = None) -> np.ndarray:
    """Reads a bitmap in one of the usual formats, of 8 bits a colour or 16 bits of grey.

    Formats that are programs, such as EPS, for which Pillow would run another program, are not read.

    Args:
        path: The file.
        colour: Whether red, green and blue are kept; otherwise shades of grey.
        size: Height and width that it is resized to; its own where left out.

    Returns:
        `(channels, height, width)`, float32 from 0 to 1.

    Raises:
        UserError: Where it cannot be read.
    """
    from PIL import Image

    try:
        with _bombs_refused(), Image.open(path, formats=_FORMATS) as file:
            deep = file.mode.startswith("I")  # 16 bits of grey, which Pillow would cut off at 255
            image = file.convert("I").convert("F") if deep else file.convert("RGB" if colour else "L")
            if size:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.float32) / (65535 if deep else 255)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    except (OSError, ValueError, SyntaxError) as error:
        formats = ", ".join(_FORMATS)
        raise UserError(f"{path}: is no image that can be read; expected {formats}") from error
    if pixels.ndim == 2:
        return np.repeat(pixels[None], 3 if colour else 1, axis=0)
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


@contextmanager
def _bombs_refused() -> Iterator[None]:
    """Makes an error of what Pillow warns of from the first look at an image; what else it says is of no account."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_images(captions: list[Caption], colour: bool = False, size: tuple[int, int] | None = None) -> list[np.ndarray]:
    """Reads the images of captions, which must be of one size.

    Args:
        captions: Which images.
        colour: As for `read_image`.
        size: As for `read_image`.

    Returns:
        `(channels, height, width)` each.

    Raises:
        UserError: Where one cannot be read or differs in size from the first.
    """
    images: list[np.ndarray] = []
    for caption in captions:
        image = read_image(caption.image, colour, size)
        if images and image.shape != images[0].shape:
            size_here, size_first = (" x ".join(map(str, one.shape[1:])) for one in (image, images[0]))
            raise UserError(
                f"{caption.image}: is {size_here} pixels high and wide, but {captions[0].image} is {size_first}; "
                "expected images of one size, or data.image_size=[height,width] to resize them to"
            )
        images.append(image)
    return images

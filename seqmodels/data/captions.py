"""Images to be put into words."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.conditioned import ConditionedConfig, ConditionedData, Text, encode_request
from seqmodels.data.examples import PARTS
from seqmodels.data.formats.captions import CAPTIONS, read_captions, read_image, read_images
from seqmodels.data.formats.lines import numbered_lines
from seqmodels.data.module import Loaded, Request
from seqmodels.data.synthetic.captions import HEIGHT, MAX_LENGTH, WIDTH, draw_digits
from seqmodels.data.tokenizers import Tokenizer, WordTokenizer, tokenizer_from_spec
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError


class CaptionedImages(ConditionedData):
    """What both modules share: which images something is to be written of."""

    def read_requests(self, path: str) -> list[Request]:
        """Reads the images to write of: all of a folder by name, or those that the lines of a file begin with.

        A folder's `captions.tsv` is passed over.

        Images are brought to the size of those that the run was trained on.
        """
        if self.config.spec is None:
            raise UserError(f"input={path}: only a trained run can write")
        place = Path(path).expanduser()
        if place.is_dir():
            shown = (file for file in place.iterdir() if file.is_file() and not file.name.startswith("."))
            files = sorted(file for file in shown if file.name != CAPTIONS)
            return [
                _request(number, file, self.config.spec)._replace(file=file.name)
                for number, file in enumerate(files, 1)
            ]
        lines = ((number, line.partition("\t")[0].strip()) for number, line in numbered_lines(place))
        images = [(number, place.parent / name) for number, name in lines if name]
        return [_request(number, image, self.config.spec, f"{place} line {number}: ") for number, image in images]


def _request(number: int, file: Path, spec: dict[str, Any], where: str = "") -> Request:
    context = spec["context"]
    height, width = context["image_size"]
    try:
        image = read_image(file, context["image_channels"] == 3, (height, width))
    except UserError as error:
        return Request(number, None, f"{where}{error}")
    return Request(number, encode_request(image, tokenizer_from_spec(spec["tokenizer"])))


def _image_spec(channels: int, height: int, width: int) -> dict[str, Any]:
    return {"kind": "images", "image_channels": channels, "image_size": [height, width]}


class DigitCaptions(CaptionedImages):
    """Generated images of one to four handwritten digits in a row, and their names: "seven three".

    Args:
        num_images: How many: of them what is not for validation or test is the length of an epoch, which draws others
            each time.
        val_fraction: Share of the images that is for validation, of digits that training never shows.
        test_fraction: Share of the images that is for the final test, of digits that neither shows.
        tokenizer: Makes tokens of text; words where left out.
        batch_size: Images in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole captions where left out.
        seed: Of all that is drawn.
        spec: From an earlier run, whose vocabulary is used.

    Raises:
        UserError: Where a value is out of range.
    """

    def __init__(
        self,
        num_images: int = 10000,
        val_fraction: float = 0.05,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        made = tokenizer or WordTokenizer()
        config = ConditionedConfig(made, batch_size, tbptt, seed, spec, val_fraction, test_fraction)
        super().__init__(config, num_workers)
        if num_images < 1:
            raise UserError(f"data.num_images={num_images}: expected an integer of at least 1")
        self.num_images = num_images

    def load(self) -> Loaded:
        """Makes ready to draw."""
        write = {part: partial(_write_digits, part=part) for part in PARTS}
        return self.generated(write, self.num_images, MAX_LENGTH, _image_spec(1, HEIGHT, WIDTH))


def _write_digits(generator: np.random.Generator, part: str) -> Text:
    image, caption = draw_digits(generator, part)
    return Text(caption, image)


class ImageCaptions(CaptionedImages):
    """The user's images with their captions.

    Args:
        path: The folder of images.
        captions: A file with, in each line, an image's file, a tab and its caption; `captions.tsv` in the folder where
            left out.
        colour: Whether images keep their colours; otherwise they are made grey.
        image_size: Height and width that images are resized to; where left out they must be of one size.
        val_fraction: Share of the images, drawn with `seed`, that is for validation.
        test_fraction: Share of the images that is for the final test.
        tokenizer: Makes tokens of text; words where left out.
        batch_size: Images in a batch.
        num_workers: Processes that prepare batches ahead.
        tbptt: Windows of training; whole captions where left out.
        seed: Of the split and of the order of batches.
        spec: From an earlier run, whose vocabulary is used, and whose images have the size that these must have.

    Raises:
        UserError: Where a value is out of range; from `setup`, where the files do not fit.
    """

    def __init__(
        self,
        path: str,
        captions: str | None = None,
        colour: bool = False,
        image_size: list[int] | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        made = tokenizer or WordTokenizer()
        config = ConditionedConfig(made, batch_size, tbptt, seed, spec, val_fraction, test_fraction)
        super().__init__(config, num_workers)
        self.path, self.captions, self.colour = path, captions, colour
        if image_size is not None and not (len(image_size) == 2 and min(image_size) > 0):
            raise UserError(f"data.image_size={image_size}: expected [height,width], both at least 1, or null")
        self.image_size = None if image_size is None else (image_size[0], image_size[1])

    def load(self) -> Loaded:
        """Reads the files."""
        captions = read_captions(self.path, self.captions)
        images = read_images(captions, self.colour, self.image_size)
        context = _image_spec(*images[0].shape)
        expected = (self.config.spec or {}).get("context")
        if expected not in (None, context):
            raise UserError(
                f"data.path={self.path}: {_described(context)}, and the run was trained on {_described(expected)}; "
                "data.image_size= and data.colour= make images alike"
            )
        texts = [Text(caption.text, image) for caption, image in zip(captions, images, strict=True)]
        return self.listed(texts, context)


def _described(context: dict[str, Any]) -> str:
    if context["kind"] != "images":
        return str(context["kind"])
    height, width = context["image_size"]
    return f"images of {height} x {width} pixels, {'in colour' if context['image_channels'] == 3 else 'grey'}"

"""What is measured over: sizes, depth, direction and lengths, and the work they make."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

_FORM = re.compile(r"(\d+)x(\d+)x(\d+)x(\d+)(?:\+(\d+)layers)?(\+bidirectional)?(\+lengths)?")


@dataclass(frozen=True)
class Shape:
    """Sizes of one measurement, written `BxTxIxH[+Nlayers][+bidirectional][+lengths]`.

    Args:
        batch: Rows, B.
        time: Steps of the longest row, T.
        input_size: Features of the inputs, I.
        hidden_size: Units, H.
        num_layers: Layers.
        bidirectional: Whether both directions are read.
        ragged: Whether the lengths of the rows are spread evenly over T / 10 to T.

    Example:
        >>> shape = Shape.parse("32x64x128x128+2layers+bidirectional")
        >>> shape.num_layers, str(shape)
        (2, '32x64x128x128+2layers+bidirectional')
        >>> Shape(1, 1, 2, 3).products(num_gates=4)
        120
    """

    batch: int
    time: int
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    ragged: bool = False

    @classmethod
    def parse(cls, text: str) -> "Shape":
        """Reads a shape as it is written.

        Raises:
            ValueError: It is not written so, or a size is zero.
        """
        match = _FORM.fullmatch(text)
        sizes = [int(size or 1) for size in match.group(1, 2, 3, 4, 5)] if match else [0]
        if match is None or 0 in sizes:
            raise ValueError(f"{text}: expected BxTxIxH[+Nlayers][+bidirectional][+lengths], such as 32x64x128x128")
        batch, time, input_size, hidden_size, num_layers = sizes
        return cls(batch, time, input_size, hidden_size, num_layers, match[6] is not None, match[7] is not None)

    def __str__(self) -> str:
        layers = f"+{self.num_layers}layers" * (self.num_layers > 1)
        options = layers + "+bidirectional" * self.bidirectional + "+lengths" * self.ragged
        return f"{self.batch}x{self.time}x{self.input_size}x{self.hidden_size}{options}"

    @property
    def num_directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of the outputs."""
        return self.num_directions * self.hidden_size

    def lengths(self) -> Tensor | None:
        """Draws the lengths of the rows, the same each time: (batch,); None where all rows are whole."""
        if not self.ragged:
            return None
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(max(1, self.time // 10), self.time + 1, (self.batch,), generator=generator)
        lengths[0] = self.time
        return lengths

    def products(self, num_gates: int) -> int:
        """Counts the floating-point operations of the products in one forward pass; a backward pass has twice as many.

        Args:
            num_gates: Blocks of `hidden_size` rows in the weights.

        Returns:
            2 * steps * num_gates * H * (I + H), summed over layers and directions, padding left out.
        """
        lengths = self.lengths()
        steps = self.batch * self.time if lengths is None else int(lengths.sum())
        inputs = self.input_size + (self.num_layers - 1) * self.output_size
        columns = inputs + self.num_layers * self.hidden_size
        return 2 * steps * num_gates * self.hidden_size * self.num_directions * columns


SHAPES = tuple(
    Shape.parse(text)
    for text in (
        "1x100x128x128",
        "32x64x128x128",
        "50x50x128x128",
        "20x35x200x200",
        "20x35x650x650",
        "64x100x256x256",
        "64x64x512x512",
        "128x784x1x128",
        "32x64x128x128+2layers+bidirectional",
        "64x100x256x256+lengths",
    )
)

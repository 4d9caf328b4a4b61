"""Measures of captions: what a model makes of each image, held against what people wrote."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from seqmodels.data import Window
from seqmodels.tasks.measures.hypotheses import Hypotheses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_DRAWN = 12
"""How many images are shown with their captions."""


class Captions(Hypotheses):
    """Captions by the likeliest word at each step: the figures of texts, and the share of words that are right.

    A word is right where the reference has the same one at the same place; the share, `word_accuracy`, is of the words
    of the references. Captions may be shorter than the n-grams of BLEU, which leaves those orders out.

    Args:
        model: The language model, conditioned on images.
        spec: Of its data.
        length: Tokens of a caption at most.
    """

    FIGURES: ClassVar[tuple[str, ...]] = (*Hypotheses.FIGURES, "word_accuracy")

    def __init__(self, model: nn.Module, spec: Mapping[str, Any], length: int = 60):
        super().__init__(model, spec, length, effective_order=True)

    def clear(self) -> None:
        """Starts anew."""
        super().clear()
        self.images: list[Tensor] = []

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Writes a caption of each image."""
        super().update(described, window)
        if window.context is not None and window.context.ndim == 4:
            self.images += list(window.context[: NUM_DRAWN - len(self.images)].cpu())

    def compute(self) -> dict[str, float]:
        """Returns the figures."""
        figures = super().compute()
        if not self.hypotheses:
            return figures
        right = total = 0
        for caption, reference in zip(self.hypotheses, self.references, strict=True):
            words, expected = caption.split(), reference.split()
            right += sum(word == other for word, other in zip(words, expected, strict=False))
            total += len(expected)
        return {**figures, "word_accuracy": right / total if total else float("nan")}

    def pictures(self) -> "dict[str, Figure]":
        """Draws the first images with their captions, in red where they are not those of the reference."""
        if not self.images:
            return {}
        from matplotlib.figure import Figure

        columns = 3
        rows = -(-len(self.images) // columns)
        figure = Figure(figsize=(4 * columns, 1.8 * rows), layout="constrained")
        for axes in (grid := figure.subplots(rows, columns, squeeze=False).ravel()):
            axes.set_axis_off()
        for axes, image, caption, reference in zip(grid, self.images, self.hypotheses, self.references, strict=False):
            axes.imshow(image.movedim(0, -1).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
            colour = "black" if caption == reference else "red"
            axes.set_title(caption or "-", fontsize=9, color=colour, wrap=True, parse_math=False)
        return {"captions": figure}

"""Measures of captions: what a model makes of each image, held against what people wrote."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from seqmodels.data import IGNORE_INDEX, Window
from seqmodels.decoding import Sampling, TextWriter
from seqmodels.tasks.measures.measure import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_DRAWN = 12
"""How many images are shown with their captions."""


class Captions(Measure):
    """Captions by the likeliest word at each step: exact match, BLEU, and the share of words that are right.

    A word is right where the reference has the same one at the same place; the share is of the words of the references.
    BLEU is that of Papineni et al. 2002 over the whole part, by sacrebleu (Post 2018, "A call for clarity in reporting
    BLEU scores"), from 0 to 100, with its smoothing for short texts.

    Args:
        model: The language model, conditioned on images.
        spec: Of its data.
        length: Tokens of a caption at most.
    """

    def __init__(self, model: nn.Module, spec: Mapping[str, Any], length: int = 60):
        self.writer = TextWriter.from_spec(model, spec)
        self.length = length
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.captions: list[str] = []
        self.references: list[str] = []
        self.images: list[Tensor] = []

    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Writes a caption of each image."""
        assert window.context is not None
        count = len(window.context)
        self.captions += self.writer.write(None, self.length, Sampling(0), count, contexts=window.context)
        decode = self.writer.tokenizer.decode
        self.references += [decode(row[row != IGNORE_INDEX].tolist()) for row in window.targets]
        if window.context.ndim == 4:
            self.images += list(window.context[: NUM_DRAWN - len(self.images)].cpu())

    def compute(self) -> dict[str, float]:
        """Returns the three figures."""
        if not self.captions:
            return dict.fromkeys(("exact_match", "bleu", "word_accuracy"), float("nan"))
        import sacrebleu

        pairs = list(zip(self.captions, self.references, strict=True))
        right = total = 0
        for caption, reference in pairs:
            words, expected = caption.split(), reference.split()
            right += sum(word == other for word, other in zip(words, expected, strict=False))
            total += len(expected)
        return {
            "exact_match": sum(caption == reference for caption, reference in pairs) / len(pairs),
            "bleu": sacrebleu.corpus_bleu(self.captions, [self.references], use_effective_order=True).score,
            "word_accuracy": right / total if total else float("nan"),
        }

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
        for axes, image, caption, reference in zip(grid, self.images, self.captions, self.references, strict=False):
            axes.imshow(image.movedim(0, -1).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
            axes.set_title(caption or "-", fontsize=9, color="black" if caption == reference else "red", wrap=True)
        return {"captions": figure}

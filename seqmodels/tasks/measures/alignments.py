"""Pictures of where a decoder looked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.data import IGNORE_INDEX, Tokenizer, Window, tokenizer_from_spec
from seqmodels.models import EncoderDecoder
from seqmodels.tasks.measures.measure import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Alignments(Measure):
    """Heat maps of attention: a row for each token of the target, a column for each step of the source.

    After Bahdanau, Cho and Bengio 2015, figure 3. The tokens are those of the reference, and attention is the model's
    while it reads them.

    Args:
        model: The encoder-decoder; one without attention has no pictures.
        spec: Of its data.
        num_drawn: How many pairs of an evaluation are drawn, taken from all of it.

    Raises:
        ValueError: Where none are to be drawn.
    """

    def __init__(self, model: EncoderDecoder, spec: Mapping[str, Any], num_drawn: int = 4):
        if num_drawn < 1:
            raise ValueError(f"num_drawn={num_drawn}: expected at least 1")
        self.model = model
        self.num_drawn = num_drawn
        self.target = tokenizer_from_spec(spec["tokenizer"])
        read = spec["context"].get("tokenizer")
        self.source: Tokenizer | None = None if read is None else tokenizer_from_spec(read)
        self.clear()

    def clear(self) -> None:
        """Starts anew."""
        self.kept: list[tuple[list[str], list[str], Tensor]] = []

    @torch.no_grad()
    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Keeps what some pairs of each batch look like, no more than are drawn."""
        if self.model.attention is None:
            return
        assert window.context is not None
        assert window.context_lengths is not None
        rows = slice(min(self.num_drawn, 1 + self.num_drawn // (1 + len(self.kept))))
        memory = self.model.remember(window.context[rows], window.context_lengths[rows])
        hidden, _ = self.model.hidden(window.inputs[rows], memory=memory)
        weights = self.model.split(hidden)[1]
        assert weights is not None
        read = self.model.encoder.frontend.lengths(window.context_lengths[rows]).tolist()
        for place, length in enumerate(read):
            targets = window.targets[place][window.targets[place] != IGNORE_INDEX].tolist()
            words = () if window.words is None else window.words[place]
            source = self._source_tokens(window.context[place], length, words)
            target = _shown(self.target.extended(words), targets)
            self.kept.append((source, target, weights[place, : len(targets), :length].cpu()))

    @property
    def drawn(self) -> list[tuple[list[str], list[str], Tensor]]:
        """Those that are drawn: evaluation may go from short pairs to long ones."""
        places = np.linspace(0, len(self.kept) - 1, min(self.num_drawn, len(self.kept))).round().astype(int)
        return [self.kept[place] for place in places]

    def compute(self) -> dict[str, float]:
        """Returns no figures."""
        return {}

    def pictures(self) -> "dict[str, Figure]":
        """Draws the pairs, dark where attention is high."""
        drawn = self.drawn
        if not drawn:
            return {}
        from matplotlib.figure import Figure

        columns = min(2, len(drawn))
        rows = -(-len(drawn) // columns)
        figure = Figure(figsize=(7 * columns, 6 * rows), layout="constrained")
        for axes, (source, target, weights) in zip(
            figure.subplots(rows, columns, squeeze=False).ravel(), drawn, strict=False
        ):
            draw_alignment(axes, weights, source, target)
        return {"alignments": figure}

    def _source_tokens(self, ids: Tensor, length: int, words: Sequence[str]) -> list[str]:
        return [] if self.source is None else _shown(self.source.extended(words), ids[:length].tolist())


def draw_alignment(axes: Any, weights: Tensor, source: Sequence[str] | None, target: Sequence[str] | None) -> None:
    """Draws weights `(predictions, steps)`, dark where they are high.

    Args:
        axes: Matplotlib's.
        weights: From 0 to 1.
        source: What stands for the steps on the axis; nothing where there are none.
        target: The same for the predictions.
    """
    axes.imshow(weights.float().numpy(), cmap="Greys", vmin=0, vmax=1, aspect="auto")
    if source:
        axes.set_xticks(range(len(source)), source, rotation=90, fontsize=7, parse_math=False)
    if target:
        axes.set_yticks(range(len(target)), target, fontsize=7, parse_math=False)


def _shown(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Returns what stands for each token on an axis."""
    special = {tokenizer.special_id(name): name for name in tokenizer.special_tokens}
    texts = [special.get(token) or tokenizer.decode([token]) for token in ids]
    return [repr(text)[1:-1] if text.strip() else repr(text) for text in texts]

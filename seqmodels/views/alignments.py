"""Where attention looked."""

from typing import ClassVar

import torch
from torch import Tensor

from seqmodels.analysis import entropy
from seqmodels.models import AttentionPooling, EncoderDecoder
from seqmodels.tasks.measures.alignments import draw_alignment
from seqmodels.views.subject import Subject, named
from seqmodels.views.view import Picture, Section, Table, View

NUM_DRAWN, NUM_TOLD = 4, 8


class AttentionView(View):
    """Heat maps of attention with the tokens on the axes, and how sharp it is.

    Of an encoder-decoder, a row for each token of the target and a column for each step of the source (Bahdanau, Cho
    and Bengio 2015, figure 3); of a readout that attends, one row over the steps that are read.
    """

    name: ClassVar[str] = "attention"
    title: ClassVar[str] = "Attention"

    def misfit(self, subject: Subject) -> str | None:
        """Tells why there is nothing to show."""
        model = subject.model
        if isinstance(model, EncoderDecoder):
            return None if model.attention is not None else "the run was trained with attention=none"
        if isinstance(getattr(model, "readout", None), AttentionPooling):
            return None
        return "the model has no attention (model=encoder_decoder has, and readout=attention)"

    def show(self, subject: Subject) -> Section:
        """Draws some examples, and tells of all of them."""
        from matplotlib.figure import Figure

        section = Section(
            self.title,
            [
                "Each row shows where the model looked when it predicted one thing; dark is much. The entropy of a row "
                "is 0 nats where it looks at one step, and the logarithm of the number of steps where it looks at all "
                "alike."
            ],
        )
        rows, told = [], []
        for place in range(min(NUM_TOLD, len(subject.examples))):
            weights = _weights(subject, place)
            labels = subject.labels(place)
            pooled = subject.model.readout is not None
            across = labels.inputs if pooled else labels.source
            down = [subject.outcome(place)] if pooled else labels.targets
            if place < NUM_DRAWN:
                height = min(8.0, 1.6 + 0.16 * len(weights))
                figure = Figure(figsize=(7, height), layout="constrained")
                draw_alignment(figure.subplots(), weights, across, None if pooled else down)
                section.pictures[f"example_{place + 1}"] = Picture(figure, _caption(subject, place))
            entropies = entropy(weights)
            names = down or [str(step + 1) for step in range(len(weights))]
            told.append({"target": names, "source": across, "weights": _plain(weights), "entropy": _plain(entropies)})
            steps, mean = weights.shape[1], float(entropies.mean())
            rows.append(
                [place + 1, steps, mean, float(torch.tensor(float(steps)).log()), float(weights.amax(-1).mean())]
            )
        columns = ["example", "steps looked at", "mean entropy (nats)", "of an even look", "mean largest weight"]
        section.tables.append(Table("How sharp attention is", columns, rows))
        section.numbers = {"examples": told}
        return section


def _weights(subject: Subject, place: int) -> Tensor:
    """Returns the weights of an example `(predictions, steps)`."""
    ran, model = subject.ran(place), subject.model
    if isinstance(model, EncoderDecoder):
        weights = model.split(ran.hidden)[1]
        assert weights is not None
        return weights[0].float().cpu()
    pooling = model.readout
    assert isinstance(pooling, AttentionPooling)
    with torch.no_grad():
        return pooling.weights(ran.hidden, ran.window.lengths).float().cpu()


def _caption(subject: Subject, place: int) -> str:
    return f"Example {place + 1} of {subject.origin}{named(subject.outcome(place))}"


def _plain(values: Tensor) -> list[object]:
    return torch.round(values, decimals=4).tolist()

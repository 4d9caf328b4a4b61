"""The learned vectors of tokens."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from torch import Tensor

from seqmodels.analysis import nearest_neighbours, principal_components
from seqmodels.data import Tokenizer
from seqmodels.models import ClassEmbedding, Embedding, WordsWithCharacters
from seqmodels.views.subject import Subject, token_texts
from seqmodels.views.view import Picture, Section, Table, Vectors, View

NUM_DRAWN = 150
NUM_LISTED = 40
LARGEST = 10_000
"""So many vectors at most go to TensorBoard's projector."""


class _Named(NamedTuple):
    name: str
    vectors: Tensor
    labels: list[str]


class EmbeddingsView(View):
    """Tokens, words or classes in the plane in which their vectors differ most, with their nearest neighbours."""

    name: ClassVar[str] = "embeddings"
    title: ClassVar[str] = "Embeddings"

    def misfit(self, subject: Subject) -> str | None:
        """Tells why there are none."""
        return None if list(_tables(subject)) else "the model has no embedding: it reads numbers, or one-hot vectors"

    def show(self, subject: Subject) -> Section:
        """Draws the vectors, and lists neighbours."""
        section = Section(
            self.title,
            [
                "Each token is a vector that was learned. The picture shows them along the two directions in which "
                "they differ most; what lies close there may still be far apart in the other directions, so the table "
                "lists neighbours by the angle between whole vectors (cosine 1: same direction). TensorBoard's "
                "projector has them all: tensorboard --logdir of the run, tab Projector."
            ],
        )
        for table in _tables(subject):
            self._add(section, table)
        return section

    def _add(self, section: Section, table: _Named) -> None:
        from matplotlib.figure import Figure

        name, vectors, labels = table
        found = principal_components(vectors)
        places = found.project(vectors)
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.subplots()
        drawn = places[:NUM_DRAWN]
        axes.scatter(drawn[:, 0], drawn[:, -1], s=4, color="tab:blue")
        for label, (x, y) in zip(labels, drawn[:, [0, -1]].tolist(), strict=False):
            axes.annotate(_shown(label), (x, y), fontsize=7, parse_math=False)
        shares = [*found.shares.tolist(), 0.0]
        axes.set_xlabel(f"first component, {shares[0]:.0%} of the variance")
        axes.set_ylabel(f"second component, {shares[1]:.0%}")
        what = f"The first {NUM_DRAWN} of {len(labels)}" if len(labels) > NUM_DRAWN else f"All {len(labels)}"
        section.pictures[name.replace(" ", "_")] = Picture(figure, f"{what} {name}")
        near = nearest_neighbours(vectors[:LARGEST])
        rows = [
            [
                _shown(label),
                ", ".join(f"{_shown(labels[other])} {cosine:.2f}" for other, cosine in zip(*pair, strict=True)),
            ]
            for label, *pair in zip(labels, near.places.tolist(), near.similarities.tolist(), strict=False)
        ]
        caption = f"Nearest neighbours of {name}"
        if len(rows) > NUM_LISTED:
            caption += f", the first {NUM_LISTED} of {len(rows)}; {self.name}.json has all"
        section.tables.append(Table(caption, ["", "nearest, with cosines"], rows[:NUM_LISTED]))
        section.numbers[name] = {"shares": found.shares.tolist(), "neighbours": rows}
        section.vectors[name.replace(" ", "_")] = Vectors(
            vectors[:LARGEST], [_shown(label) for label in labels[:LARGEST]]
        )


def _tables(subject: Subject) -> Iterator[_Named]:
    """Yields the embeddings of a model, with names for their vectors."""
    spec = subject.spec
    for module in subject.model.modules():
        if isinstance(module, WordsWithCharacters):
            words = ["(unknown)", *spec["words"]["words"]]
            yield _Named("words", module.words.weight.detach().cpu().float(), words)
        elif isinstance(module, (Embedding, ClassEmbedding)) and module.table.num_embeddings > 1:
            vectors = module.table.weight.detach().cpu().float()
            encoder = getattr(subject.model, "encoder", None)
            if isinstance(module, ClassEmbedding):
                names = (spec.get("context") or {}).get("classes") or range(len(vectors))
                yield _Named("classes", vectors, [str(name) for name in names])
            elif encoder is not None and module is encoder.frontend:
                yield _Named("source tokens", vectors, _token_names(subject.source_tokenizer, len(vectors)))
            else:
                yield _Named("tokens", vectors, _token_names(subject.tokenizer, len(vectors)))


def _token_names(tokenizer: Tokenizer | None, count: int) -> list[str]:
    if tokenizer is None:
        return [str(number) for number in range(count)]
    return token_texts(tokenizer, range(count))


def _shown(label: str) -> str:
    """Returns a label that can be seen: spaces and ends of lines quoted, tabs and the like written out."""
    return repr(label)[1:-1] if label.strip() else repr(label)

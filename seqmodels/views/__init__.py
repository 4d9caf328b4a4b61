"""What a trained model can be looked at with: pictures, tables and one page that shows them."""

from seqmodels.views.alignments import AttentionView
from seqmodels.views.embeddings import EmbeddingsView
from seqmodels.views.examples import examples_of, stream_example
from seqmodels.views.gates import GatesView
from seqmodels.views.gradient_flow import GradientFlow
from seqmodels.views.neurons import Neurons
from seqmodels.views.report import show_in_tensorboard, write_report
from seqmodels.views.saliency import Saliency
from seqmodels.views.stability import Stability
from seqmodels.views.state_space import StateSpace
from seqmodels.views.subject import Labels, Ran, Subject, token_texts
from seqmodels.views.view import Looked, Picture, Section, Table, Vectors, View, look

__all__ = [
    "VIEWS",
    "AttentionView",
    "EmbeddingsView",
    "GatesView",
    "GradientFlow",
    "Labels",
    "Looked",
    "Neurons",
    "Picture",
    "Ran",
    "Saliency",
    "Section",
    "Stability",
    "StateSpace",
    "Subject",
    "Table",
    "Vectors",
    "View",
    "examples_of",
    "look",
    "show_in_tensorboard",
    "stream_example",
    "token_texts",
    "write_report",
]

_VIEWS: tuple[type[View], ...] = (
    Neurons,
    GatesView,
    Saliency,
    GradientFlow,
    Stability,
    AttentionView,
    EmbeddingsView,
    StateSpace,
)
VIEWS: dict[str, type[View]] = {view.name: view for view in _VIEWS}
"""All views by their names, in the order of the page."""

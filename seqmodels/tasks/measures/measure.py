"""What every measure gives, and which ones data have by themselves."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from seqmodels.data import Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Measure(ABC):
    """Collects what was predicted, window by window, and makes figures and pictures of it."""

    @abstractmethod
    def clear(self) -> None:
        """Forgets what was collected."""

    @abstractmethod
    def update(self, described: Mapping[str, Tensor], window: Window) -> None:
        """Adds a window.

        Args:
            described: What the loss makes of the outputs, see `Loss.describe`; of the steps that are scored.
            window: The batch, with its targets.
        """

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Returns the figures by their names; NaN for each where nothing was collected."""

    def pictures(self) -> "dict[str, Figure]":
        """Returns pictures by their names; none where it has none or nothing was collected."""
        return {}

    def tables(self) -> dict[str, str]:
        """Returns tables in Markdown by their names; none where it has none or nothing was collected."""
        return {}


def default_measures(spec: Mapping[str, Any]) -> list[Measure]:
    """Returns the measures that fit the targets of data, given their spec."""
    from seqmodels.tasks.measures.classes import Classification
    from seqmodels.tasks.measures.forecasts import Forecasts
    from seqmodels.tasks.measures.labels import Labels
    from seqmodels.tasks.measures.numbers import Regression
    from seqmodels.tasks.measures.spans import SpanF1, are_span_tags

    if "series" in spec:
        return [Forecasts(spec)]
    targets = spec.get("targets") or {"kind": ""}
    if targets["kind"] == "classes":
        marks_spans = spec.get("shape") == "many_to_many" and are_span_tags(targets["classes"])
        return [Classification(targets["classes"]), *([SpanF1(targets["classes"])] if marks_spans else [])]
    if targets["kind"] == "labels":
        return [Labels()]
    if targets["kind"] == "numbers":
        return [Regression(targets.get("means"))]
    return []

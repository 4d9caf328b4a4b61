"""Transcription: labels of a source without their places, by connectionist temporal classification."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from seqmodels.data import (
    TBPTT,
    DataModule,
    Example,
    ExampleWindows,
    GeneratedExamples,
    Perturbation,
    Speech,
    Window,
    tokenizer_from_spec,
)
from seqmodels.data.windows import WHOLE_SEQUENCES
from seqmodels.decoding import prefix_beam_search
from seqmodels.errors import UserError
from seqmodels.models import Transcriber
from seqmodels.nn import State
from seqmodels.tasks.losses import CTC, Loss
from seqmodels.tasks.measures import Measure
from seqmodels.tasks.reporting import Row
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.sequence_task import SequenceTask


class Transcription(SequenceTask):
    """Connectionist temporal classification: the loss of a target is that of all paths through its source that say it.

    Args:
        model: The transcriber.
        optimizer: Makes the optimizer from parameter groups.
        spec: Of the data, with the ids that begin and end targets.
        schedule: Factor on the learning rate.
        measures: See `SequenceTask`.
        beam_size: Labellings that are kept at each step where something is transcribed.

    Raises:
        ValueError: The beam is below 1.
    """

    model: Transcriber  # type: ignore[assignment]
    loss: CTC

    def __init__(
        self,
        model: Transcriber,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        spec: Mapping[str, Any],
        schedule: Schedule | None = None,
        measures: Sequence[Measure] = (),
        beam_size: int = 10,
    ):
        loss = CTC(int(spec["bos"]), int(spec["eos"]))
        super().__init__(model, optimizer, loss, schedule, measures)  # type: ignore[arg-type]
        if beam_size < 1:
            raise ValueError(f"beam_size={beam_size}: expected at least 1")
        self.beam_size = beam_size

    def run(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """Returns the logits of each step of the sources, twice, and no state."""
        logits = self.model(window.context, window.context_lengths)
        return logits, logits, None

    def score(self, loss: Loss, outputs: Tensor, window: Window) -> tuple[Tensor, Tensor]:
        """Returns the summed loss of paths through the steps that each source has behind the front end."""
        given = window.context_lengths
        return self.loss(outputs, window.targets, None if given is None else self.model.encoder.frontend.lengths(given))

    def check_tbptt(self, tbptt: TBPTT) -> None:
        """Refuses windows: a path is a whole one.

        Raises:
            UserError: Where they are not whole sequences.
        """
        if tbptt != WHOLE_SEQUENCES:
            raise UserError(f"tbptt.k1={tbptt.k1}: paths through whole sources are scored; expected tbptt=whole")

    def check_data(self, data: DataModule) -> None:
        """Refuses sources that have too few steps for their targets, or may have once they are read faster.

        Raises:
            UserError: With the first of them.
        """
        perturbation = data.perturbation if isinstance(data, Speech) else None
        for split in data.splits:
            windows = data.evaluation_dataloader(split).dataset
            if not isinstance(windows, ExampleWindows) or isinstance(windows.examples, GeneratedExamples):
                continue
            for place in range(len(windows.examples)):
                example = windows.examples[place]
                named = data.files[split][place] if isinstance(data, Speech) else f"{split} example {place + 1}"
                self._check_source(example, str(named), perturbation if split == "train" else None)

    def _check_source(self, example: Example, named: str, perturbation: Perturbation | None) -> None:
        assert example.context is not None
        length = len(example.context)
        steps, needed = self._steps(length), int(self.loss.steps_needed(torch.from_numpy(example.targets)[None]))
        if steps < needed:
            raise UserError(
                f"{named}: its {length} steps are {steps} behind the front end, and its labels need {needed}; "
                "expected a lower frontend.factor, longer tokens, or another file"
            )
        fewest = length if perturbation is None else perturbation.fewest_steps(length)
        if perturbation is not None and self._steps(fewest) < needed:
            raise UserError(
                f"data.perturbation.speed={perturbation.speed}: may leave {fewest} of the {length} steps of {named}, "
                f"which are {self._steps(fewest)} behind the front end, and its labels need {needed}; expected a lower "
                "speed or a lower frontend.factor"
            )

    def _steps(self, length: int) -> int:
        """Returns how many steps are left of so many behind the front end."""
        return int(self.model.encoder.frontend.lengths(torch.tensor([length])))

    def predict_rows(self, window: Window, spec: Mapping[str, Any]) -> list[list[Row]]:
        """Returns the likeliest text of each source."""
        tokenizer = tokenizer_from_spec(spec["tokenizer"])
        found = prefix_beam_search(self.run(window, None)[1], None, self.model.blank, self.beam_size)
        return [[{"prediction": tokenizer.decode(row[0].labels)}] for row in found]

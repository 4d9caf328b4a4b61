"""Sequence to sequence: predict each next token of a target from those before it and from a source."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seqmodels.data import IGNORE_INDEX, TBPTT, Window
from seqmodels.data.windows import WHOLE_SEQUENCES
from seqmodels.errors import UserError
from seqmodels.models import EncoderDecoder
from seqmodels.nn.attention import coverage_loss
from seqmodels.processes import part_of_mean
from seqmodels.tasks.free_running import Feed, run_freely
from seqmodels.tasks.language_modelling import LanguageModelling
from seqmodels.tasks.losses import CrossEntropy, Loss
from seqmodels.tasks.measures import Measure
from seqmodels.tasks.professor_forcing import ProfessorForcing
from seqmodels.tasks.schedules import Schedule
from seqmodels.tasks.sequence_task import weight_of
from seqmodels.tasks.teacher_forcing import TeacherForcing


class SequenceToSequence(LanguageModelling):
    """Cross-entropy of each next token of a target, given its source.

    Args:
        model: The encoder-decoder.
        optimizer: Makes the optimizer from parameter groups.
        schedule: Factor on the learning rate.
        characters_per_token: See `LanguageModelling`.
        measures: See `SequenceTask`.
        activation_penalty: See `SequenceTask`; of the decoder.
        temporal_activation_penalty: See `SequenceTask`; of the decoder.
        teacher_forcing: See `LanguageModelling`.
        feed: See `LanguageModelling`.
        label_smoothing: Share of a target's probability that is spread over all tokens (Szegedy et al. 2016); of the
            training loss alone, as it is trained on and reported.
        coverage_penalty: Factor of the coverage loss, which asks attention not to look twice at the same step (See, Liu
            and Manning 2017, equation 12).
        professor: Makes professor forcing for so many features of the decoder, see `ProfessorForcing`.

    Raises:
        ValueError: A factor is negative, a share out of range, the feed is unknown, there is no attention to ask for
            coverage, or professor forcing has no forced runs to compare with.
    """

    model: EncoderDecoder

    def __init__(
        self,
        model: EncoderDecoder,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer],
        schedule: Schedule | None = None,
        characters_per_token: dict[str, float] | None = None,
        measures: Sequence[Measure] = (),
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
        teacher_forcing: TeacherForcing | None = None,
        feed: Feed = "argmax",
        label_smoothing: float = 0.0,
        coverage_penalty: float = 0.0,
        professor: Callable[[int], ProfessorForcing] | None = None,
    ):
        super().__init__(
            model,
            optimizer,
            schedule,
            characters_per_token,
            measures,
            activation_penalty,
            temporal_activation_penalty,
            teacher_forcing,
            feed,
        )
        self.label_smoothing = label_smoothing
        self.training_loss = CrossEntropy(label_smoothing=label_smoothing)
        if coverage_penalty < 0:
            raise ValueError(f"coverage_penalty={coverage_penalty}: expected at least 0")
        if coverage_penalty and model.attention is None:
            raise ValueError(f"coverage_penalty={coverage_penalty}: asks something of attention; expected one, or 0")
        if professor is not None and not self.teacher_forcing.always:
            raise ValueError(
                "professor: compares with runs that always read the truth; expected teacher_forcing=constant"
            )
        self.coverage_penalty = coverage_penalty
        self.professor = None if professor is None else professor(model.features)

    def trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the model's parameters, and those of professor forcing."""
        yield from super().trained_parameters()
        if self.professor is not None:
            yield from self.professor.named_parameters()

    def score(self, loss: Loss, outputs: Tensor, window: Window) -> tuple[Tensor, Tensor]:
        """Returns the summed loss of a window's outputs, and how many items it was summed over.

        What the vocabulary lacks gets nothing of a smoothed label: most of it cannot be written for a row.
        """
        size, share = self.model.vocab_size, self.label_smoothing
        if loss is not self.training_loss or not share or outputs.shape[-1] == size:
            return super().score(loss, outputs, window)
        total, count = self.loss(outputs, window.targets)
        spread = -outputs.float().log_softmax(-1)[..., :size].mean(-1)
        return (1 - share) * total + share * spread[window.targets != IGNORE_INDEX].sum(), count

    def _penalty(self, hidden: Tensor, window: Window) -> Tensor | float:
        """Returns what is added to the training loss, given the decoder's hidden outputs with its attention."""
        vectors, weights = self.model.split(hidden)
        penalty = super()._penalty(vectors, window)
        if self.coverage_penalty:
            assert weights is not None
            steps = weight_of(window, window.lengths)
            penalty = penalty + self.coverage_penalty * part_of_mean(coverage_loss(weights, window.lengths), steps)
        if self.professor is not None:
            rows = weight_of(window, torch.ones_like(window.lengths))
            penalty = penalty + self.professor(vectors, self._free(window), window.lengths, rows)
        return penalty

    def _free(self, window: Window) -> Tensor:
        """Returns the hidden outputs of a window whose steps read samples of their own."""
        memory = self.model.remember(window.context, window.context_lengths)
        nowhere = torch.zeros_like(window.inputs, dtype=torch.bool)
        hidden, _, _ = run_freely(self.model, window.inputs, nowhere, "sample", memory=memory)
        return self.model.split(hidden)[0]

    def check_tbptt(self, tbptt: TBPTT) -> None:
        """Refuses windows that do not fit.

        Raises:
            UserError: Where professor forcing or the coverage penalty would not see whole targets.
        """
        super().check_tbptt(tbptt)
        asked = {"task.professor": self.professor is not None, "task.coverage_penalty": self.coverage_penalty > 0}
        for name in (name for name, wanted in asked.items() if wanted and tbptt != WHOLE_SEQUENCES):
            raise UserError(
                f"{name}: judges whole targets, and tbptt.k1={tbptt.k1}, tbptt.k2={tbptt.k2} cut them; expected "
                "tbptt=whole"
            )

"""Tasks: what is learned from a batch, how it is measured, how the parameters are updated."""

from seqmodels.tasks.base import Task, TrainingDiverged
from seqmodels.tasks.language_modelling import LanguageModelling
from seqmodels.tasks.schedules import Constant, Cosine, Plateau, Schedule, StepDecay

__all__ = [
    "Constant",
    "Cosine",
    "LanguageModelling",
    "Plateau",
    "Schedule",
    "StepDecay",
    "Task",
    "TrainingDiverged",
]

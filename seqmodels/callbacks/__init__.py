"""What happens around training: checkpoints, monitors, samples, pictures, progress, interruption."""

from seqmodels.callbacks.budget import Budget
from seqmodels.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from seqmodels.callbacks.csv_metrics import CsvMetrics
from seqmodels.callbacks.early_stopping import EarlyStopping
from seqmodels.callbacks.generators import GeneratorStates
from seqmodels.callbacks.gradient_norms import GradientNorms
from seqmodels.callbacks.inspection import Inspection
from seqmodels.callbacks.interruption import Interrupted, Interruption
from seqmodels.callbacks.monitor import Monitor
from seqmodels.callbacks.pictures import Pictures, keep_pictures
from seqmodels.callbacks.progress import MeasuringReport, ProgressReport
from seqmodels.callbacks.pruning import Pruning
from seqmodels.callbacks.samples import Samples
from seqmodels.callbacks.trainer_state import find_callback

__all__ = [
    "AtomicCheckpointIO",
    "Budget",
    "Checkpoints",
    "CsvMetrics",
    "EarlyStopping",
    "GeneratorStates",
    "GradientNorms",
    "Inspection",
    "Interrupted",
    "Interruption",
    "MeasuringReport",
    "Monitor",
    "Pictures",
    "ProgressReport",
    "Pruning",
    "Samples",
    "find_callback",
    "keep_pictures",
]

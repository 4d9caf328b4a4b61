"""Losses: what a head's outputs mean, what is lost by them, what is predicted from them."""

from seqmodels.tasks.losses.classes import BinaryCrossEntropy, CrossEntropy, KLDivergence, MultiLabelCrossEntropy
from seqmodels.tasks.losses.ctc import CTC
from seqmodels.tasks.losses.distributions import Gaussian, Quantile, StudentT
from seqmodels.tasks.losses.loss import Loss, mean_loss, num_targets
from seqmodels.tasks.losses.numbers import MAE, MSE, MSLE
from seqmodels.tasks.losses.units import InUnits, in_units

__all__ = [
    "CTC",
    "MAE",
    "MSE",
    "MSLE",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Gaussian",
    "InUnits",
    "KLDivergence",
    "Loss",
    "MultiLabelCrossEntropy",
    "Quantile",
    "StudentT",
    "in_units",
    "mean_loss",
    "num_targets",
]

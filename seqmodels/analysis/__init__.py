"""A look inside: functions over any model and tensors; no run is needed."""

from seqmodels.analysis.explaining import explain, reading, variants, vectors_of
from seqmodels.analysis.fixed_points import FixedPoint, FixedPoints, fixed_points
from seqmodels.analysis.gates import Gates, Saturation, read_gates, saturation, time_constants
from seqmodels.analysis.gradient_flow import Profile, gradient_norms, lag_profile
from seqmodels.analysis.impulse import DrawnResponse, ImpulseResponse, drawn_responses, half_life, impulse_response
from seqmodels.analysis.jacobians import JacobianSpectra, jacobian_spectra
from seqmodels.analysis.lyapunov import LyapunovExponents, lyapunov_exponents
from seqmodels.analysis.neurons import Found, Search, search_units
from seqmodels.analysis.perturbing import Score, gradients, occluded
from seqmodels.analysis.recording import CellRecord, Recording, watch, watchable
from seqmodels.analysis.recurrent_matrices import RecurrentMatrix, recurrent_matrices
from seqmodels.analysis.saliency import (
    SALIENCY_METHODS,
    Attribution,
    Completeness,
    agreement,
    completeness,
    gradient,
    gradient_times_input,
    integrated_gradients,
    occlusion,
    smooth_gradient,
)
from seqmodels.analysis.stability import CellStability, Effort, cell_stability
from seqmodels.analysis.text_features import Feature, default_features, time_since
from seqmodels.analysis.trajectories import Positions, Trajectory, follow
from seqmodels.analysis.vectors import (
    Neighbours,
    PrincipalComponents,
    entropy,
    nearest_neighbours,
    principal_components,
)

__all__ = [
    "SALIENCY_METHODS",
    "Attribution",
    "CellRecord",
    "CellStability",
    "Completeness",
    "DrawnResponse",
    "Effort",
    "Feature",
    "FixedPoint",
    "FixedPoints",
    "Found",
    "Gates",
    "ImpulseResponse",
    "JacobianSpectra",
    "LyapunovExponents",
    "Neighbours",
    "Positions",
    "PrincipalComponents",
    "Profile",
    "Recording",
    "RecurrentMatrix",
    "Saturation",
    "Score",
    "Search",
    "Trajectory",
    "agreement",
    "cell_stability",
    "completeness",
    "default_features",
    "drawn_responses",
    "entropy",
    "explain",
    "fixed_points",
    "follow",
    "gradient",
    "gradient_norms",
    "gradient_times_input",
    "gradients",
    "half_life",
    "impulse_response",
    "integrated_gradients",
    "jacobian_spectra",
    "lag_profile",
    "lyapunov_exponents",
    "nearest_neighbours",
    "occluded",
    "occlusion",
    "principal_components",
    "read_gates",
    "reading",
    "recurrent_matrices",
    "saturation",
    "search_units",
    "smooth_gradient",
    "time_constants",
    "time_since",
    "variants",
    "vectors_of",
    "watch",
    "watchable",
]

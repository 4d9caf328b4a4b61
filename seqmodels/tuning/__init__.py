"""A study: many runs over a space of settings, by many processes and machines, that outlives any of them."""

from seqmodels.tuning.plan import Plan
from seqmodels.tuning.preview import reported
from seqmodels.tuning.space import Categorical, Float, Int, Search, read_search
from seqmodels.tuning.workers import tune

__all__ = ["Categorical", "Float", "Int", "Plan", "Search", "read_search", "reported", "tune"]

"""How long a run will take and how much memory it needs, from a few of its updates, of which nothing is kept."""

from seqmodels.planning.estimate import Plan
from seqmodels.planning.trial import plan

__all__ = ["Plan", "plan"]

"""What a run has learned, and whether it is the same to the bit."""

from pathlib import Path

import torch

from seqmodels import runs


def final_state(run):
    """Returns what a run has learned, to the bit."""
    checkpoint = runs.load_checkpoint(Path(run, "checkpoints", "last.ckpt"))
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "carried_state", "global_step")}


def same(left, right):
    """Tells whether two states are the same to the bit."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return left == right

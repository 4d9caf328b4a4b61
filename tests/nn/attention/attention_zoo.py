"""Every attention that `seqmodels.nn.attention` exports, found rather than listed, each made with as little as it needs."""

import inspect

import torch
from twins import randomize

import seqmodels.nn.attention
from seqmodels.nn.attention import Attention, GeneralAttention

ATTENTIONS = {
    name: thing
    for name in seqmodels.nn.attention.__all__
    if inspect.isclass(thing := getattr(seqmodels.nn.attention, name))
    and issubclass(thing, Attention)
    and not inspect.isabstract(thing)
}
# Options that make a small source enough to see what an attention does, and that leave nothing to chance.
OPTIONS = {"score": GeneralAttention, "window": 2, "kernel_size": 3, "num_filters": 2, "num_heads": 2, "noise": 0.0}
LENGTHS = torch.tensor([5, 3, 0, 1])


def make(name, size=4, **options):
    """Makes an attention in float64 whose every parameter matters, and which looks at more than one position."""
    torch.manual_seed(0)
    kind = ATTENTIONS[name]
    parameters = inspect.signature(kind).parameters
    small = {key: value for key, value in OPTIONS.items() if key in parameters}
    attention = kind(size, size, **{**small, **options}).double()
    randomize(attention)
    return attention


def random(*shape, scale=1.0):
    return scale * torch.randn(shape, dtype=torch.float64)

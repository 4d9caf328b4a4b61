"""Our drop-in layers beside torch's own, with the same weights."""

from contextlib import contextmanager, nullcontext
from functools import partial
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from twins import randomize

from seqmodels.nn import GRU, LSTM, RNN

B, T, D, H = 3, 5, 3, 4
TORCH_OF = {RNN: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU}
OURS_OF = {theirs: ours for ours, theirs in TORCH_OF.items()}

LAYERS = {
    "tanh": RNN,
    "relu": partial(RNN, nonlinearity="relu"),
    "lstm": LSTM,
    "lstm_proj": partial(LSTM, proj_size=2),
    "gru": GRU,
}

OUR_KERNELS_RUN = [name for name in LAYERS if name != "lstm_proj"]

draw = partial(torch.randn, dtype=torch.float64, requires_grad=True)


@contextmanager
def run_by_our_kernels(name: str):
    """Makes torch's own forward fail, but for projections, which are torch's."""
    forbidden = {theirs: mock.patch.object(theirs, "forward", side_effect=AssertionError) for theirs in OURS_OF}
    with forbidden[nn.RNN], forbidden[nn.GRU], nullcontext() if name == "lstm_proj" else forbidden[nn.LSTM]:
        yield


def twins(make, *args, **options) -> tuple[nn.RNNBase, nn.RNNBase]:
    """Makes our layer and torch's, with the same weights."""
    ours = make(*args, **options)
    keywords = {**getattr(make, "keywords", {}), **options}
    theirs = TORCH_OF[type(ours)](*args, **keywords)
    randomize(ours)
    assert theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def tensors_of(result) -> list[Tensor]:
    """Lists the outputs and the final state."""
    outputs, final = result
    outputs = outputs.data if isinstance(outputs, PackedSequence) else outputs
    return [outputs, *(final if isinstance(final, tuple) else (final,))]


def leaves_of(hx) -> list[Tensor]:
    return [] if hx is None else list(hx) if isinstance(hx, tuple) else [hx]

"""How the parameters of gated layers start, ours and torch's alike."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def reset_gates(weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> None:
    """Draws the parameters of one cell, each gate by itself: Glorot uniform input weights, orthogonal recurrent ones.

    Glorot and Bengio, 2010, "Understanding the difficulty of training deep feedforward neural networks". Orthogonal
    recurrence keeps the norm of what it carries (Saxe et al., 2014, arXiv:1312.6120). Biases start at zero.

    Args:
        weight_ih: (gates * hidden_size, input_size).
        weight_hh: (gates * hidden_size, hidden_size).
        bias_ih: (gates * hidden_size,) or None.
        bias_hh: (gates * hidden_size,) or None.
    """
    hidden_size = weight_hh.shape[1]
    for gate in weight_ih.split(hidden_size):
        nn.init.xavier_uniform_(gate)
    for gate in weight_hh.split(hidden_size):
        nn.init.orthogonal_(gate)
    for bias in (bias_ih, bias_hh):
        if bias is not None:
            nn.init.zeros_(bias)


@torch.no_grad()
def set_forget_bias(bias_ih: Tensor | None, forget_bias: float) -> None:
    """Sets the forget gate's bias of an LSTM, gates in the order i, f, g, o.

    A bias of 1 lets a new network remember (Jozefowicz et al., 2015, "An Empirical Exploration of Recurrent Network
    Architectures").

    Args:
        bias_ih: (4 * hidden_size,) or None, when there is nothing to set.
        forget_bias: The value.
    """
    if bias_ih is not None:
        nn.init.constant_(bias_ih.chunk(4)[1], forget_bias)

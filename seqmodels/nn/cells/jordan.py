"""The network whose output is what it remembers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqmodels.nn.cells.activations import activate, check_activation
from seqmodels.nn.cells.gated import GatedCell
from seqmodels.nn.state import State


class JordanCell(GatedCell):
    """The network of Jordan (1986, "Serial Order: A Parallel Distributed Processing Approach").

        h = activation(W_ih x + b_ih + W_hh s + b_hh)
        y = output_activation(W_ho h + b_ho)
        s = decay * s + y

    The output y, not the hidden layer h, is what the next step reads, by way of a context s that fades.

    Args:
        input_size: Features of an input.
        hidden_size: Features of the hidden layer, of the output and of the state `(s,)`.
        activation: Of the hidden layer: "tanh", "relu", "sigmoid" or "identity".
        output_activation: Of the output, the same names.
        decay: How much of the context stays, 0 (the last output alone) to 1.
        bias: Whether the products have biases.

    Raises:
        ValueError: An activation is unknown, the decay is out of range, or a size is below 1.

    Example:
        >>> cell = JordanCell(3, 5, decay=0.5)
        >>> output, (context,) = cell(torch.randn(2, 3), (torch.zeros(2, 5),))
        >>> bool((output == context).all())
        True
    """

    num_gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: str = "tanh",
        output_activation: str = "identity",
        decay: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        check_activation(activation)
        check_activation(output_activation, "output_activation")
        if not 0 <= decay <= 1:
            raise ValueError(f"decay: expected 0 to 1, got {decay}")
        self.activation, self.output_activation, self.decay = activation, output_activation, decay
        self.output = nn.Linear(hidden_size, hidden_size, bias)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        super().reset_parameters()
        for output in self.children():  # none yet while the base class is made
            assert isinstance(output, nn.Linear)
            nn.init.orthogonal_(output.weight)
            if output.bias is not None:
                nn.init.zeros_(output.bias)

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`. The product behind h needs the wide contract."""
        (s,) = state
        h = activate(self.activation, projected + F.linear(s, self.weight_hh, self.bias_hh))
        y = activate(self.output_activation, self.output(h))
        return y, (self.decay * s + y,)

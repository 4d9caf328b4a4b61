"""Networks inside the step."""

import torch
from torch import Tensor, nn

from seqmodels.nn.cells.activations import activate, check_activation
from seqmodels.nn.cells.cell import Cell
from seqmodels.nn.state import State


class DeepTransitionCell(Cell):
    """Deep transition network (Pascanu et al., 2014, arXiv:1312.6026).

        x' = phi(A_m ... phi(A_1 x))            input_layers m; x itself where 0
        h = phi(U_n ... phi(U_1 h + W x'))      transition_layers n
        y = phi(O_k ... phi(O_1 h))             output_layers k; h itself where 0

    Every product has a bias. With one transition layer and neither of the others it is an `ElmanCell`; with output
    layers it is the paper's DOT-RNN.

    Args:
        input_size: Features of an input.
        hidden_size: Features of every layer inside, of the output and of the state `(h,)`.
        input_layers: Layers from the input to the hidden state, before the product that enters it.
        transition_layers: Layers from one hidden state to the next.
        output_layers: Layers from the hidden state to the output.
        activation: phi: "tanh", "relu", "sigmoid" or "identity".

    Raises:
        ValueError: A number of layers is out of range, the activation is unknown, or a size is below 1.

    Example:
        >>> cell = DeepTransitionCell(3, 5, transition_layers=3, output_layers=1)
        >>> output, (h,) = cell(torch.randn(2, 3))
        >>> output.shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        input_layers: int = 1,
        transition_layers: int = 2,
        output_layers: int = 1,
        activation: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_activation(activation)
        for name, number, least in (
            ("input_layers", input_layers, 0),
            ("transition_layers", transition_layers, 1),
            ("output_layers", output_layers, 0),
        ):
            if number < least:
                raise ValueError(f"{name}: expected an integer of at least {least}, got {number}")
        self.activation = activation
        H = hidden_size
        widths = [input_size] + [H] * input_layers
        self.input = nn.ModuleList(nn.Linear(width, H) for width in widths[:-1])
        self.entry = nn.Linear(widths[-1], H, bias=False)
        self.transition = nn.ModuleList(nn.Linear(H, H) for _ in range(transition_layers))
        self.output = nn.ModuleList(nn.Linear(H, H) for _ in range(output_layers))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the parameters anew: orthogonal in the transition, Glorot uniform elsewhere, biases zero."""
        transition = set(self.transition)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                (nn.init.orthogonal_ if layer in transition else nn.init.xavier_uniform_)(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def project(self, inputs: Tensor) -> Tensor:
        """Runs the input network for any number of steps at once; see `Cell.project`."""
        return self.entry(self._run(self.input, inputs))

    def step(self, projected: Tensor, state: State) -> tuple[Tensor, State]:
        """Takes one step; see `Cell.step`."""
        (h,) = state
        first, *deeper = self.transition
        h = activate(self.activation, first(h) + projected)
        h = self._run(deeper, h)
        return self._run(self.output, h), (h,)

    def _run(self, layers: list[nn.Module] | nn.ModuleList, x: Tensor) -> Tensor:
        for layer in layers:
            x = activate(self.activation, layer(x))
        return x
